import dataclasses
import itertools

import pytest

from tests.unit.benchmarks.scale.nodes import CONSTANTS
from twopass.benchmarks.scale.measuring import PAUSES_SECONDS, _with_pauses
from twopass.benchmarks.scale.node import Node
from twopass.benchmarks.scale.resting import Paused, rested
from twopass.benchmarks.scale.waking import waking_of

BARE_MS = (CONSTANTS.front_core_ms + CONSTANTS.client_core_ms, 20 * 80 * 25.0 / 2000)


def paused(seconds, *, times=1.0, front_ms=0.0, second_ms=0.0):
    front, second = BARE_MS
    return Paused(
        seconds,
        num=10,
        front_ms=times * front + front_ms,
        second_ms=times * second + second_ms,
        core_ms=times * CONSTANTS.core_ms,
    )


def test_what_searches_take_beyond_their_computing_is_delay():
    found = rested(CONSTANTS, [paused(0.0, front_ms=1.0), paused(0.1, times=1.2, second_ms=3.0)])
    first, after = found.rests
    assert (first.seconds, first.times) == (0.0, 1.0)
    assert (first.front_ms, first.second_ms) == pytest.approx((1.0, 0.0), abs=0.2)
    assert (after.seconds, after.times) == (0.1, pytest.approx(1.2))
    # Before it has learned how fast it is, the server makes batches that are too small.
    assert (after.front_ms, after.second_ms) == pytest.approx((0.0, 3.0), abs=0.6)


def test_searches_alone_take_in_the_simulation_what_they_took():
    measured = paused(0.05, times=1.3, front_ms=2.0, second_ms=4.0)
    found = rested(CONSTANTS, [paused(0.0), measured])
    outcomes = Node(found).one_at_a_time(10, 0.05)
    mean = 1000 * sum(outcome.latency for outcome in outcomes) / len(outcomes)
    assert mean == pytest.approx(measured.front_ms + measured.second_ms, rel=0.02)


def test_a_longer_rest_makes_nothing_cheaper():
    found = rested(CONSTANTS, [paused(0.0), paused(0.1, times=1.3), paused(0.2, times=1.1)])
    assert [rest.times for rest in found.rests] == pytest.approx([1.0, 1.3, 1.3])


def test_constants_without_rests_are_as_they_were():
    found = rested(CONSTANTS, [paused(0.0)])
    assert dataclasses.replace(found, rests=CONSTANTS.rests) == CONSTANTS


@pytest.mark.parametrize(
    ("nearly_busy", "busy", "turn", "packing"),
    [(0.1, 2.1, 4.0, 0.0), (1.1, 2.1, 4.0, 0.5), (3.0, 2.1, 4.0, 1.0), (0.05, 2.1, 4.0, 0.0)],
)
def test_turns_and_packing_follow_from_how_late_threads_wake(nearly_busy, busy, turn, packing):
    waking = waking_of(0.1, nearly_busy, busy)
    assert waking.turn_ms == pytest.approx(turn)
    assert waking.packing == pytest.approx(packing)


def test_a_machine_without_contention_has_the_shortest_turns():
    assert waking_of(0.1, 0.1, 0.05).turn_ms > 0


def test_each_query_comes_after_each_pause_and_no_pause_tells_the_next():
    queries = [f"query {number}" for number in range(50)]
    searches = _with_pauses(queries)
    assert sorted(searches) == sorted(
        (pause, query) for pause in PAUSES_SECONDS for query in queries
    )
    pauses = [pause for pause, _ in searches]
    alike = sum(before == after for before, after in itertools.pairwise(pauses))
    assert alike < len(pauses) / 3
    assert _with_pauses(queries) == searches
