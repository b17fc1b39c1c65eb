"""What the second pass changed, counted for each collection."""

import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from twopass.server.search.types import RerankStatus, RetrieveStatus
from twopass.server.telemetry.relevance import (
    MARGIN_EDGES,
    OTHERS,
    PLACE_EDGES,
    RERANK_STATUSES,
    RETRIEVE_STATUSES,
    SCORE_EDGES,
    Place,
)
from twopass.server.telemetry.relevance_metrics import relevance_metrics
from twopass.server.telemetry.relevance_report import RelevanceReport
from twopass.server.telemetry.rolling import MAX_SECONDS

from .counted import HOUR, Counted, effect


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_every_status_of_a_search_has_its_count():
    assert set(RETRIEVE_STATUSES) == {status.value for status in RetrieveStatus}
    assert set(RERANK_STATUSES) == {status.value for status in RerankStatus}


def test_no_two_counts_share_a_place():
    singles = [value for name, value in vars(Place).items() if name.isupper() and name != "END"]
    assert len(set(singles)) == len(singles)
    assert max(singles) < Place.END


@pytest.mark.parametrize(
    ("top", "first", "three", "all_hits", "kept", "moves"),
    [
        ([0, 1, 2, 3], 0, 0, 0, 4, 0),
        ([1, 0, 2, 3], 1, 0, 0, 4, 2),
        ([0, 1, 3, 2], 0, 1, 0, 4, 2),
        ([0, 1, 2, 9], 0, 0, 1, 3, 6),
        ([9, 0, 1, 2], 1, 1, 1, 3, 12),
        ([0], 0, 0, 0, 1, 0),
        ([4], 1, 1, 1, 0, 4),
    ],
)
def test_an_order_is_compared_with_the_first_pass(
    counted, top, first, three, all_hits, kept, moves
):
    counted.search(effect(top))
    report = counted.report()
    assert report[Place.COMPARED] == 1
    assert report[Place.FIRST_CHANGED] == first
    assert report[Place.THREE_CHANGED] == three
    assert report[Place.TOP_CHANGED] == all_hits
    assert report.overlap == kept / len(top)
    assert report.mean_displacement == moves / len(top)


def test_a_later_page_is_not_compared_but_its_cost_is_counted(counted):
    counted.search(effect([]))
    report = counted.report()
    assert (report[Place.COMPARED], report.num_reranked, report.num_searches) == (0, 1, 1)


def test_searches_without_a_second_pass_are_counted_by_the_reason(counted):
    for status in ("skipped_deadline", "skipped_overload", "skipped_deadline", "disabled"):
        counted.search(rerank=status)
    report = counted.report()
    assert report.rerank_statuses == {
        "disabled": 1,
        "skipped_deadline": 2,
        "skipped_overload": 1,
    }
    assert report.second_pass is None


def test_what_min_score_leaves_out_is_counted_where_there_is_one(counted):
    counted.search(effect(has_min_score=True, num_below=50))
    counted.search(effect(has_min_score=True, num_below=10))
    counted.search(effect())
    report = counted.report()
    assert (report[Place.WITH_MIN_SCORE], report[Place.LEFT_EMPTY]) == (2, 1)
    assert report[Place.PASSAGES_BELOW] == 60


@given(st.lists(st.floats(0, 1), min_size=1), st.lists(st.floats(-9, 20), min_size=1))
def test_histograms_agree_with_numpy(scores, margins):
    counted = Counted()
    for score in scores:
        counted.search(effect(top_score=score, margin=None))
    for margin in margins:
        counted.search(effect(top_score=0.0, margin=margin))
    report = counted.report()
    expected, _ = np.histogram([*scores, *[0.0] * len(margins)], [0, *SCORE_EDGES, 1])
    assert list(report.scores) == expected.tolist()
    expected, _ = np.histogram(margins, [-np.inf, *MARGIN_EDGES, np.inf])
    assert list(report.margins) == expected.tolist()


