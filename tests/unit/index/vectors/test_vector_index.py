"""The vector index against brute force, and what one search may not know of another."""

import threading

import numpy as np
import pytest

from twopass.index.errors import CollectionClosedError, StoppedError, StorageError
from twopass.index.kinds import Breadth, IndexKind
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.vectors import exact_search
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.segmented_index import SegmentedIndex
from twopass.index.vectors.segments import Segment
from twopass.index.vectors.vector_index import VectorChange, VectorIndex

from ..conftest import LANES, StopsAfter
from .holding import held

DIMENSION = 24
START = SequenceToken("0" * 32, 0)


def unit_vectors(count, seed=0):
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def open_index(path, keys, vectors, kind="Flat", policy=None, num_threads=1):
    """An index whose vectors are all in its delta."""
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)
    parsed = IndexKind.parse(kind)
    empty = np.empty(0, np.int64), np.empty(0, np.bool_)
    base, delta = Segment(parsed, parsed.create(DIMENSION), *empty), Segment.empty(DIMENSION)
    delta.add(np.array(keys, np.int64), vectors)
    loaded = LoadedVectors(base, delta, 0, START)
    base_path = path / "vectors.base"
    return VectorIndex(
        "notes", schema, loaded, base_path, LANES, num_threads=num_threads, policy=policy
    )


def search(index, queries, k, members=None):
    keys = None if members is None else np.array(members, np.int64)
    return index.search(queries, k, keys, Breadth()).result()


def change(position, removed=(), keys=(), vectors=None):
    return VectorChange(
        np.array(removed, np.int64),
        np.array(keys, np.int64),
        np.empty((0, DIMENSION), np.float32) if vectors is None else vectors,
        SequenceToken(START.incarnation, position),
    )


@pytest.fixture
def thousand(tmp_path):
    """1,000 vectors under the keys 1 to 1,000."""
    vectors = unit_vectors(1_000)
    index = open_index(tmp_path, range(1, 1_001), vectors)
    yield index, vectors
    index.close()


@pytest.mark.parametrize("num_queries", [0, 1, 15, 16, 17, 33])
@pytest.mark.parametrize("k", [1, 10, 999, 1_000, 1_001])
def test_neighbours_are_those_of_brute_force(thousand, num_queries, k):
    index, vectors = thousand
    queries = unit_vectors(num_queries, seed=1)
    found = search(index, queries, k)
    products = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    best = -np.sort(-products, axis=1)[:, :k]
    # 24 products of components below 1, each rounded to 2^-24: 2e-6 is above any sum of errors.
    np.testing.assert_allclose(found.scores, best, rtol=0, atol=2e-6)
    of_found = np.take_along_axis(products, found.keys - 1, axis=1)
    np.testing.assert_allclose(of_found, best, rtol=0, atol=2e-6)
    assert all(len(set(row)) == len(row) for row in found.keys.tolist())


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_a_score_does_not_depend_on_the_queries_beside_it(tmp_path, num_threads):
    # So many that faiss would share out the vectors, and a prime number: no share comes out even.
    index = open_index(tmp_path, range(1, 10_008), unit_vectors(10_007), num_threads=num_threads)
    queries = unit_vectors(64, seed=2)
    together = search(index, queries, 100)
    for row in range(64):
        alone = search(index, queries[row : row + 1], 100)
        np.testing.assert_array_equal(alone.keys[0], together.keys[row])
        np.testing.assert_array_equal(alone.scores[0], together.scores[row])  # bit for bit
    for count in (2, 3, 15, 17, 18):
        some = search(index, queries[:count], 100)
        np.testing.assert_array_equal(some.scores, together.scores[:count])
    index.close()


def test_searches_that_wait_together_get_each_their_own(thousand):
    index, vectors = thousand
    waiting = [
        (row, 1 + row % 7, index.search(vectors[row : row + 1], 1 + row % 7, None, Breadth()))
        for row in range(300)
    ]
    for row, k, future in waiting:
        assert future.result().keys.shape == (1, k)
        assert future.result().keys[0, 0] == row + 1


