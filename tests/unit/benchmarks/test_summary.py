"""Figures of one load: exact percentiles, fair edges, and stages that make the whole latency."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.benchmarks.summary import PERCENTILES, STAGES, percentile

from .made import answered, failed, summary


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.sampled_from([1, 30, 1000]),
    st.sampled_from(list(PERCENTILES.values())),
)
def test_a_percentile_is_numpys_inverted_distribution(values, repeats, thousandths):
    ascending = sorted(values * repeats)
    found = percentile(ascending, thousandths)
    if found is not None:
        assert found == np.percentile(ascending, thousandths / 10, method="inverted_cdf")
    else:
        assert len(ascending) < 1000


@pytest.mark.parametrize(
    ("thousandths", "fewest"), [(500, 2), (900, 10), (950, 20), (990, 100), (999, 1000)]
)
def test_a_percentile_that_could_only_be_the_maximum_is_none(thousandths, fewest):
    assert percentile([1.0] * (fewest - 1), thousandths) is None
    assert percentile([1.0] * fewest, thousandths) == 1.0


def test_latency_counts_from_the_intended_start():
    figures = summary(1, [answered(101, 3.0, late=2.0), answered(102, 1.0)])
    assert figures.max_ms == 3000
    assert figures.mean_ms == 2000


def test_requests_of_the_warm_up_are_not_among_the_latencies_but_their_answers_are_work_done():
    figures = summary(1, [answered(99, 2.0, pairs=7), answered(101, 1.0, pairs=3)])
    assert figures.num_requests == 1
    assert figures.max_ms == 1000
    assert figures.requests_per_second == pytest.approx(0.2)
    assert figures.pairs_per_second == pytest.approx(1.0)


def test_a_request_that_outlasts_the_window_has_its_whole_latency_but_is_no_throughput():
    figures = summary(1, [answered(109, 5.0)])
    assert figures.max_ms == 5000
    assert figures.requests_per_second == 0


def test_pairs_that_were_scored_before_are_told_apart():
    figures = summary(1, [answered(101, 1.0, cached=10), answered(102, 1.0)])
    assert (figures.pairs_per_second, figures.cached_share) == (pytest.approx(2.0), 0.5)
    assert summary(1, [failed(101, "UNAVAILABLE")]).cached_share is None


def test_failures_are_counted_by_status_and_are_not_among_the_latencies():
    samples = [
        answered(101, 1.0),
        failed(102, "UNAVAILABLE"),
        failed(103, "DEADLINE_EXCEEDED"),
        failed(104, "UNAVAILABLE"),
    ]
    figures = summary(1, samples)
    assert figures.num_requests == 4
    assert figures.errors == {"UNAVAILABLE": 2, "DEADLINE_EXCEEDED": 1}
    assert figures.num_errors == 3
    assert figures.max_ms == 1000


def test_stages_make_the_whole_latency():
    samples = [
        answered(101, 0.2, late=0.05, total=120, tokenize=10, queue=30, rerank=70),
        answered(102, 0.1, total=80, tokenize=20, queue=0, embed=5, retrieve=1, rerank=50),
    ]
    figures = summary(1, samples)
    assert tuple(figures.stages_ms) == STAGES
    ran = {stage: ms for stage, ms in figures.stages_ms.items() if ms is not None}
    assert sum(ran.values()) == pytest.approx(figures.mean_ms)
    assert ran["sent_late"] == pytest.approx(25)
    assert ran["client_and_network"] == pytest.approx((30 + 20) / 2)
    assert ran["rerank"] == 60
    assert ran["embed"] == 2.5  # a request that did not embed took no time for it
    assert figures.stages_ms["load"] is None


def test_a_load_without_an_answer_has_no_latency():
    figures = summary(1, [failed(101, "UNAVAILABLE")])
    assert figures.mean_ms is None
    assert figures.max_ms is None
    assert set(figures.latency_ms.values()) == {None}
    assert set(figures.stages_ms.values()) == {None}
