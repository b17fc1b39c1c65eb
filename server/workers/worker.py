"""One worker: asked every few seconds what it is, and a member of fleets while it stays that."""

import asyncio
import logging
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from twopass.engine.v1 import engine_pb2
from twopass.engines.base.engine import EngineChoice
from twopass.engines.base.model import LoadedModel
from twopass.engines.errors import EngineError, EngineUnavailableError, MisfitError
from twopass.engines.fleet.fleet import Fleet
from twopass.server.config import ServerConfig
from twopass.server.workers.connection import Connection
from twopass.server.workers.remote_engine import RemoteEngine

_logger = logging.getLogger("twopass.server")

# How often a worker is asked what it is, which also tells whether it answers; and how long it may
# take: on a busy machine an event loop is held up for a second now and then.
_ASK_SECONDS, _ANSWER_SECONDS = 2.0, 5.0
# One that does not answer is asked again after the first pause, each further one twice as long.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 2.0
_MOST_DOUBLINGS = 10
# One that was lost as a member and says that it is well comes back after a pause too, which grows
# while it is lost again within the time in which a sound one shows itself.
_LONGEST_PROBATION_SECONDS, _SOUND_SECONDS = 30.0, 60.0
# Digits of a revision that messages tell.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as it is at a moment, to be shown.

    Attributes:
        target: Where it is.
        version: Its version of twopass; "" until it has answered.
        models: Ids of the models that it is a member of the fleet of, sorted.
        problem: Why it is not a member of all of them; "" where it is.
    """

    target: str
    version: str
    models: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model of this server, and the fleet that computes it."""

    model: LoadedModel
    fleet: Fleet


