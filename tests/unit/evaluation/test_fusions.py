"""Comparing fusions of two runs."""

import pytest

from twopass.client import Document
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.fusions import FUSIONS, FirstPasses, fusion_quality

from .test_measures import hit, result


def test_the_weight_decides_between_two_lists_that_disagree():
    documents = tuple(Document(name, "text") for name in "ab")
    dataset = Dataset("d", documents, {"q": "?"}, {"q": {"a": 1}})
    dense = {"q": result(hit("a", 1, 0.9))}
    lexical = {"q": result(hit("b", 1, None, lexical_score=7.0))}
    quality = fusion_quality(FirstPasses(dataset, dense, lexical, {"q": {}}))
    assert quality.keys() == FUSIONS.keys()
    assert quality["convex 1"] == quality["convex 0.6"] == 1.0
    assert quality["convex 0"] == quality["convex 0.4"] == pytest.approx(0.6309, abs=1e-4)


def test_a_document_found_by_words_alone_counts_with_its_own_similarity():
    documents = tuple(Document(name, "text") for name in "abc")
    dataset = Dataset("d", documents, {"q": "?"}, {"q": {"b": 1}})
    dense = {"q": result(hit("a", 1, 0.9), hit("c", 2, 0.8))}
    lexical = {"q": result(hit("b", 1, None, lexical_score=7.0))}
    quality = fusion_quality(FirstPasses(dataset, dense, lexical, {"q": {"b": 0.79}}))
    assert quality["convex 0.9"] == 1.0
    assert quality["convex 1"] == 0.5
