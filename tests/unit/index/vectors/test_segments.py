"""One segment: keys, hiding, and searches that see neither more nor less."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.kinds import Breadth, IndexKind
from twopass.index.stopping import Stop
from twopass.index.vectors import effort, segments
from twopass.index.vectors.effort import Effort
from twopass.index.vectors.segments import Segment

DIMENSION = 8
ALL_LISTS = Breadth(ef_search=2_000, nprobe=1_000)


def vectors_of(count, seed=0):
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return drawn.astype(np.float32)


def segment_of(factory, keys):
    kind = IndexKind.parse(factory)
    index = kind.create(DIMENSION)
    vectors = vectors_of(len(keys))
    if not index.is_trained:
        index.train(vectors)
    index.add(vectors)
    return Segment(kind, index, np.array(keys, np.int64), np.zeros(len(keys), np.bool_)), vectors


def as_set(keys):
    return {int(key) for key in keys.ravel()}


@given(
    additions=st.lists(st.integers(0, 5), max_size=6),
    hidden=st.lists(st.integers(-2, 40), max_size=20),
    k=st.integers(1, 40),
)
def test_a_flat_segment_finds_what_brute_force_finds(additions, hidden, k):
    segment = Segment.empty(DIMENSION)
    keys = np.empty(0, np.int64)
    vectors = vectors_of(sum(additions))
    for count in additions:
        new = np.arange(count, dtype=np.int64) * 2 + 2 * len(keys) + 1  # odd keys, ascending
        segment.add(new, vectors[len(keys) : len(keys) + count])
        keys = np.concatenate([keys, new])
        segment.hide(np.array(hidden[: len(keys)], np.int64))
    gone = np.isin(keys, hidden) & segment.hidden
    assert segment.keys.tolist() == keys.tolist()
    assert (len(segment), segment.num_hidden) == (len(keys), int(gone.sum()))
    queries = vectors_of(3, seed=1)
    found, scores, _ = segment.search(queries, k, None, Breadth())
    products = np.where(gone, -np.inf, queries @ vectors.T)
    expected = min(k, len(keys) - int(gone.sum()))
    assert found.shape == scores.shape == (3, expected)
    best = -np.sort(-products, axis=1)[:, :expected]
    # 8 products of components below 6, each rounded to 2^-24.
    np.testing.assert_allclose(-np.sort(-scores, axis=1), best, rtol=0, atol=1e-4)
    assert not as_set(found) & set(keys[gone].tolist())


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "HNSW16", "HNSW16,SQfp16", "IVF4,Flat"])
def test_what_is_hidden_is_never_found_and_the_rest_is(factory):
    segment, vectors = segment_of(factory, range(10, 1_010))
    gone = np.arange(10, 1_010, 3)
    segment.hide(gone)
    found, scores, _ = segment.search(vectors, 5, None, ALL_LISTS)
    assert not as_set(found) & set(gone.tolist())
    visible = ~segment.hidden
    # Under the inner product a longer vector may be nearer than the query itself: so the best score
    # is looked at, not the key. Half precision keeps 11 bits: 2^-11 of a product of at most 60.
    best = (vectors @ vectors[visible].T).max(axis=1)
    np.testing.assert_allclose(scores.max(axis=1), best, rtol=0, atol=0.03)


def test_hiding_changes_no_score():
    segment, vectors = segment_of("Flat", range(1, 501))
    before_keys, before, _ = segment.search(vectors[:40], 500, None, Breadth())
    segment.hide(np.array([3, 99, 500]))
    after_keys, after, _ = segment.search(vectors[:40], 500, None, Breadth())
    for row in range(40):
        was = dict(zip(before_keys[row].tolist(), before[row].tolist(), strict=True))
        now = dict(zip(after_keys[row].tolist(), after[row].tolist(), strict=True))
        assert now == {key: score for key, score in was.items() if key not in (3, 99, 500)}


@pytest.mark.parametrize("factory", ["HNSW4", "IVF64,Flat", "IVF64,SQfp16"])
@pytest.mark.parametrize("k", [1, 50, 999, 1_000, 1_001])
def test_an_approximate_search_finds_as_many_as_it_is_asked_for(factory, k):
    segment, vectors = segment_of(factory, range(1, 3_001))
    segment.hide(np.arange(1, 2_001))
    found, scores, _ = segment.search(vectors[:5], k, None, Breadth(nprobe=1, ef_search=1))
    assert found.shape == scores.shape == (5, min(k, 1_000))
    assert all(len(set(row)) == len(row) for row in found.tolist())
    assert np.isfinite(scores).all()


def test_hiding_twice_or_what_is_not_there_counts_nothing():
    segment, _ = segment_of("Flat", [2, 4, 6])
    segment.hide(np.array([4, 5, 7, 1, 4]))
    segment.hide(np.array([4]))
    segment.hide(np.empty(0, np.int64))
    assert (segment.num_hidden, segment.num_visible) == (1, 2)
    Segment.empty(DIMENSION).hide(np.array([1]))


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "HNSW4", "IVF16,Flat"])
@pytest.mark.parametrize("share", [1, 2, 50])
def test_a_search_among_few_is_exact_in_every_kind(factory, share):
    segment, vectors = segment_of(factory, range(1, 1_001))
    segment.hide(np.arange(1, 1_001, 3))
    members = np.arange(0, 1_100, share, dtype=np.int64)
    visible = np.isin(segment.keys, members) & ~segment.hidden
    found, scores, _ = segment.search(vectors[:20], 10, members, Breadth(ef_search=1, nprobe=1))
    assert as_set(found) <= set(segment.keys[visible].tolist())
    best = -np.sort(-(vectors[:20] @ vectors[visible].T), axis=1)[:, :10]
    # Half precision keeps 11 bits: 2^-11 of a product of at most 60.
    np.testing.assert_allclose(-np.sort(-scores, axis=1), best, rtol=0, atol=0.03)


@pytest.fixture
def prefers_to_approximate(monkeypatch):
    """However few vectors there are, they seem dear to compare with."""
    monkeypatch.setattr(effort, "CHEAP_COMPONENTS", 0)
    monkeypatch.setattr(Effort, "exact", lambda _, num_answerable: 1e6 * num_answerable)


@pytest.mark.usefixtures("prefers_to_approximate")
@pytest.mark.parametrize("factory", ["HNSW16", "IVF16,Flat"])
def test_a_search_among_many_says_that_it_approximates(factory):
    segment, vectors = segment_of(factory, range(1, 1_001))
    members = np.arange(1, 1_001, 2, dtype=np.int64)
    found, _, exact = segment.search(vectors[:20], 10, members, Breadth(nprobe=4))
    assert (found % 2 == 1).all()
    assert not exact.any()
    assert segment.search(vectors[:20], 500, members, ALL_LISTS).exact.all()


class CountsLooks(Stop):
    """A stop that is never set, and counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def check(self):
        self.count += 1


@pytest.mark.usefixtures("prefers_to_approximate")
@pytest.mark.parametrize(("components", "num_calls"), [(1, 20), (10**9, 2)])
def test_a_walk_can_be_left_between_few_queries_where_each_goes_far(
    monkeypatch, components, num_calls
):
    segment, vectors = segment_of("HNSW16", range(1_000))
    expected = segment.search(vectors[:20], 10, None, ALL_LISTS)
    monkeypatch.setattr(segments, "BLOCK_COMPONENTS", components)
    stop = CountsLooks()
    found = segment.search(vectors[:20], 10, None, ALL_LISTS, stop=stop)
    for got, whole in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, whole)
    assert stop.count == 1 + num_calls  # once before anything else
