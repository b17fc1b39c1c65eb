"""The vector index against brute force, and what one search may not know of another."""

import numpy as np
import pytest

from twopass.index.errors import CollectionClosedError, StorageError
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.vectors import VectorChange, VectorIndex

DIMENSION = 24
START = SequenceToken("0" * 32, 0)


def unit_vectors(count, seed=0):
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def open_index(keys, vectors):
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True)
    return VectorIndex("notes", schema, [(np.array(keys, np.int64), vectors)], START)


def change(position, removed=(), keys=(), vectors=None):
    return VectorChange(
        np.array(removed, np.int64),
        np.array(keys, np.int64),
        np.empty((0, DIMENSION), np.float32) if vectors is None else vectors,
        SequenceToken(START.incarnation, position),
    )


@pytest.fixture
def thousand():
    """1,000 vectors under the keys 1 to 1,000."""
    vectors = unit_vectors(1_000)
    index = open_index(range(1, 1_001), vectors)
    yield index, vectors
    index.close()


@pytest.mark.parametrize("num_queries", [0, 1, 15, 16, 17, 33])
@pytest.mark.parametrize("k", [1, 10, 999, 1_000, 1_001])
def test_neighbours_are_those_of_brute_force(thousand, num_queries, k):
    index, vectors = thousand
    queries = unit_vectors(num_queries, seed=1)
    found = index.search(queries, k).result()
    products = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    best = -np.sort(-products, axis=1)[:, :k]
    # 24 products of components below 1, each rounded to 2^-24: 2e-6 is above any sum of errors.
    np.testing.assert_allclose(found.scores, best, rtol=0, atol=2e-6)
    of_found = np.take_along_axis(products, found.keys - 1, axis=1)
    np.testing.assert_allclose(of_found, best, rtol=0, atol=2e-6)
    assert all(len(set(row)) == len(row) for row in found.keys.tolist())


def test_a_score_does_not_depend_on_the_queries_beside_it(thousand):
    index, _ = thousand
    queries = unit_vectors(64, seed=2)
    together = index.search(queries, 100).result()
    for row in range(64):
        alone = index.search(queries[row : row + 1], 100).result()
        np.testing.assert_array_equal(alone.keys[0], together.keys[row])
        np.testing.assert_array_equal(alone.scores[0], together.scores[row])  # bit for bit


def test_searches_that_wait_together_get_each_their_own(thousand):
    index, vectors = thousand
    waiting = [
        (row, 1 + row % 7, index.search(vectors[row : row + 1], 1 + row % 7)) for row in range(300)
    ]
    for row, k, future in waiting:
        assert future.result().keys.shape == (1, k)
        assert future.result().keys[0, 0] == row + 1


def test_a_cancelled_search_spoils_nothing(thousand):
    index, vectors = thousand
    waiting = [index.search(vectors, 1_000) for _ in range(3)]
    cancelled = index.search(vectors[:1], 1)
    last = index.search(vectors[:1], 1)
    assert cancelled.cancel()
    assert last.result().keys.tolist() == [[1]]
    assert all(len(future.result().keys) == 1_000 for future in waiting)


def test_equal_scores_come_by_key():
    index = open_index([9, 3, 7], np.repeat(unit_vectors(1), 3, axis=0))
    assert index.search(unit_vectors(1), 3).result().keys.tolist() == [[3, 7, 9]]
    index.close()


def test_an_empty_index_finds_nothing():
    index = open_index([], unit_vectors(0))
    found = index.search(unit_vectors(2), 5).result()
    assert found.keys.shape == found.scores.shape == (2, 0)
    index.close()


def test_what_is_removed_is_not_found_and_what_is_added_is(thousand):
    index, vectors = thousand
    new = unit_vectors(2, seed=3)
    index.update(change(1, removed=[1, 500, 1_000], keys=[1_001, 1_002], vectors=new)).result()
    found = index.search(np.concatenate([vectors[[0, 499, 999]], new]), 2_000).result()
    assert found.keys.shape == (5, 999)
    assert not np.isin(found.keys, [1, 500, 1_000]).any()
    assert found.keys[3:, 0].tolist() == [1_001, 1_002]
    assert found.sequence.position == index.sequence.position == 1
    assert index.num_vectors == 999


def test_an_index_that_missed_a_write_answers_no_more(thousand):
    index, vectors = thousand
    too_short = np.ones((1, DIMENSION - 1), np.float32)
    with pytest.raises(StorageError, match="restart the server"):
        index.update(change(1, keys=[1_001], vectors=too_short)).result()
    with pytest.raises(StorageError, match="restart the server"):
        index.search(vectors[:1], 1).result()
    with pytest.raises(StorageError, match="restart the server"):
        index.update(change(2, removed=[1])).result()
    assert index.sequence == START


def test_close_finishes_what_was_submitted_and_takes_no_more(thousand):
    index, vectors = thousand
    waiting = [index.search(vectors[:50], 100) for _ in range(20)]
    index.close()
    assert all(future.done() for future in waiting)
    with pytest.raises(CollectionClosedError, match="'notes' was closed"):
        index.search(vectors[:1], 1)
