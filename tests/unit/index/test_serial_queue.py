"""Requests of one queue are worked on in turn and in groups, whichever thread does it."""

import gc
import threading
import time
import weakref
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from twopass.index.errors import CollectionClosedError
from twopass.index.lanes import Lane
from twopass.index.serial_queue import SerialQueue


@dataclass(frozen=True)
class Asked:
    number: int = 0
    future: "Future[int]" = field(default_factory=Future)


class Work:
    """Resolves each request by its number; waits for `release` first, if told to."""

    def __init__(self, *, is_held=False):
        self.groups = []
        self.threads = set()
        self.begun, self.release = threading.Event(), threading.Event()
        if not is_held:
            self.release.set()

    def __call__(self, group):
        self.begun.set()
        self.release.wait()
        self.groups.append([asked.number for asked in group])
        self.threads.add(threading.current_thread().name)
        for asked in group:
            if asked.number < 0:
                raise ValueError("negative")
            asked.future.set_result(asked.number)


@pytest.fixture
def lane():
    lane = Lane("test", 2, max_waiting=None)
    yield lane
    lane.close()


@pytest.fixture
def full_lane():
    """A lane with one thread, which is taken until `release` is set."""
    lane, release = Lane("full", 1, max_waiting=None), threading.Event()
    lane.submit(release.wait)
    lane.release = release
    yield lane
    release.set()
    lane.close()


def submitted(queue, *numbers):
    asked = [Asked(number) for number in numbers]
    for each in asked:
        queue.submit(each)
    return [each.future for each in asked]


def test_what_waits_together_is_one_group_up_to_the_bound_and_in_order(lane):
    work = Work(is_held=True)
    queue = SerialQueue("notes", lane, work, max_group=3)
    first = submitted(queue, 0)
    work.begun.wait()
    others = submitted(queue, *range(1, 8))
    work.release.set()
    assert [future.result() for future in first + others] == list(range(8))
    assert work.groups == [[0], [1, 2, 3], [4, 5, 6], [7]]
    queue.close()


def test_one_group_is_worked_on_at_a_time_whatever_the_lane(lane):
    running, most = [], []

    def work(group):
        running.append(1)
        most.append(len(running))
        time.sleep(0.001)
        running.pop()
        for asked in group:
            asked.future.set_result(0)

    queue = SerialQueue("notes", lane, work, max_group=1)
    for future in submitted(queue, *range(30)):
        future.result()
    assert max(most) == 1
    queue.close()


def test_queues_take_turns_in_a_lane(full_lane):
    order = []

    def worker(name):
        def work(group):
            for asked in group:
                order.append(name)
                asked.future.set_result(0)

        return work

    queues = [SerialQueue(name, full_lane, worker(name), max_group=1) for name in "ab"]
    futures = submitted(queues[0], *range(3)) + submitted(queues[1], *range(3))
    full_lane.release.set()
    for future in futures:
        future.result()
    assert order == ["a", "b"] * 3
    for queue in queues:
        queue.close()


def test_a_group_whose_work_raises_leaves_no_future_open_and_the_next_is_worked_on(lane):
    work = Work(is_held=True)
    queue = SerialQueue("notes", lane, work, max_group=3)
    submitted(queue, 0)
    work.begun.wait()
    sound, failing, after, later = submitted(queue, 1, -1, 2, 3)
    work.release.set()
    assert (sound.result(), later.result()) == (1, 3)
    for future in (failing, after):
        with pytest.raises(ValueError, match="negative"):
            future.result()
    queue.close()


def test_a_request_that_is_cancelled_before_its_turn_is_left_out(lane):
    work = Work(is_held=True)
    queue = SerialQueue("notes", lane, work, max_group=3)
    submitted(queue, 0)
    work.begun.wait()
    kept, cancelled = submitted(queue, 1, 2)
    assert cancelled.cancel()
    work.release.set()
    kept.result()
    queue.close()
    assert work.groups == [[0], [1]]


def test_closing_finishes_what_was_submitted_though_no_thread_of_the_lane_is_free(full_lane):
    work = Work()
    queue = SerialQueue("notes", full_lane, work, max_group=2)
    futures = submitted(queue, *range(5))
    queue.close()
    assert [future.result(0) for future in futures] == list(range(5))
    assert work.groups == [[0, 1], [2, 3], [4]]
    assert work.threads == {threading.current_thread().name}
    with pytest.raises(CollectionClosedError, match="notes"):
        queue.submit(Asked())


def test_closing_waits_for_the_group_that_is_worked_on_and_does_the_rest_itself(lane):
    work = Work(is_held=True)
    queue = SerialQueue("notes", lane, work, max_group=2)
    running = submitted(queue, 0)
    work.begun.wait()
    waiting = submitted(queue, 1, 2, 3)
    closing = [threading.Thread(target=queue.close) for _ in range(3)]
    for thread in closing:
        thread.start()
    assert not waiting[0].done()
    work.release.set()
    for thread in closing:
        thread.join()
    assert [future.result(0) for future in running + waiting] == [0, 1, 2, 3]
    assert work.groups == [[0], [1, 2], [3]]


def test_closing_that_discards_refuses_what_waits(full_lane):
    work = Work()
    queue = SerialQueue("notes", full_lane, work, max_group=2)
    futures = submitted(queue, *range(3))
    queue.close(discard=True)
    for future in futures:
        with pytest.raises(CollectionClosedError):
            future.result(0)
    assert work.groups == []


def test_what_waits_when_the_lane_is_closed_is_done_by_closing_the_queue(lane):
    work = Work(is_held=True)
    queue = SerialQueue("notes", lane, work, max_group=1)
    submitted(queue, 0)
    work.begun.wait()
    waiting = submitted(queue, 1, 2)
    closing = threading.Thread(target=lane.close)
    closing.start()
    while not lane._closed:
        time.sleep(0.001)
    work.release.set()
    closing.join()
    queue.close()
    assert [future.result(0) for future in waiting] == [1, 2]


def test_a_queue_is_busy_from_when_something_waits_until_it_is_done(full_lane):
    queue = SerialQueue("notes", full_lane, Work(), max_group=1)
    assert not queue.is_busy
    (future,) = submitted(queue, 1)
    assert queue.is_busy
    full_lane.release.set()
    future.result()
    queue.close()
    assert not queue.is_busy


def test_the_owner_of_a_closed_queue_is_freed_at_once(full_lane):
    class Owner:
        def __init__(self):
            self.queue = SerialQueue("notes", full_lane, self.work, max_group=1)

        def work(self, group):
            for asked in group:
                asked.future.set_result(0)

    owner = Owner()
    submitted(owner.queue, 1)
    owner.queue.close()
    freed = weakref.ref(owner)
    gc.disable()
    try:
        del owner
        assert freed() is None
    finally:
        gc.enable()
