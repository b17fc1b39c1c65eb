"""Made-up documents: as many as wanted, each its own, always the same."""

import itertools

import numpy as np
import pytest

from twopass.benchmarks.size.corpus import Corpus, nearest


def test_a_corpus_has_as_many_documents_as_it_says_and_each_its_own():
    documents = list(Corpus(12_345, 16).documents())
    assert len(documents) == len({document.id for document in documents}) == 12_345
    assert len({document.text for document in documents}) == 12_345
    assert len({tuple(document.vector) for document in documents[:1_000]}) == 1_000


def test_texts_are_as_long_as_promised():
    lengths = [len(document.text) for document in itertools.islice(Corpus(500, 8).documents(), 500)]
    assert min(lengths) >= 400
    assert max(lengths) < 420


def test_the_same_seed_makes_the_same_documents():
    one, same, other = (list(Corpus(50, 8, seed).documents()) for seed in (1, 1, 2))
    assert [document.text for document in one] == [document.text for document in same]
    np.testing.assert_array_equal([d.vector for d in one], [d.vector for d in same])
    assert one[0].text != other[0].text


@pytest.mark.parametrize("dimension", [2, 63, 64, 384])
def test_vectors_have_length_one(dimension):
    corpus = Corpus(100, dimension)
    ((start, vectors),) = corpus.vector_blocks()
    assert (start, vectors.shape, vectors.dtype) == (0, (100, dimension), np.float32)
    for unit in (vectors, corpus.queries(7)):
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)


def test_the_nearest_are_those_of_all_blocks():
    corpus = Corpus(20_500, 24)
    queries = corpus.queries(5)
    vectors = np.concatenate([block for _, block in corpus.vector_blocks()])
    order = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert nearest(corpus, queries, 10) == [{f"d{n}" for n in row} for row in order.tolist()]


def test_documents_are_near_to_some_and_far_from_most():
    """Or no approximate index could be of use."""
    ((_, vectors),) = Corpus(10_000, 384).vector_blocks()
    scores = np.sort(vectors[:20] @ vectors.T, axis=1)[:, ::-1]
    assert scores[:, 1:11].mean() > 0.5
    assert abs(np.median(scores)) < 0.1
