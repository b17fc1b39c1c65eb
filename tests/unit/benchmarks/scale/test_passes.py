import dataclasses

import pytest

from twopass.benchmarks.scale.alone import Alone, Answered
from twopass.benchmarks.scale.passes import told_apart
from twopass.client import RerankStatus, RetrieveStatus, SearchResult, Timings

NOTHING = Timings(**dict.fromkeys(f.name for f in dataclasses.fields(Timings)))
EMPTY = SearchResult(
    (), RetrieveStatus.COMPLETE, RerankStatus.COMPLETE, 0, 0, 0, 0.0, "", "", "", NOTHING
)


def alone(waited_ms, *, server, loop, second_ms=0.0):
    timings = dataclasses.replace(NOTHING, rerank_ms=second_ms)
    answered = dataclasses.replace(EMPTY, timings=timings)
    return Alone([Answered(0.0, answered, waited_ms, server, loop, 1.0, 20)])


FIRST = alone(8.0, server=6.0, loop=2.0)


def test_the_way_costs_more_after_a_second_pass_by_as_much_as_it_takes_longer():
    both = alone(22.0, server=30.0, loop=4.0, second_ms=10.0)
    found = told_apart(FIRST, both, 20.0)
    # The way takes 12 ms instead of 8.
    assert (found.front, found.front_loop) == pytest.approx((9.0, 3.0))
    assert (found.second, found.second_loop) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("engine_core_ms", [0.0, 15.0, 20.0, 25.0, 40.0])
@pytest.mark.parametrize("loop", [1.0, 4.0, 9.0])
def test_parts_are_what_was_measured_and_none_is_more_than_its_whole(loop, engine_core_ms):
    both = alone(22.0, server=30.0, loop=loop, second_ms=10.0)
    found = told_apart(FIRST, both, engine_core_ms)
    assert found.front_loop + found.second_loop == pytest.approx(loop)
    assert found.front + found.second == pytest.approx(max(loop, 30.0 - engine_core_ms))
    assert 0.0 <= found.front_loop <= found.front + 1e-9
    assert 0.0 <= found.second_loop <= found.second + 1e-9
