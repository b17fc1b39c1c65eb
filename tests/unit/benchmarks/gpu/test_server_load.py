"""A server under client processes: figures, processor time of both sides, and who was full."""

import os
import threading
import time

import pytest

from twopass.benchmarks.gpu.processor_time import main_thread_seconds, process_seconds
from twopass.benchmarks.gpu.server_load import (
    Load,
    Loaded,
    Turn,
    divided,
    figures,
    middle,
    percentile_ms,
    started_on,
)


def loaded(**others):
    known = {
        "pairs_per_second": 1_000.0,
        "latencies_ms": (1.0, 2.0, 3.0),
        "server_cores": 3.0,
        "loop_busy": 0.5,
        "callers_busy": 0.3,
        "device_busy": None,
        "server_cpu_us": 30.0,
    }
    return Loaded(**known | others)


@pytest.mark.parametrize(
    ("others", "full"),
    [
        ({}, ""),
        ({"callers_busy": 0.97}, "the callers"),
        ({"loop_busy": 0.95}, "the server's event loop"),
        ({"server_cores": 11.5}, "the server's processors"),
        ({"device_busy": 0.99}, "the device"),
        ({"callers_busy": 0.95, "device_busy": 0.95}, "the callers, the device"),
    ],
)
def test_who_had_no_time_left_is_named(others, full):
    assert loaded(**others).full(12) == full


def test_the_turn_that_is_told_is_the_median_one_by_speed():
    turns = [loaded(pairs_per_second=speed) for speed in (3.0, 1.0, 2.0)]
    assert middle(turns).pairs_per_second == 2.0
    assert middle(turns[:2]).pairs_per_second == 3.0


def test_an_answer_is_of_the_turn_in_which_it_came():
    load = Load(case="", address="", num_pairs=40, under_way=2, seconds=2.0, turns=2)
    turns = [
        Turn(began, began + 2, [1.0, 0.5, 0.1], [3.0, 1.5, 0.2], device_busy=0.5)
        for began in (10.0, 12.0)
    ]
    answered = [(9.0, 9.9), (9.5, 10.0), (11.0, 11.5), (11.9, 12.1), (13.9, 14.0)]
    first, second = (figures(each, answered, load) for each in turns)
    assert (first.pairs_per_second, second.pairs_per_second) == (40.0, 20.0)
    assert first.latencies_ms == pytest.approx((500.0, 500.0))
    assert (first.server_cores, first.loop_busy, first.device_busy) == (1.0, 0.5, 0.5)
    assert first.callers_busy == pytest.approx(0.05)


def test_percentiles_are_of_all_turns_together_and_none_where_they_are_too_few():
    turns = [loaded(latencies_ms=(1.0, 5.0)), loaded(latencies_ms=(2.0, 3.0))]
    assert percentile_ms(turns, 500) == 2.0
    assert percentile_ms(turns, 990) is None


def test_processors_are_divided_and_none_is_nobodys():
    mine = os.sched_getaffinity(0)
    cpus = divided()
    assert {*cpus.server} | {*cpus.callers} == mine
    if len(mine) > 1:
        assert not {*cpus.server} & {*cpus.callers}
        assert len(cpus.server) >= len(cpus.callers)


def test_processes_of_a_block_are_started_on_its_processors_and_later_ones_are_not():
    before = os.sched_getaffinity(0)
    one = min(before)
    with started_on([one]):
        assert os.sched_getaffinity(0) == {one}
    assert os.sched_getaffinity(0) == before


def test_processor_time_counts_all_threads_and_the_first_one_apart():
    pid = os.getpid()
    process, first = process_seconds(pid), main_thread_seconds(pid)

    def work():
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass

    other = threading.Thread(target=work)
    other.start()
    other.join()
    assert process_seconds(pid) - process >= 0.08  # the kernel counts in hundredths
    assert main_thread_seconds(pid) - first < 0.09
