"""What the load test of isolation makes of what it measured."""

import dataclasses
import itertools
import os

import pytest

from twopass.commands.terminal.tables import print_table

from .isolation import observing, report
from .isolation.corpus import DIMENSION, chunk, heavy_filter
from .isolation.observing import Log, gauges_in, longest_overrun
from .isolation.probe import Latencies, latencies
from .isolation.report import Memory, Result
from .wire import Answer

MIB = 2**20
QUIET = Latencies(num_searches=100, p50=4.0, p99=10.0, slowest=12.0, num_failed=0)
SOUND = Result(
    name="uploads",
    quiet=QUIET,
    beside=dataclasses.replace(QUIET, p99=80.0, slowest=95.0),
    memory=Memory(300 * MIB, 500 * MIB, 310 * MIB),
    busy_seconds=0.2,
    overrun_ms=12.0,
    loop_ms=0.4,
    num_tracebacks=0,
    ended={"OK": 30},
    allowed=["CANCELLED", "OK"],
    leaves_work=False,
)


def test_a_search_waits_from_when_it_was_to_be_sent():
    sent_late = Answer(ended=10.5, seconds=0.1, trailers=b"\x00\x0bgrpc-status\x010")
    found = latencies([10.0], [sent_late])
    assert found == Latencies(num_searches=1, p50=500.0, p99=500.0, slowest=500.0, num_failed=0)


def test_a_search_that_is_broken_off_has_failed():
    assert latencies([1.0], [Answer(2.0, 1.0, None)]).num_failed == 1


def test_what_is_within_its_bounds_has_no_problems():
    assert SOUND.faults() + SOUND.broken_bounds() == []
    assert SOUND.bound_ms == 80.0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"beside": dataclasses.replace(QUIET, p99=80.1)}, "p99 80.1 ms, at most 80.0"),
        ({"memory": Memory(300 * MIB, 500 * MIB, 363 * MIB)}, "363 MiB afterwards, 300 before"),
        ({"busy_seconds": 1.1}, "busy for 1.1 s when all callers were gone"),
        ({"overrun_ms": 51.0}, "a lane went on for 51 ms"),
        ({"loop_ms": 4.4}, "4.4 ms of the event loop a message"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_broken_bound_is_a_sentence_that_names_the_neighbour(changes, problem):
    result = dataclasses.replace(SOUND, **changes)
    (sentence,) = result.broken_bounds()
    assert sentence.startswith("uploads: ")
    assert problem in sentence
    assert not result.faults()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"beside": dataclasses.replace(QUIET, num_failed=2)}, "uploads: 2 searches failed"),
        ({"num_tracebacks": 1}, "uploads: 1 tracebacks in the log"),
        ({"ended": {"OK": 1, "INTERNAL": 3}}, "uploads: calls ended with INTERNAL"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_fault_is_one_however_busy_the_machine_was(changes, fault):
    result = dataclasses.replace(SOUND, **changes)
    assert result.faults() == [fault]
    assert not result.broken_bounds()


def test_work_that_writes_leave_is_no_problem():
    assert dataclasses.replace(SOUND, busy_seconds=9.0, leaves_work=True).broken_bounds() == []


def test_what_the_server_does_not_tell_is_no_problem():
    assert dataclasses.replace(SOUND, overrun_ms=None, loop_ms=None).broken_bounds() == []


def test_results_that_were_saved_are_read_again(tmp_path):
    path = tmp_path / "results.json"
    report.save(path, [SOUND], {"seconds": 10})
    assert report.load(path) == {"uploads": SOUND}


def test_tables_have_an_earlier_run_beside(capsys):
    then = dataclasses.replace(SOUND, beside=dataclasses.replace(QUIET, p99=8_200.0))
    print_table(report.searches_table([SOUND], {"uploads": then}))
    print_table(report.server_table([SOUND], {"uploads": then}))
    printed = capsys.readouterr().out
    assert "p99 ms then" in printed
    assert "8,200.0" in printed
    assert "…" not in printed


def test_a_neighbour_without_an_earlier_run_leaves_its_cells_empty(capsys):
    print_table(report.searches_table([SOUND], {"exports": SOUND}))
    print_table(report.server_table([SOUND], {"exports": SOUND}))
    assert "uploads" in capsys.readouterr().out


METRICS = """\
# TYPE twopass_lane_longest_overrun_seconds gauge
twopass_lane_longest_overrun_seconds{lane="scans"} 0.031
twopass_lane_longest_overrun_seconds{lane="reads"} 0.002
# TYPE process_open_fds gauge
process_open_fds 20.0
# TYPE twopass_rejections_total counter
twopass_rejections_total{reason="calls"} 3.0
"""


def test_the_longest_overrun_is_that_of_any_lane():
    gauges = gauges_in(METRICS)
    assert gauges == {"twopass_lane_longest_overrun_seconds": {"scans": 0.031, "reads": 0.002}}
    assert longest_overrun(gauges) == 0.031
    assert longest_overrun({}) is None


def test_tracebacks_are_counted_once(tmp_path):
    log = tmp_path / "log"
    log.write_text('{"message": "serving"}\n{"exception": "Traceback (most recent call last)"}\n')
    lines = Log(log)
    assert lines.tracebacks_since() == 1
    assert lines.tracebacks_since() == 0
    with log.open("a") as more:
        more.write("Traceback (most recent call last):\n")
    assert lines.tracebacks_since() == 1


async def test_a_process_without_a_thread_at_work_is_idle(monkeypatch):
    looks = itertools.chain([True] * 5, itertools.repeat(False))
    monkeypatch.setattr(observing, "is_working", lambda _: next(looks))
    assert 0 < await observing.busy_after(0, patience=60.0) < 60.0


async def test_a_process_that_works_on_is_waited_for_as_long_as_there_is_patience(monkeypatch):
    looks = itertools.cycle([True, False])
    monkeypatch.setattr(observing, "is_working", lambda _: next(looks))
    assert await observing.busy_after(0, patience=1.0) == 1.0


async def test_memory_is_waited_for_until_it_is_given_back(monkeypatch):
    looks = itertools.chain([500, 400], itertools.repeat(300))
    monkeypatch.setattr(observing, "resident_bytes", lambda _: next(looks))
    assert await observing.memory_after(0, wanted=350) == 300


async def test_memory_that_is_never_given_back_is_what_there_is(monkeypatch):
    monkeypatch.setattr(observing, "_RETURN_SECONDS", 0.2)
    monkeypatch.setattr(observing, "resident_bytes", lambda _: 500)
    assert await observing.memory_after(0, wanted=350) == 500


def test_a_process_that_looks_at_itself_is_at_work():
    assert observing.is_working(os.getpid())


def test_the_event_loop_takes_the_time_of_the_main_thread():
    before = observing.loop_seconds(os.getpid())
    sum(range(1_000_000))
    assert observing.loop_seconds(os.getpid()) > before


def test_a_chunk_is_the_same_each_time_and_shares_no_id_with_another():
    first, again, second = chunk(0, 20), chunk(0, 20), chunk(1, 20)
    assert first == again
    assert not {d.id for d in first} & {d.id for d in second}
    assert all(len(document.vector.values) == DIMENSION for document in first)


def test_a_heavy_filter_is_within_what_the_contract_allows():
    assert len(heavy_filter().should) == 250  # of 256
