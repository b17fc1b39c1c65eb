"""What becomes of engines that do not come back."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from concurrent.futures import Future
from contextlib import asynccontextmanager
from itertools import count

import numpy as np
import pytest

from twopass.engines.errors import (
    DeviceError,
    EngineBusyError,
    NonFiniteOutputError,
    OutOfDeviceMemoryError,
)
from twopass.server.models import supervisor as supervisor_module
from twopass.server.models.restarting import RestartingEngine
from twopass.server.models.supervisor import EnginesLostError, Supervisor, probe_batch
from twopass.server.models.warming import warm_up
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.telemetry.metrics import Metrics

from ..scripted import ScriptedEngine, compute, logits_of, rows_of, scripted_reranker, settled


class BrokenEngine(ScriptedEngine):
    """Fails as a device does whose context is lost."""

    def __init__(self, error=None):
        super().__init__()
        self._error = error or DeviceError("CUDA error 700")

    def submit(self, batch):
        future: Future = Future()
        future.set_exception(self._error)
        return future


def restarting(first: ScriptedEngine, build) -> RestartingEngine:
    """An engine of the scripted model, replaced by what `build` makes."""
    return RestartingEngine(scripted_reranker(first), lambda: scripted_reranker(build()))


def supervisor(engine, *, give_up_seconds: float) -> Supervisor:
    watcher, _ = watched(engine, give_up_seconds=give_up_seconds)
    return watcher


def watched(
    engine,
    *,
    probe_seconds: float = 0.01,
    give_up_seconds: float = 0,
    max_queued_tokens: int = 2**62,
) -> tuple[Supervisor, Arbiter]:
    """A supervisor of an engine, and the arbiter that feeds it."""
    arbiter = Arbiter(max_queued_pairs=100, max_queued_tokens=max_queued_tokens)
    watcher = Supervisor(
        [scripted_reranker(engine)],
        arbiter,
        Metrics(),
        probe_seconds=probe_seconds,
        timeout_seconds=60.0,
        give_up_seconds=give_up_seconds,
    )
    return watcher, arbiter


@pytest.fixture
def told():
    """What health was told, and how to tell it."""
    states: list[bool] = []

    async def tell(silent: Collection[str]) -> None:
        states.append(not silent)

    return states, tell


@asynccontextmanager
async def watching(watcher: Supervisor, tell) -> AsyncIterator[asyncio.Task[None]]:
    """Has a supervisor watch in the block."""
    task = asyncio.create_task(watcher.watch(tell))
    yield task
    task.cancel()


async def told_at_last(states: list[bool], wanted: list[bool]) -> None:
    """Waits until health was told so; a busy machine takes seconds."""
    async with asyncio.timeout(60):
        while states != wanted:  # noqa: ASYNC110  # the list has no event
            await asyncio.sleep(0.01)


async def test_engines_that_do_not_come_back_are_given_up_after_a_while(told, clock):
    states, tell = told
    engine = restarting(BrokenEngine(), BrokenEngine)
    async with watching(supervisor(engine, give_up_seconds=100), tell) as task:
        await told_at_last(states, [False])
        await clock.passes(90)
        assert not task.done()
        await clock.passes(20)
        with pytest.raises(EnginesLostError, match="have not answered for 100 s"):
            await task
    engine.close()
    assert states == [False]


async def test_unless_told_so_they_are_never_given_up(told, clock):
    states, tell = told
    engine = restarting(BrokenEngine(), BrokenEngine)
    async with watching(supervisor(engine, give_up_seconds=0), tell) as task:
        await told_at_last(states, [False])
        for _ in range(10):
            await clock.passes(100_000)
        assert not task.done()
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
    engine = restarting(make(), ScriptedEngine)
    async with watching(supervisor(engine, give_up_seconds=0), tell):
        await told_at_last(states, [False, True])
    engine.close()


class OverflowingEngine(ScriptedEngine):
    """Computes no number of sequences that hold a certain token, and all others."""

    def __init__(self, is_spoilt=lambda rows: [OVERFLOWS in row for row in rows]):
        super().__init__()
        self._is_spoilt = is_spoilt
        self.num_probed_rows = 0

    def submit(self, batch):
        rows = rows_of(batch)
        self.num_probed_rows += sum(OVERFLOWS not in row for row in rows)
        logits = np.where(self._is_spoilt(rows), np.nan, logits_of(rows))
        future: Future = Future()
        future.set_result(logits.astype(np.float32))
        return future


OVERFLOWS = 7


async def test_a_text_that_overflows_fails_alone_again_and_again_without_a_restart(told):
    states, tell = told
    engine = restarting(OverflowingEngine(), ScriptedEngine)
    first = engine._engine
    watcher, arbiter = watched(engine)
    watching = asyncio.create_task(watcher.watch(tell))
    for _ in range(5):
        spoilt = compute(arbiter, engine, [[1, 2], [OVERFLOWS, 2]])
        sound = compute(arbiter, engine, [[3, 4]])
        with pytest.raises(NonFiniteOutputError, match="sequence 1 of 2"):
            await spoilt
        assert (await sound).output.tolist() == [7.0]
        num_probed = first.num_probed_rows
        async with asyncio.timeout(60):
            while first.num_probed_rows == num_probed:  # noqa: ASYNC110  # the count has no event
                await asyncio.sleep(0.005)
    assert engine._engine is first
    assert states == []
    watching.cancel()
    engine.close()


async def test_many_texts_that_overflow_cost_a_few_probes_a_second(told, clock):
    first = OverflowingEngine()
    engine = restarting(first, ScriptedEngine)
    watcher, arbiter = watched(engine, probe_seconds=60)
    watching = asyncio.create_task(watcher.watch(told[1]))
    began = time.perf_counter()
    for _ in range(50):
        with pytest.raises(NonFiniteOutputError):
            await compute(arbiter, engine, [[OVERFLOWS]])
        await clock.passes(0.05)
    num_probes = first.num_probed_rows / len(probe_batch(scripted_reranker(first)))
    assert 1 <= num_probes <= (time.perf_counter() - began) / supervisor_module._IMPATIENT_SECONDS
    watching.cancel()
    engine.close()


async def test_an_engine_that_computes_no_numbers_at_all_is_built_anew():
    states, is_well_again = [], asyncio.Event()

    async def tell(silent: Collection[str]) -> None:
        states.append(not silent)
        if not silent:
            is_well_again.set()

    engine = restarting(OverflowingEngine(lambda rows: [True] * len(rows)), ScriptedEngine)
    watcher, arbiter = watched(engine)
    watching = asyncio.create_task(watcher.watch(tell))
    with pytest.raises(NonFiniteOutputError):
        await compute(arbiter, engine, [[1, 2]])
    async with asyncio.timeout(10):
        await is_well_again.wait()
    assert states == [False, True]
    assert (await compute(arbiter, engine, [[1, 2]])).output.tolist() == [3.0]
    watching.cancel()
    engine.close()


async def test_an_engine_that_comes_back_in_time_is_kept(told):
    states, tell = told
    built = count()
    # The second that is built is sound.
    engine = restarting(
        BrokenEngine(), lambda: BrokenEngine() if next(built) < 1 else ScriptedEngine()
    )
    watcher = supervisor(engine, give_up_seconds=60)
    async with watching(watcher, tell) as task:
        await told_at_last(states, [False, True])
        assert not task.done()
    assert states == [False, True]
    engine.close()


class BusyEngine(ScriptedEngine):
    """Computes nothing to its end but probes.

    Attributes:
        was_probed: Set by the third of them.
    """

    def __init__(self):
        super().__init__()
        self.was_probed = asyncio.Event()
        self._num_probes = 0.0

    def submit(self, batch):
        probe = rows_of(probe_batch(scripted_reranker(self)))
        self.is_held = rows_of(batch)[0] != probe[0]
        if not self.is_held:
            self._num_probes += len(batch) / len(probe)
        if self._num_probes >= 3:
            self.was_probed.set()
        return super().submit(batch)


async def test_an_engine_is_probed_and_kept_while_others_fill_its_queue(told):
    states, tell = told
    busy = BusyEngine()
    engine = restarting(busy, ScriptedEngine)
    watcher, arbiter = watched(engine, max_queued_tokens=20)
    waiting = [compute(arbiter, engine, [[1] * 20]) for _ in range(2)]
    await settled()
    assert arbiter.backlog.waiting_tokens == 20
    watching = asyncio.create_task(watcher.watch(tell))
    async with asyncio.timeout(10):
        await busy.was_probed.wait()
    assert engine._engine is busy
    assert states == []
    for task in (watching, *waiting):
        task.cancel()
    engine.close()


async def test_an_engine_that_others_keep_busy_answers_and_is_warm(told, clock):
    """One that is apart computes for several servers, and refuses what it has no room for."""
    states, tell = told
    engine = BrokenEngine(EngineBusyError("the queue is full"))
    watcher, arbiter = watched(engine, give_up_seconds=100)
    await warm_up([scripted_reranker(engine)], arbiter)
    async with watching(watcher, tell) as task:
        for _ in range(10):
            await clock.passes(1_000)
        assert not task.done()
    assert states == []
