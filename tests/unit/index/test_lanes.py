import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest

from twopass.index.errors import LaneFullError, StoppedError
from twopass.index.lanes import Lane, Lanes, wait_for
from twopass.index.stopping import NEVER, Stop


@pytest.fixture
def lane():
    lane = Lane("test", 1, max_waiting=2)
    yield lane
    lane.close()


class Held:
    """A call that runs until it is let go."""

    def __init__(self) -> None:
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        self.release.wait()
        return "done"


def test_calls_are_done_in_turn_and_their_results_and_errors_come_back():
    lane = Lane("test", 1)
    order: list[int] = []
    futures = [lane.submit(order.append, i) for i in range(3)]
    failed = lane.submit(lambda: 1 / 0)
    assert isinstance(failed.exception(), ZeroDivisionError)
    assert order == [0, 1, 2]
    assert [future.result() for future in futures] == [None] * 3
    lane.close()


def test_no_more_run_than_there_are_threads_and_no_more_wait_than_may(lane):
    held = Held()
    running = lane.submit(held)
    held.begun.wait()
    waiting = [lane.submit(int), lane.submit(int)]
    with pytest.raises(LaneFullError, match="test: 2 wait, which is the most"):
        lane.submit(int)
    assert (lane.num_running, lane.num_waiting) == (1, 2)
    held.release.set()
    assert [running.result(), *(w.result() for w in waiting)] == ["done", 0, 0]


def test_what_is_stopped_before_its_turn_never_gets_a_thread(lane):
    held, stop, calls = Held(), Stop(), []
    lane.submit(held)
    held.begun.wait()
    stopped = lane.submit(calls.append, 1, stop=stop)
    stop.set()
    held.release.set()
    lane.submit(int).result()
    assert stopped.cancelled()
    assert calls == []


async def test_who_waits_is_told_of_a_stop_at_once_though_the_call_still_runs(lane):
    held, stop = Held(), Stop()
    waiting = asyncio.create_task(lane.run(held, stop=stop))
    await asyncio.to_thread(held.begun.wait)
    stop.set()
    with pytest.raises(StoppedError):
        await waiting
    assert lane.num_running == 1
    held.release.set()
    assert await lane.run(int) == 0
    assert lane.longest_overrun > 0


async def test_a_waiting_call_is_dropped_with_the_task_that_waits_for_it(lane):
    held, calls = Held(), []
    running = asyncio.create_task(lane.run(held))
    await asyncio.to_thread(held.begun.wait)
    waiting = asyncio.create_task(lane.run(calls.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    held.release.set()
    assert await running == "done"
    await lane.run(int)
    assert calls == []


async def test_what_a_call_raises_is_raised_where_it_is_awaited(lane):
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 / 0)


async def test_what_is_stopped_already_is_not_begun(lane):
    stop, calls = Stop(), []
    stop.set()
    with pytest.raises(StoppedError):
        await lane.run(calls.append, 1, stop=stop)
    assert calls == []


async def test_one_of_those_who_wait_for_a_future_may_stop_and_the_others_get_its_result():
    future, stop = Future(), Stop()
    waiting = [asyncio.create_task(wait_for(future, s)) for s in (stop, NEVER, Stop())]
    await asyncio.sleep(0)
    stop.set()
    with pytest.raises(StoppedError):
        await waiting[0]
    assert not future.cancelled()
    future.set_result("done")
    assert await asyncio.gather(*waiting[1:]) == ["done"] * 2
    assert await wait_for(future, NEVER) == "done"


async def test_who_waits_for_a_future_that_fails_gets_its_error():
    future = Future()
    waiting = asyncio.create_task(wait_for(future, NEVER))
    await asyncio.sleep(0)
    future.set_exception(LookupError("lost"))
    with pytest.raises(LookupError, match="lost"):
        await waiting


def test_a_closed_lane_has_done_what_waited_and_takes_nothing_more():
    lane = Lane("test", 2)
    futures = [lane.submit(int) for _ in range(10)]
    lane.close()
    lane.close()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        lane.submit(int)


def test_maintenance_is_less_urgent_than_everything_else():
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    lanes = Lanes.for_cpus(2)
    try:
        usual = lanes.reads.submit(niceness).result()
        assert lanes.maintenance.submit(niceness).result() > usual
        assert lanes.scans.submit(niceness).result() == usual
    finally:
        lanes.close()


def test_a_lane_that_gets_no_further_thread_goes_on_with_those_it_has(monkeypatch):
    lane = Lane("test", 2)
    held = Held()
    running = lane.submit(held)
    held.begun.wait()

    def refused(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        waiting = [lane.submit(int) for _ in range(3)]
    assert not any(each.done() for each in waiting)
    held.release.set()
    assert [running.result(), *(each.result() for each in waiting)] == ["done", 0, 0, 0]
    lane.close()


def test_a_lane_that_gets_no_thread_at_all_refuses_and_is_of_use_later(monkeypatch):
    lane = Lane("test", 1)

    def refused(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            lane.submit(int)
    assert lane.num_waiting == 0
    assert [lane.submit(str, n).result() for n in range(3)] == ["0", "1", "2"]
    lane.close()


def test_a_program_that_ends_while_threads_wait_for_work_says_nothing():
    program = (
        "from twopass.index.lanes import Lane\n"
        "lane = Lane('test', 2)\n"
        "assert lane.submit(lambda: 1).result() == 1\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