def test_a_cancelled_search_spoils_nothing(thousand):
    index, vectors = thousand
    waiting = [index.search(vectors, 1_000, None, Breadth()) for _ in range(3)]
    cancelled = index.search(vectors[:1], 1, None, Breadth())
    last = index.search(vectors[:1], 1, None, Breadth())
    assert cancelled.cancel()
    assert last.result().keys.tolist() == [[1]]
    assert all(len(future.result().keys) == 1_000 for future in waiting)


def test_equal_scores_come_by_key(tmp_path):
    same = np.repeat(unit_vectors(1), 3, axis=0)
    index = open_index(tmp_path, [3, 7, 9], same)
    index.update(change(1, keys=[10, 11, 12], vectors=same)).result()
    index.update(change(2, removed=[7])).result()
    assert search(index, unit_vectors(1), 3).keys.tolist() == [[3, 9, 10]]
    index.close()


def test_an_empty_index_finds_nothing(tmp_path):
    index = open_index(tmp_path, [], unit_vectors(0))
    found = search(index, unit_vectors(2), 5)
    assert found.keys.shape == found.scores.shape == (2, 0)
    index.close()


def test_what_is_removed_is_not_found_and_what_is_added_is(thousand):
    index, vectors = thousand
    new = unit_vectors(2, seed=3)
    index.update(change(1, removed=[1, 500, 1_000], keys=[1_001, 1_002], vectors=new)).result()
    found = search(index, np.concatenate([vectors[[0, 499, 999]], new]), 2_000)
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
        search(index, vectors[:1], 1)
    with pytest.raises(StorageError, match="restart the server"):
        index.update(change(2, removed=[1])).result()
    assert index.sequence == START


def test_close_finishes_what_was_submitted_and_takes_no_more(thousand):
    index, vectors = thousand
    waiting = [index.search(vectors[:50], 100, None, Breadth()) for _ in range(20)]
    index.close()
    assert all(future.done() for future in waiting)
    with pytest.raises(CollectionClosedError, match="'notes' was closed"):
        index.search(vectors[:1], 1, None, Breadth())


def test_a_search_among_some_finds_those_that_are_left_of_them(thousand):
    index, vectors = thousand
    index.update(change(1, removed=[5], keys=[1_001], vectors=unit_vectors(1, seed=3))).result()
    found = search(index, vectors[:3], 10, members=[2, 5, 900, 1_001, 5_000])
    assert found.keys.shape == (3, 3)
    assert {*found.keys.ravel().tolist()} == {2, 900, 1_001}
    everywhere = search(index, vectors[:3], 2_000)
    for row in range(3):
        scores = dict(zip(everywhere.keys[row], everywhere.scores[row], strict=True))
        assert found.scores[row].tolist() == [scores[key] for key in found.keys[row]]
    assert search(index, vectors[:3], 10, members=[]).keys.shape == (3, 0)


def test_searches_among_different_documents_do_not_mix(thousand):
    index, vectors = thousand
    waiting = [
        index.search(vectors[:1], 5, np.arange(1, 1_001)[n::10], Breadth()) for n in range(10)
    ]
    for n, future in enumerate(waiting):
        assert (future.result().keys % 10 == (n + 1) % 10).all()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(exact_search, "_MIN_BLOCK_VECTORS", 8)
    monkeypatch.setattr(exact_search, "MIN_PIECE_PER_FOUND", 0)
    monkeypatch.setattr(exact_search, "_MIN_BLOCK_COMPONENTS", 1)
    monkeypatch.setattr(exact_search, "BLOCK_COMPONENTS", 1)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["Flat", "SQfp16", "IVF8,Flat"])
@pytest.mark.parametrize("members", [None, range(1, 1_001, 9), range(1, 1_001, 2)])
def test_what_is_found_does_not_depend_on_the_number_of_threads(tmp_path, kind, members):
    vectors, queries = unit_vectors(1_000), unit_vectors(20, seed=1)
    found = []
    for num_threads in (1, 2, 3):
        index = open_index(tmp_path, range(1, 1_001), vectors, kind, num_threads=num_threads)
        index.merge().result()
        alone = [search(index, queries[n : n + 1], 10, members) for n in range(20)]
        found.append([(one.keys.tolist(), one.scores.tolist()) for one in alone])
        index.close()
    assert found[0] == found[1] == found[2]  # bit for bit


