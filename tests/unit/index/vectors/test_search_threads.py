"""Pieces of a search are done once each, by whoever is free."""

import threading

import pytest

from twopass.index.lanes import Lane
from twopass.index.vectors.search_threads import ALONE, SearchThreads


@pytest.fixture
def lane():
    made = Lane("vectors", 3)
    yield made
    made.close()


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("num_pieces", [0, 1, 2, 50])
def test_results_come_in_the_order_of_the_pieces(lane, count, num_pieces):
    threads = SearchThreads(count, lane)
    assert threads.each(lambda n: n * n, range(num_pieces)) == [n * n for n in range(num_pieces)]


def test_several_threads_work_at_once(lane):
    together = threading.Barrier(3, timeout=60)
    threads = SearchThreads(3, lane)
    names = threads.each(lambda _: (together.wait(), threading.current_thread().name)[1], range(3))
    assert len(set(names)) == 3


def test_where_the_lane_is_busy_the_calling_thread_does_it_all(lane):
    leave = threading.Event()
    busy = [lane.submit(leave.wait) for _ in range(3)]
    names = SearchThreads(8, lane).each(lambda _: threading.current_thread().name, range(9))
    leave.set()
    assert set(names) == {threading.current_thread().name}
    assert all(future.result() for future in busy)


def test_a_search_within_the_lane_waits_for_no_thread_of_it():
    lane = Lane("vectors", 1)
    searched = lane.submit(lambda: SearchThreads(4, lane).each(lambda n: n, range(10)))
    assert searched.result(timeout=60) == [*range(10)]
    lane.close()


@pytest.mark.parametrize("full", [True, False])
def test_a_lane_that_takes_nothing_stops_no_search(full):
    lane = Lane("vectors", 1, max_waiting=0) if full else Lane("vectors", 1)
    if not full:
        lane.close()
    assert SearchThreads(4, lane).each(lambda n: n, range(10)) == [*range(10)]
    lane.close()


@pytest.mark.parametrize("failing", [0, 5, 29])
def test_the_first_error_ends_the_search_and_nothing_runs_afterwards(lane, failing):
    running = 0
    counting = threading.Lock()

    def work(number):
        nonlocal running
        with counting:
            running += 1
        try:
            if number == failing:
                raise ValueError(f"piece {number}")
        finally:
            with counting:
                running -= 1

    for threads in (ALONE, SearchThreads(3, lane)):
        with pytest.raises(ValueError, match=f"piece {failing}"):
            threads.each(work, range(30))
        assert running == 0
