"""Embeddings and logits without a server are those that golden numbers have."""

import numpy as np
import pytest

from twopass.engines.base.engine import Precision
from twopass.evaluation.precision.models import Models

# As of the engine: see tests/unit/engines/cpu/test_engine.py.
LOGITS = 2e-4
TURNS = 1e-6


@pytest.fixture(scope="module")
def models():
    names = ("all-MiniLM-L6-v2", "twopass-minilm-l6")
    with Models(*names, precision=Precision.F32, num_threads=0) as models:
        yield models


def test_texts_are_embedded_as_they_are_in_the_server(models, golden):
    done = []
    embeddings = models.embed_passages(golden.texts, done.append)
    turns = 1 - np.sum(embeddings * golden.embeddings, axis=1)
    assert turns.max() < TURNS
    assert sum(done) == len(golden.texts)
    np.testing.assert_array_equal(embeddings, models.embed_queries(golden.texts, done.append))


def test_pairs_are_scored_as_they_are_in_the_server(models, golden):
    query = golden.pairs[0][0]
    passages = [passage for other, passage in golden.pairs if other == query]
    logits = models.score(query, models.tokenize(passages))
    np.testing.assert_allclose(logits, golden.logits[: len(passages)], atol=LOGITS, rtol=0)


def test_many_texts_are_embedded_in_their_order(models):
    texts = [f"number {i}" for i in range(130)]
    done = []
    embeddings = models.embed_passages(texts, done.append)
    assert done == [64, 64, 2]
    alone = models.embed_passages(texts[-1:], done.append)
    np.testing.assert_array_equal(embeddings[-1], alone[0])
