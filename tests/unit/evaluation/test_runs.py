"""Measures over runs, against values worked out by hand."""

import math

import pytest

from twopass.evaluation import runs
from twopass.evaluation.datasets import Dataset


def test_ndcg_of_a_known_order():
    dataset = Dataset("d", (), {"q": "?"}, {"q": {"a": 1, "b": 1}})
    run = {"q": {"a": 3.0, "x": 2.0, "b": 1.0}}
    # Gains at ranks 1 and 3 over the ideal 1 and 2 (Järvelin and Kekäläinen 2002).
    expected = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    assert runs._measured(dataset, run) == pytest.approx(expected)
