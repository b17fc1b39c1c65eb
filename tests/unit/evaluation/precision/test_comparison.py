"""How far two precisions are apart, against values worked out by hand."""

import math

import numpy as np
import pytest

from twopass.client import Document
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.precision.comparison import compare
from twopass.evaluation.precision.runs import Run


def floats(*values):
    return np.array(values, np.float32)


def dataset(num_queries):
    """Documents a, b and c; a answers every query."""
    documents = tuple(Document(id=name, title="", text=name) for name in "abc")
    queries = {str(i): "?" for i in range(num_queries)}
    return Dataset("made up", documents, queries, {query: {"a": 1} for query in queries})


def run(found, logits):
    """The same of each query; both by query."""
    return Run(
        {query: np.array(numbers, np.int32) for query, numbers in found.items()},
        {query: floats(*values) for query, values in logits.items()},
    )


def both(num_queries, **changes):
    """Two runs that are the same but for the last query, where the lower precision is as told."""
    queries = [str(i) for i in range(num_queries)]
    found = dict.fromkeys(queries, (0, 1, 2))
    logits = dict.fromkeys(queries, (3.0, 2.0, 1.0))
    exact = run(found, logits)
    found[queries[-1]] = changes.get("found", (0, 1, 2))
    logits[queries[-1]] = changes.get("logits", (3.0, 2.0, 1.0))
    return dataset(num_queries), exact, run(found, logits)


def test_equal_runs_differ_in_nothing():
    compared = compare(*both(2))
    assert (compared.num_documents, compared.num_queries) == (3, 2)
    for quality in (compared.first_pass, compared.reranked):
        assert (quality.exact, quality.lower, quality.difference) == (1.0, 1.0, 0.0)
    assert (compared.overlap, compared.kendall_tau) == (1.0, 1.0)
    assert compared.largest_logit_difference == 0.0
    assert compared.holds


def test_another_order_by_logits_is_measured_in_the_second_pass_alone():
    compared = compare(*both(2, logits=[1.0, 2.5, 0.5]))
    second_rank = 1 / math.log2(3)
    assert compared.first_pass.difference == 0.0
    assert compared.reranked.exact == pytest.approx(1.0)
    assert compared.reranked.lower == pytest.approx((1 + second_rank) / 2)
    # One of three pairs is turned around in one of two queries.
    assert compared.kendall_tau == pytest.approx((1 + 1 / 3) / 2)
    assert compared.largest_logit_difference == 2.0
    assert not compared.holds


def test_another_first_pass_is_measured_in_the_first_pass_alone():
    compared = compare(*both(2, found=[1, 2]))
    assert compared.first_pass.lower == pytest.approx(0.5)
    assert compared.reranked.difference == 0.0
    assert compared.overlap == pytest.approx((1 + 2 / 3) / 2)
    assert not compared.holds


@pytest.mark.parametrize(("num_queries", "allowed"), [(21, 0.01), (499, 0.01), (500, 0.003)])
def test_few_queries_may_differ_by_more(num_queries, allowed):
    compared = compare(*both(num_queries, logits=[1.0, 2.5, 0.5]))
    lost = (1 - 1 / math.log2(3)) / num_queries
    assert compared.allowed == allowed
    assert compared.reranked.difference == pytest.approx(-lost)
    assert compared.holds is (lost <= allowed)


def test_a_gain_counts_as_a_loss_does():
    judged, exact, lower = both(2, logits=[1.0, 2.5, 0.5])
    assert compare(judged, lower, exact).reranked.difference > 0
    assert not compare(judged, lower, exact).holds
