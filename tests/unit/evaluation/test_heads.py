"""Comparing shares of heads, from the answers of two reranked runs."""

import pytest

from twopass.client import Document
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.fusions import FirstPasses
from twopass.evaluation.heads import HEAD_SHARES, head_quality

from .test_measures import hit, result

DOCUMENTS = tuple(Document(name, "text") for name in ["code", *"abcdefghij"])
DATASET = Dataset("d", DOCUMENTS, {"q": "?"}, {"q": {"code": 1}})
# The one document with the word is far from the query, and what the reranker likes best.
DENSE = {"q": result(*(hit(name, i, 0.9, logit=-5.0) for i, name in enumerate("abcdefghij", 1)))}
LEXICAL = {"q": result(hit("code", 1, None, lexical_score=7.0, logit=5.0))}

FOUND = FirstPasses(DATASET, DENSE, LEXICAL, {"q": {"code": -0.9}})


def test_without_heads_the_reranker_never_sees_what_the_fusion_puts_last():
    quality = head_quality(FOUND, 0.9, [10])
    assert quality == {
        f"{name}, depth 10": 0.0 if share is None else 1.0 for name, share in HEAD_SHARES.items()
    }


def test_a_head_is_read_at_any_depth():
    quality = head_quality(FOUND, 0.9, [2, 11])
    assert quality["0, depth 2"] == quality["none, depth 11"] == 1.0
    assert quality["none, depth 2"] == 0.0


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_empty_list_changes_nothing(alpha):
    by_words_alone = FirstPasses(DATASET, LEXICAL, {"q": result()}, {"q": {}})
    quality = head_quality(by_words_alone, alpha, [10])
    assert set(quality.values()) == {1.0}
