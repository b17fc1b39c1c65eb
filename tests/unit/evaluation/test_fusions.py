"""Comparing fusions of two runs."""

import pytest

from twopass.client import Document
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.fusions import FUSIONS, fusion_quality

from .test_measures import hit, result


def test_the_weight_decides_between_two_lists_that_disagree():
    documents = tuple(Document(name, "text") for name in "ab")
    dataset = Dataset("d", documents, {"q": "?"}, {"q": {"a": 1}})
    dense = {"q": result(hit("a", 1, 0.9))}
    lexical = {"q": result(hit("b", 1, None, lexical_score=7.0))}
    quality = fusion_quality(dataset, dense, lexical)
    assert quality.keys() == FUSIONS.keys()
    assert quality["convex 1"] == quality["convex 0.6"] == 1.0
    assert quality["convex 0"] == quality["convex 0.4"] == pytest.approx(0.6309, abs=1e-4)
