"""What becomes of engines that do not come back."""

import asyncio
from concurrent.futures import Future
from itertools import count

import pytest

from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError
from twopass.server.models.restarting import RestartingEngine
from twopass.server.models.supervisor import EnginesLostError, Supervisor
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.telemetry.metrics import Metrics

from ..scripted import ScriptedEngine, scripted_reranker


class BrokenEngine(ScriptedEngine):
    """Fails as a device does whose context is lost."""

    def __init__(self, error=None):
        super().__init__()
        self._error = error or DeviceError("CUDA error 700")

    def submit(self, batch):
        future: Future = Future()
        future.set_exception(self._error)
        return future


def supervisor(engine, *, give_up_seconds: float) -> Supervisor:
    arbiter = Arbiter(max_queued_pairs=100)
    return Supervisor(
        [scripted_reranker(engine)],
        arbiter,
        Metrics(),
        probe_seconds=0.01,
        timeout_seconds=1.0,
        give_up_seconds=give_up_seconds,
    )


@pytest.fixture
def told():
    """What health was told, and how to tell it."""
    states: list[bool] = []

    async def tell(is_well: bool) -> None:
        states.append(is_well)

    return states, tell


async def test_engines_that_do_not_come_back_are_given_up_after_a_while(told):
    states, tell = told
    engine = RestartingEngine("m", BrokenEngine(), BrokenEngine)
    with pytest.raises(EnginesLostError, match=r"have not answered for 0\.5 s"):
        async with asyncio.timeout(10):
            await supervisor(engine, give_up_seconds=0.5).watch(tell)
    engine.close()
    assert states == [False]


async def test_unless_told_so_they_are_never_given_up(told):
    states, tell = told
    engine = RestartingEngine("m", BrokenEngine(), BrokenEngine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await supervisor(engine, give_up_seconds=0).watch(tell)
    engine.close()
    assert states == [False]


class BuggyEngine(ScriptedEngine):
    """Raises where it is called."""

    def submit(self, batch):
        raise RuntimeError("cannot schedule new futures after shutdown")


@pytest.mark.parametrize(
    "make",
    [lambda: BrokenEngine(OutOfDeviceMemoryError("no room")), BuggyEngine],
    ids=["no room for a probe", "a bug"],
)
async def test_whatever_keeps_an_engine_from_a_probe_it_is_built_anew(told, make):
    states, tell = told
    engine = RestartingEngine("m", make(), ScriptedEngine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await supervisor(engine, give_up_seconds=0).watch(tell)
    assert states == [False, True]
    engine.close()


async def test_an_engine_that_comes_back_in_time_is_kept(told):
    states, tell = told
    built = count()
    # The second that is built is sound.
    engine = RestartingEngine(
        "m", BrokenEngine(), lambda: BrokenEngine() if next(built) < 1 else ScriptedEngine()
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await supervisor(engine, give_up_seconds=2).watch(tell)
    assert states == [False, True]
    engine.close()