@pytest.mark.parametrize("median", [0.0004, 0.012, 0.35, 8.0])
def test_quantiles_of_times_are_off_by_less_than_five_percent(counted, median):
    draw = random.Random(0)
    seconds = [draw.lognormvariate(0, 0.5) * median for _ in range(4_000)]
    for each in seconds:
        counted.search(effect(seconds=each), seconds=2 * each)
    report = counted.report()
    assert report.second_pass.median == pytest.approx(statistics.median(seconds), rel=0.05)
    assert report.second_pass.p99 == pytest.approx(np.quantile(seconds, 0.99), rel=0.05)
    assert report.searches.median == pytest.approx(2 * statistics.median(seconds), rel=0.05)
    assert report.second_pass.total == pytest.approx(sum(seconds), rel=0.01)


@given(st.lists(st.integers(1, 2_048), min_size=1, max_size=100), st.floats(0.01, 1))
def test_a_depth_suffices_where_so_many_searches_reach_no_further(reaches, share):
    counted = Counted()
    for reach in reaches:
        counted.search(effect(reach=reach))
    enough = [
        edge for edge in PLACE_EDGES if sum(r <= edge for r in reaches) >= share * len(reaches)
    ]
    found = counted.report().depth_for(share)
    # At least one search has to be read whole.
    expected = [edge for edge in enough if any(r <= edge for r in reaches)]
    assert found == (expected[0] if expected else None)


def test_a_renamed_collection_keeps_its_counts(counted):
    counted.search(effect())
    counted.search(effect(), name="new")
    assert counted.report().num_searches == 2
    assert [name for name, _ in counted.relevance.totals()] == ["new"]


def test_a_collection_made_anew_under_the_name_begins_at_zero(counted):
    counted.search(effect())
    counted.search(effect(), life="b")
    assert counted.report("b").num_searches == 1
    assert counted.relevance.growth("a", HOUR) is None


def test_a_deleted_collection_leaves(counted):
    counted.search(effect())
    counted.relevance.forget("docs")
    assert counted.relevance.growth("a", HOUR) is None
    assert counted.relevance.totals() == []


def test_collections_beyond_the_most_are_counted_together():
    counted = Counted(max_collections=2)
    for name in ("a", "b", "c", "d", "a"):
        counted.search(effect(), name=name, life=name)
    named = {name: RelevanceReport(of) for name, of in counted.relevance.growths(HOUR)}
    assert {name: of.num_searches for name, of in named.items()} == {"a": 2, "b": 1, OTHERS: 2}
    assert counted.relevance.is_full


def test_a_collection_that_was_idle_for_a_day_gives_its_place_away():
    counted = Counted(max_collections=1)
    counted.search(effect(), name="a", life="a")
    counted.now = MAX_SECONDS + 1
    assert not counted.relevance.is_full
    assert counted.relevance.totals() == []
    counted.search(effect(), name="b", life="b")
    assert [name for name, _ in counted.relevance.totals()] == ["b"]


def test_prometheus_gets_every_count_under_the_collection(counted):
    counted.search(effect([3, 0, 1], num_truncated=5, top_score=0.5), name="docs")
    counted.search(rerank="failed")

    class Gauges(Collector):
        def collect(self):
            return relevance_metrics(counted.relevance)

    registry = CollectorRegistry()
    registry.register(Gauges())
    value = registry.get_sample_value
    docs = {"collection": "docs"}
    assert value("twopass_relevance_searches_total", docs | {"rerank": "failed"}) == 1
    assert value("twopass_relevance_changes_total", docs | {"of": "first"}) == 1
    assert value("twopass_relevance_hits_total", docs | {"kind": "kept"}) == 2
    assert value("twopass_relevance_passages_total", docs | {"kind": "truncated"}) == 5
    assert value("twopass_relevance_top_score_bucket", docs | {"le": "0.5"}) == 0
    assert value("twopass_relevance_top_score_bucket", docs | {"le": "+Inf"}) == 1
    assert value("twopass_relevance_second_pass_seconds_count", docs) == 1
    assert value("twopass_relevance_second_pass_seconds_sum", docs) == pytest.approx(0.02)