def test_searches_among_equal_members_share_a_pass(thousand, monkeypatch):
    index, vectors = thousand
    nearest, began, leave = SegmentedIndex.nearest, threading.Event(), threading.Event()
    passes = []

    def slow(self, queries, *arguments, **options):
        passes.append(len(queries))
        began.set()
        leave.wait(60)
        return nearest(self, queries, *arguments, **options)

    monkeypatch.setattr(SegmentedIndex, "nearest", slow)
    first = index.search(vectors[:1], 1, None, Breadth())
    assert began.wait(60)
    some, others = np.arange(1, 500), np.arange(2, 501)
    futures = [
        index.search(vectors[n : n + 1], 5, (some if n % 3 else others).copy(), Breadth())
        for n in range(12)
    ]
    leave.set()
    assert first.result().keys.tolist() == [[1]]
    assert [future.result().keys[0, 0] for future in futures[1:]] == list(range(2, 13))
    assert sorted(passes) == [1, 4, 8]


@pytest.mark.usefixtures("small_blocks")
def test_a_search_that_nobody_needs_any_more_ends_within_its_pass(thousand):
    index, vectors = thousand
    stops = [StopsAfter(5), StopsAfter(9)]
    futures = [index.search(vectors[:1], 10, None, Breadth(), stop) for stop in stops]
    for future in futures:
        with pytest.raises(StoppedError):
            future.result()
    # A pass has 125 blocks.
    assert all(-10 < stop.left < 0 for stop in stops)
    assert search(index, vectors[:1], 10).keys.shape == (1, 10)


@pytest.mark.usefixtures("small_blocks")
def test_a_search_that_is_stopped_ends_no_other_that_shares_its_pass(thousand):
    index, vectors = thousand
    expected = search(index, vectors[:1], 10).keys.tolist()
    for times in range(0, 200, 10):
        index.search(vectors[1:2], 10, None, Breadth(), StopsAfter(times))
        assert search(index, vectors[:1], 10).keys.tolist() == expected


@pytest.mark.parametrize("num_queries", [1, 3, 16, 17])
def test_searches_that_wait_together_are_answered_as_each_alone(thousand, num_queries):
    index, vectors = thousand
    ks = [1, 5, 500, 10, 5, 1] * 6
    futures = [
        index.search(vectors[n : n + num_queries], k, None, Breadth()) for n, k in enumerate(ks)
    ]
    for n, (k, future) in enumerate(zip(ks, futures, strict=True)):
        alone = search(index, vectors[n : n + num_queries], k)
        np.testing.assert_array_equal(future.result().keys, alone.keys)
        np.testing.assert_array_equal(future.result().scores, alone.scores)


def test_a_call_that_fails_is_the_failure_of_its_searches_alone(thousand, monkeypatch):
    index, vectors = thousand
    nearest = SegmentedIndex.nearest

    def failing(self, queries, k, *rest, **options):
        if k == 400:
            raise MemoryError
        return nearest(self, queries, k, *rest, **options)

    monkeypatch.setattr(SegmentedIndex, "nearest", failing)
    leave = held(index, DIMENSION)
    merged = index.merge()
    # Of unlike members, so that each is a call.
    futures = [
        index.search(vectors[n : n + 1], k, np.arange(1, 1_001 - n), Breadth())
        for n, k in enumerate((5, 400, 7))
    ]
    leave.set()
    assert isinstance(futures[1].exception(), MemoryError)
    assert [len(futures[n].result().keys[0]) for n in (0, 2)] == [5, 7]
    merged.result()
    assert search(index, vectors[:1], 3).keys[0, 0] == 1


def test_a_merge_asked_for_beside_a_write_that_fails_is_told_once(thousand, monkeypatch):
    index, vectors = thousand

    def failing(*_):
        raise MemoryError

    leave = held(index, DIMENSION)
    with monkeypatch.context() as patched:
        patched.setattr(SegmentedIndex, "apply", failing)
        merged = index.merge()
        updated = index.update(change(1, removed=[3]))
        leave.set()
        assert isinstance(updated.exception(), StorageError)
    assert isinstance(merged.exception(), StorageError)
    for asked in (index.search(vectors[:1], 1, None, Breadth()), index.merge()):
        assert isinstance(asked.exception(), StorageError)
