"""Until when each part of a search is waited for."""

from types import SimpleNamespace

import pytest

from twopass.server.request import Request
from twopass.server.search.ends import CollectionPace, Paces, late


def request_of(*, budget: float | None = None, deadline: float | None = None) -> Request:
    """A request that came at second 100."""
    request = Request(received=100.0, deadline=None if deadline is None else 100.0 + deadline)
    request.budget_end = None if budget is None else 100.0 + budget
    return request


def test_without_a_budget_everything_ends_at_the_deadline():
    ends = CollectionPace().ends(request_of(deadline=3.0))
    assert (ends.passes, ends.answer) == (103.0, 103.0)
    ends = CollectionPace().ends(request_of())
    assert (ends.passes, ends.answer) == (None, None)


def test_of_a_budget_some_is_kept_for_reading_the_hits():
    ends = CollectionPace().ends(request_of(budget=0.05))
    assert ends.passes == pytest.approx(100.044)


def test_a_search_that_has_found_everything_may_be_a_little_late():
    ends = CollectionPace().ends(request_of(budget=0.05))
    assert 100.05 < ends.answer < 100.06


def test_where_hits_took_long_lately_more_is_kept_for_them():
    pace = CollectionPace()
    for _ in range(200):
        pace.answered(0.01)
    assert pace.ends(request_of(budget=0.1)).passes == pytest.approx(100.08, abs=1e-3)
    for _ in range(200):
        pace.answered(0.001)
    assert pace.ends(request_of(budget=0.1)).passes == pytest.approx(100.094, abs=1e-3)


def test_no_more_than_half_of_a_budget_is_kept():
    pace = CollectionPace()
    assert pace.ends(request_of(budget=0.004)).passes == pytest.approx(100.002)
    for _ in range(200):
        pace.answered(1.0)
    assert pace.ends(request_of(budget=0.1)).passes == pytest.approx(100.05)


def test_no_part_is_waited_for_beyond_the_deadline():
    ends = CollectionPace().ends(request_of(budget=5.0, deadline=3.0))
    assert (ends.passes, ends.answer) == (103.0, 103.0)


WHOLE, IN_WINDOWS = ("reranker", False), ("reranker", True)


def test_passages_are_expected_to_be_as_long_as_the_last_ones():
    pace = CollectionPace()
    pace.scored(WHOLE, 0, 0)
    assert pace.num_tokens(WHOLE, 10) == 0
    pace.scored(WHOLE, 10, 1_000)
    assert pace.num_tokens(WHOLE, 3) == 300
    for _ in range(200):
        pace.scored(WHOLE, 10, 500)
    assert pace.num_tokens(WHOLE, 100) == pytest.approx(5_000, rel=0.01)


def test_what_passages_cost_in_windows_says_nothing_of_passages_that_are_cut():
    pace = CollectionPace()
    pace.scored(IN_WINDOWS, 10, 40_000)
    assert pace.num_tokens(WHOLE, 10) == 0
    pace.scored(WHOLE, 10, 1_000)
    assert pace.num_tokens(IN_WINDOWS, 10) == 40_000


def test_an_expectation_that_refuses_is_given_up_in_time():
    pace = CollectionPace()
    pace.scored(WHOLE, 10, 5_000)
    for _ in range(100):
        pace.refused(WHOLE)
    assert pace.num_tokens(WHOLE, 10) < 200
    pace.refused(IN_WINDOWS)
    assert pace.num_tokens(IN_WINDOWS, 10) == 0


def collection_of(life: int) -> SimpleNamespace:
    return SimpleNamespace(incarnation=f"{life:032x}")


def test_each_life_of_a_collection_has_its_own_pace_whatever_object_stands_for_it():
    paces = Paces()
    paces.of(collection_of(1)).answered(1.0)
    assert paces.of(collection_of(1)).answer_seconds > 0
    assert paces.of(collection_of(2)).answer_seconds == 0.0


def test_the_paces_of_so_many_collections_are_kept_those_searched_last():
    paces = Paces()
    paces.of(collection_of(0)).answered(1.0)
    paces.of(collection_of(1)).answered(1.0)
    for life in range(2, 4_097):
        assert paces.of(collection_of(0)).answer_seconds > 0
        paces.of(collection_of(life))
    assert paces.of(collection_of(1)).answer_seconds == 0.0
    assert len(paces._paces) == 4_096


def test_what_is_late_names_the_budget_and_what_was_not_done():
    error = late(request_of(budget=0.05), "no candidate was found")
    assert "time_budget: 50 ms given, and within them no candidate was found" in str(error)
    assert str(late(request_of(), "nothing")).startswith("deadline: it ran out; nothing")


def test_comparing_hits_takes_of_the_grace_and_leaves_the_time_to_read_them():
    ends = CollectionPace().ends(request_of(budget=0.2))
    assert ends.passes < ends.arranged < ends.answer
    assert ends.answer - ends.arranged == pytest.approx(0.006 + 0.015)
    assert CollectionPace().ends(request_of(deadline=3.0)).arranged == 103.0
