"""Engines on devices of this machine that compute a model together: probed, and built anew."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twopass.engines.base.model import LoadedModel
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import DeviceError, EngineUnavailableError
from twopass.engines.fleet.fleet import Fleet
from twopass.server.config import ServerConfig
from twopass.server.models.restarting import RestartingEngine
from twopass.server.models.supervisor import probe_batch

_logger = logging.getLogger("twopass.server")

# How often fleets look for batches that are overdue.
_TEND_SECONDS = 0.05
# An engine that is lost is asked this often whether it computes again.
_IMPATIENT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Keeping:
    """One engine that is looked after.

    Attributes:
        model: Its model.
        fleet: Who computes the model.
        name: What it is called there.
        engine: The engine.
        probe: What it is asked to compute.
        losses: Why the fleet has lost it, each time.
    """

    model: LoadedModel
    fleet: Fleet
    name: str
    engine: RestartingEngine
    probe: TokenBatch
    losses: asyncio.Queue[BaseException]


class Devices:
    """The engines of `--devices`. Lives on the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        models: Sequence[LoadedModel],
        on_restart: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begins to look after them.

        Args:
            config: The settings.
            models: The server's models; those that a fleet of `RestartingEngine`s computes are
                looked after.
            on_restart: Called with the id of a model when one of its engines is built anew.
        """
        self._config = config
        self._on_restart = on_restart
        loop = asyncio.get_running_loop()
        self._fleets = [model.engine for model in models if isinstance(model.engine, Fleet)]
        self._tasks = [loop.create_task(self._tend())]
        for model in models:
            fleet = model.engine
            if not isinstance(fleet, Fleet):
                continue
            losses: dict[str, asyncio.Queue[BaseException]] = {}
            for name, engine in fleet.engines.items():
                if isinstance(engine, RestartingEngine):
                    mine = losses[name] = asyncio.Queue()
                    keeping = _Keeping(model, fleet, name, engine, probe_batch(model), mine)
                    self._tasks.append(loop.create_task(self._keep(keeping)))
            fleet.on_lost = _telling(loop, losses)

    def close(self) -> None:
        """Looks after them no more."""
        for task in self._tasks:
            task.cancel()

    async def _tend(self) -> None:
        while True:
            for fleet in self._fleets:
                fleet.tend()
            await asyncio.sleep(_TEND_SECONDS)

    async def _keep(self, keeping: _Keeping) -> None:
        """Probes an engine, and has it built anew where it does not answer, until cancelled."""
        pause = self._config.probe_seconds
        while True:
            try:
                async with asyncio.timeout(pause):
                    error = await keeping.losses.get()
                if not isinstance(error, EngineUnavailableError):  # else it is built anew already
                    self._restart(keeping)
            except TimeoutError:
                pass
            is_sound = await self._answers(keeping)
            pause = self._config.probe_seconds if is_sound else _IMPATIENT_SECONDS
            if is_sound and keeping.name not in keeping.fleet.engines:
                keeping.fleet.join(keeping.name, keeping.engine)
                _logger.info("engine joined", extra={"model": keeping.model.spec.id})

    async def _answers(self, keeping: _Keeping) -> bool:
        """Whether an engine computes; one that does not is lost, and built anew if need be."""
        try:
            async with asyncio.timeout(self._config.probe_timeout_seconds):
                await asyncio.wrap_future(keeping.engine.submit(keeping.probe))
        except EngineUnavailableError:  # it is being built anew
            return False
        except TimeoutError:
            keeping.fleet.lose(keeping.name, DeviceError(f"{keeping.name} does not answer"))
        except Exception as error:  # whatever the library below it raises
            keeping.fleet.lose(keeping.name, error)
        else:
            return True
        self._restart(keeping)
        return False

    def _restart(self, keeping: _Keeping) -> None:
        if keeping.engine.restart():
            self._on_restart(keeping.model.spec.id)


def _telling(
    loop: asyncio.AbstractEventLoop, losses: dict[str, asyncio.Queue[BaseException]]
) -> Callable[[str, BaseException], None]:
    """What a fleet calls, from any thread, when it has lost an engine."""

    def tell(name: str, error: BaseException) -> None:
        if name in losses:
            loop.call_soon_threadsafe(losses[name].put_nowait, error)

    return tell