class Worker:
    """One process that computes models. Lives on the event loop."""

    def __init__(
        self,
        connection: Connection,
        wanted: Mapping[str, Wanted],
        processes: MutableMapping[str, str],
        config: ServerConfig,
    ) -> None:
        """Prepares to ask it.

        Args:
            connection: To it.
            wanted: Models of this server by revision.
            processes: By the ids of processes the target that each is known by: two addresses may
                lead to one process.
            config: The settings.
        """
        self.target = connection.target
        self._connection = connection
        self._wanted = wanted
        self._processes = processes
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._joined: dict[str, engine_pb2.HeldModel] = {}  # by revision
        self._joined_at = 0.0
        self._worker_id = self._version = self._problem = ""
        self._probation = 0.0

    @property
    def state(self) -> WorkerState:
        """What is shown of it."""
        models = sorted(self._wanted[revision].model.spec.id for revision in self._joined)
        return WorkerState(self.target, self._version, tuple(models), self._problem)

    async def keep(self) -> None:
        """Keeps it a member of the fleets while it answers, until cancelled."""
        num_failures = 0
        while True:
            try:
                self._heed(await asyncio.wrap_future(self._connection.describe(_ANSWER_SECONDS)))
                pause = _ASK_SECONDS
                num_failures = 0
            except EngineError as error:
                self._leave_all(str(error), error)
                pause = min(_FIRST_PAUSE_SECONDS * 2**num_failures, _LONGEST_PAUSE_SECONDS)
                num_failures = min(num_failures + 1, _MOST_DOUBLINGS)
            except Exception:  # a bug; the worker is asked again all the same
                _logger.exception("engine apart not asked")
                pause = _LONGEST_PAUSE_SECONDS
            await self._rest(pause)

    def lost(self, model: LoadedModel) -> None:
        """Notes that a fleet has lost it as a member; called from any thread."""
        self._loop.call_soon_threadsafe(self._note_loss, model.spec.revision)

    def close(self) -> None:
        """Leaves all fleets and ends the connection."""
        self._leave_all("")
        self._connection.close()

    async def _rest(self, seconds: float) -> None:
        """Waits; less where a fleet has lost it meanwhile, so that it is asked what is wrong."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        await asyncio.sleep(self._probation)

    def _note_loss(self, revision: str) -> None:
        self._joined.pop(revision, None)
        if time.monotonic() - self._joined_at > _SOUND_SECONDS:
            self._probation = 0.0
        else:
            longer = max(_FIRST_PAUSE_SECONDS, 2 * self._probation)
            self._probation = min(longer, _LONGEST_PROBATION_SECONDS)
        self._wake.set()

    def _heed(self, described: engine_pb2.DescribeResponse) -> None:
        """Joins and leaves fleets by what the worker says of itself."""
        if described.worker_id != self._worker_id:
            again = EngineUnavailableError(f"{self.target}: another process answers there now")
            self._leave_all("", again)
            self._worker_id = described.worker_id
        self._version = described.version
        if described.drains:
            self._leave_all(f"{self.target} is about to end")
            return
        known_as = self._processes.setdefault(self._worker_id, self.target)
        if known_as != self.target:
            self._leave_all(f"{self.target} is the same process as {known_as}")
            return
        problems = []
        for revision, wanted in self._wanted.items():
            problem, held = self._problem_of(described, wanted)
            if held is not None and not problem:
                problem = self._join(wanted, held)
            if problem:
                problems.append(f"{self.target} {problem}")
                self._leave(revision)
        self._tell("; ".join(problems))

    def _problem_of(
        self, described: engine_pb2.DescribeResponse, wanted: Wanted
    ) -> tuple[str, engine_pb2.HeldModel | None]:
        """Why the worker can't compute a model, and what it says of the model."""
        spec, config = wanted.model.spec, self._config
        held = next((each for each in described.models if each.revision == spec.revision), None)
        if held is None:
            names = (spec.id, *spec.other_names)
            named = next((each for each in described.models if each.id in names), None)
            if named is None:
                there = ", ".join(sorted(each.id for each in described.models)) or "none"
                return f"does not hold {spec.id}; it holds {there}", None
            return (
                f"holds {named.id} of revision {named.revision[:_DIGITS]}, this server reads "
                f"{spec.revision[:_DIGITS]} in its folder; give both the same folder"
            ), None
        if not held.answers:
            return f"has an engine of {spec.id} that does not answer", held
        if config.engine is not EngineChoice.AUTO:
            asked = (str(config.engine), held.precision)
            if config.engine is EngineChoice.CPU:
                asked = (str(config.engine), str(config.precision))
            if asked != (held.engine, held.precision):
                return (
                    f"computes {spec.id} on {held.engine} {held.precision}, --engine and "
                    f"--precision ask for {' '.join(asked)}"
                ), held
        return "", held

    def _join(self, wanted: Wanted, held: engine_pb2.HeldModel) -> str:
        """Becomes a member of a fleet, unless it is one; returns why it can't be."""
        spec = wanted.model.spec
        if self._joined.get(spec.revision) == held:
            return ""
        try:
            engine = RemoteEngine(self._connection, self._worker_id, held)
            wanted.fleet.join(self.target, engine)
        except MisfitError as error:
            return f"{error}; --engines-mixed allows other engines and precisions"
        except ValueError as error:
            return f"says what no engine is: {error}"
        self._joined[spec.revision] = held
        self._joined_at = time.monotonic()
        _logger.info(
            "engine joined",
            extra={
                "worker": self.target,
                "model": spec.id,
                "engine": held.engine,
                "precision": held.precision,
                "device": held.device,
            },
        )
        return ""

    def _leave(self, revision: str) -> None:
        if self._joined.pop(revision, None) is not None:
            self._wanted[revision].fleet.leave(self.target)

    def _leave_all(self, problem: str, error: EngineError | None = None) -> None:
        """Leaves all fleets; with an error, what it holds goes to others at once."""
        for revision in [*self._joined]:
            self._joined.pop(revision)
            fleet = self._wanted[revision].fleet
            if error is None:
                fleet.leave(self.target)
            else:
                fleet.lose(self.target, error)
        if self._processes.get(self._worker_id) == self.target:
            del self._processes[self._worker_id]
        self._tell(problem)

    def _tell(self, problem: str) -> None:
        """Logs a new problem, once."""
        if problem and problem != self._problem:
            _logger.warning("engine apart: %s", problem)
        self._problem = problem
