"""All workers: found by their addresses, as these change, and kept until the server ends."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from twopass.engines.base.model import LoadedModel
from twopass.engines.fleet.fleet import Fleet
from twopass.server.config import ServerConfig
from twopass.server.workers.addresses import places_of, told
from twopass.server.workers.connection import Connection, Wire
from twopass.server.workers.worker import Wanted, Worker, WorkerState

_logger = logging.getLogger("twopass.server")

# Names are looked up this often: an orchestrator adds and removes addresses while the server runs.
_LOOK_UP_SECONDS = 5.0
# How often fleets look for batches that are overdue.
_TEND_SECONDS = 0.05
# How often a start that waits for engines says so.
_TELL_SECONDS = 10.0
_FIRST_LOOK_SECONDS = 0.02


class Workers:
    """The workers of a server. Lives on the event loop."""

    def __init__(self, config: ServerConfig, models: Sequence[LoadedModel]) -> None:
        """Reads the settings; nothing is asked yet.

        Args:
            config: The settings.
            models: The server's models, each computed by a `Fleet`.

        Raises:
            ConfigError: An address is none, or a file can't be read.
        """
        self._config = config
        self._places = places_of(config)
        self._wire = Wire.of(config)
        self._wanted = {
            model.spec.revision: Wanted(model, model.engine)
            for model in models
            if isinstance(model.engine, Fleet)
        }
        self._workers: dict[str, Worker] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        for wanted in self._wanted.values():
            wanted.fleet.on_lost = self._on_lost(wanted)

    @property
    def states(self) -> list[WorkerState]:
        """All workers as they are now, by their addresses."""
        return [self._workers[target].state for target in sorted(self._workers)]

    async def all_there(self) -> None:
        """Begins to look for workers, and waits until every model has one."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._follow_names()),
                asyncio.create_task(self._tend()),
            ]
        waited = 0.0
        while missing := self._missing():
            for task in self._tasks:
                if task.done():
                    task.result()
            if waited % _TELL_SECONDS < _FIRST_LOOK_SECONDS and waited >= _TELL_SECONDS:
                _logger.warning(
                    "no engine yet for %s at %s: the server waits", missing, told(self._places)
                )
            await asyncio.sleep(_FIRST_LOOK_SECONDS)
            waited += _FIRST_LOOK_SECONDS

    def close(self) -> None:
        """Leaves all workers."""
        for task in (*self._tasks, *self._keeping.values()):
            task.cancel()
        for worker in self._workers.values():
            worker.close()
        self._workers = {}
        self._keeping = {}

    def _missing(self) -> str:
        """Ids of the models that nobody computes, with commas between; "" where there are none."""
        found = [each for each in self._wanted.values() if not each.fleet.members]
        return ", ".join(sorted(each.model.spec.id for each in found))

    def _on_lost(self, wanted: Wanted) -> Callable[[str, BaseException], None]:
        def lost(name: str, error: BaseException) -> None:
            del error  # the fleet has logged it
            worker = self._workers.get(name)
            if worker is not None:
                worker.lost(wanted.model)

        return lost

    async def _tend(self) -> None:
        while True:
            for wanted in self._wanted.values():
                wanted.fleet.tend()
            await asyncio.sleep(_TEND_SECONDS)

    async def _follow_names(self) -> None:
        """Looks names up again and again; a new address is a new worker, a missing one leaves."""
        known: dict[str, list[str]] = {}
        while True:
            for place in self._places:
                try:
                    known[place.given] = await place.targets()
                except OSError as error:
                    # What a name stood for before is kept: the directory may be what fails.
                    _logger.warning("--engines: %s can't be resolved: %s", place.given, error)
            names = {
                target: place.name
                for place in self._places
                for target in known.get(place.given, ())
            }
            for target, name in names.items():
                if target not in self._workers:
                    self._begin(target, name)
            for target in self._workers.keys() - names.keys():
                await self._end(target)
            await asyncio.sleep(_LOOK_UP_SECONDS)

    def _begin(self, target: str, server_name: str) -> None:
        connection = Connection(target, self._wire, server_name)
        worker = Worker(connection, self._wanted, self._processes, self._config)
        self._workers[target] = worker
        self._keeping[target] = asyncio.create_task(worker.keep())

    async def _end(self, target: str) -> None:
        """Leaves a worker whose address is gone; what it holds goes to others."""
        worker, keeping = self._workers.pop(target), self._keeping.pop(target)
        keeping.cancel()
        await asyncio.wait((keeping,))
        worker.close()
