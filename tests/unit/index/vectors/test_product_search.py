"""Queries compared together: what each alone finds, bit for bit, or left to be searched alone."""

import itertools
import logging
import threading

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import waiting
from twopass.index.errors import StoppedError
from twopass.index.kinds import FLAT, Breadth
from twopass.index.lanes import Lane
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, Stop
from twopass.index.vectors import product_search
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.product_search import (
    FEWEST_QUERIES,
    FEWEST_VECTORS,
    LEAST_SHARE,
    MOST_NEIGHBOURS,
    Products,
    ProductSearch,
)
from twopass.index.vectors.search_threads import ALONE, SearchThreads
from twopass.index.vectors.segments import Segment, Wanted
from twopass.index.vectors.vector_index import VectorChange, VectorIndex

from ..conftest import LANES, StopsAfter
from .holding import held

DIMENSION, NUM_VECTORS = 24, 6_000
FIRST_KEY = 7
START = SequenceToken("0" * 32, 0)


def drawn(count, seed, dimension=DIMENSION):
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


VECTORS, QUERIES = drawn(NUM_VECTORS, 0), drawn(64, 1)


def index_of(vectors):
    index = FLAT.create(vectors.shape[1])
    index.add(vectors)
    return index


def segment_of(vectors=VECTORS):
    keys = np.arange(FIRST_KEY, FIRST_KEY + len(vectors))
    return Segment(FLAT, index_of(vectors), keys, np.zeros(len(vectors), np.bool_))


def alone(index, query, k, answerable):
    """What faiss finds for one query among some vectors: scores, and positions by them."""
    chosen = faiss.SearchParameters(sel=faiss.IDSelectorArray(answerable.positions))
    scores, positions = index.search(query[None, :], k, params=chosen)
    order = np.lexsort((positions[0], -scores[0]))
    return scores[0][order], positions[0][order]


def check_as_alone(index, searches, found):
    """Scores are equal; where two vectors' are, either may have the last place."""
    for search, answer in zip(searches, found, strict=True):
        if answer is None:
            continue
        scores, positions = alone(index, search.query, search.k, search.answerable)
        np.testing.assert_array_equal(answer.scores, scores)
        surely = scores > scores[-1]
        np.testing.assert_array_equal(answer.positions[surely], positions[surely])
        assert len({*answer.positions.tolist()}) == search.k
        assert search.answerable.mask[answer.positions].all()


ALL = Answerable(NUM_VECTORS)


@pytest.mark.parametrize("k", [1, 50, NUM_VECTORS - 1, NUM_VECTORS])
def test_what_is_found_is_what_faiss_finds_alone(k):
    index = index_of(VECTORS)
    searches = [ProductSearch(query, k, ALL) for query in QUERIES[:9]]
    found = Products(index).search(searches, NEVER, ALONE)
    assert None not in found
    check_as_alone(index, searches, found)


@pytest.mark.parametrize("num_queries", [1, 2, 7, 8, 63, 64, 65, 130])
def test_any_number_of_queries_is_answered_in_order(num_queries):
    index = index_of(VECTORS)
    queries = drawn(num_queries, 5)
    searches = [ProductSearch(query, 1 + n % 9, ALL) for n, query in enumerate(queries)]
    found = Products(index).search(searches, NEVER, ALONE)
    assert None not in found
    check_as_alone(index, searches, found)


@settings(deadline=None, max_examples=60)
@given(drawing=st.data())
def test_an_answer_is_faiss_own_whatever_the_vectors_the_filters_and_the_queries_beside_it(drawing):
    generator = np.random.default_rng(drawing.draw(st.integers(0, 2**32), "seed"))
    dimension = drawing.draw(st.sampled_from([1, 2, 3, 8, 31, 96, 385]), "dimension")
    num_vectors = drawing.draw(st.sampled_from([1, 2, 17, 900]), "vectors")
    scale = np.float32(10.0 ** drawing.draw(st.sampled_from([-22, -10, 0, 6, 17]), "scale"))
    vectors = drawn(num_vectors, generator, dimension) * scale / np.float32(np.sqrt(dimension))
    if drawing.draw(st.booleans(), "copies"):
        vectors = vectors[generator.integers(0, 1 + num_vectors // 20, num_vectors)]
    if drawing.draw(st.booleans(), "zeros"):
        vectors[:: drawing.draw(st.integers(1, 9), "of them")] = 0
    if drawing.draw(st.booleans(), "whole numbers"):  # of which many scores are equal
        vectors = np.round(drawn(num_vectors, generator, dimension))
    index = index_of(vectors)
    searches = []
    for _ in range(drawing.draw(st.integers(1, 12), "queries")):
        query = drawn(1, generator, dimension)[0] * np.float32(generator.choice([0, 1, 1, 1e-3]))
        share = drawing.draw(st.sampled_from([1.0, 0.9, 0.3, 0.0]), "share")
        mask = generator.random(num_vectors) < share
        mask[0] = True
        answerable = Answerable(num_vectors, mask=mask)
        k = min(drawing.draw(st.integers(1, 120), "k"), answerable.count)
        searches.append(ProductSearch(query, k, answerable))
    check_as_alone(index, searches, Products(index).search(searches, NEVER, ALONE))


@pytest.mark.parametrize("dimension", [1, 3, 64, 769])
def test_no_score_of_a_product_is_off_by_more_than_the_bound(dimension):
    # All of one sign, so that errors do not cancel, and of every size.
    vectors = (
        np.abs(drawn(5_000, 2, dimension)) * np.logspace(-3, 3, 5_000, dtype=np.float32)[:, None]
    )
    queries = np.abs(drawn(16, 3, dimension))
    products = Products(index_of(vectors))
    bound = products._error(queries, NEVER, ALONE)
    asked = [ProductSearch(query, 1, Answerable(len(vectors))) for query in queries]
    found, positions = products._kept(queries, asked, len(vectors), NEVER, ALONE)
    true = queries.astype(np.float64) @ vectors.astype(np.float64).T
    difference = np.abs(found - np.take_along_axis(true, positions, 1))
    assert (difference.max(axis=1) <= bound / 2).all()
    assert products._longest >= np.linalg.norm(vectors.astype(np.float64), axis=1).max()


def test_the_length_of_vectors_whose_squares_vanish_is_not_lost():
    products = Products(index_of(np.full((10, 4), 1e-25, np.float32)))
    assert products._error(np.ones((1, 4), np.float32), NEVER, ALONE)[0] > 0
    assert products._longest >= 2e-25


def test_what_rounding_alone_tells_apart_is_left_to_be_searched_one_by_one():
    close = VECTORS.copy()
    close[:500] = 5 * QUERIES[0] + np.random.default_rng(3).normal(0, 1e-7, (500, DIMENSION))
    searches = [ProductSearch(query, 10, ALL) for query in QUERIES]
    index = index_of(close)
    found = Products(index).search(searches, NEVER, ALONE)
    assert found[0] is None
    assert sum(answer is not None for answer in found) > 32, "of queries that they are not near to"
    check_as_alone(index, searches, found)


def test_products_that_are_not_of_float32_answer_nobody_and_are_told_of_once(monkeypatch, caplog):
    real = product_search._with_better

    def rounded(kept, scores, start):
        return real(kept, scores.astype(np.float16).astype(np.float32), start)

    monkeypatch.setattr(product_search, "_with_better", rounded)
    products = Products(index_of(VECTORS))
    searches = [ProductSearch(query, 5, ALL) for query in QUERIES]
    with caplog.at_level(logging.WARNING, "twopass.index"):
        for _ in range(2):
            assert products.search(searches, NEVER, ALONE) == [None] * len(searches)
    (record,) = caplog.records
    assert "compared one by one" in record.getMessage()


def test_a_product_is_left_between_two_blocks(monkeypatch):
    monkeypatch.setattr(product_search, "_BLOCK_VECTORS", 100)
    products = Products(index_of(VECTORS))
    searches = [ProductSearch(query, 5, ALL) for query in QUERIES]
    products.search(searches, NEVER, ALONE)
    stop = StopsAfter(3)
    with pytest.raises(StoppedError):
        products.search(searches, stop, ALONE)
    assert stop.left == -1
    check_as_alone(index_of(VECTORS), searches, products.search(searches, NEVER, ALONE))


def test_vectors_are_shared_out_among_threads_and_the_answer_is_the_same(monkeypatch):
    monkeypatch.setattr(product_search, "_BLOCK_VECTORS", 100)
    lane = Lane("vectors", 3)
    numbers = itertools.count()
    of_thread = threading.local()
    two = threading.Barrier(2)
    real = product_search._with_better

    def noted(kept, scores, start):
        if not hasattr(of_thread, "number"):
            of_thread.number = next(numbers)
            if of_thread.number < 2:
                two.wait(waiting.SECONDS)  # broken where one thread does all of it
        return real(kept, scores, start)

    monkeypatch.setattr(product_search, "_with_better", noted)
    index = index_of(VECTORS)
    searches = [ProductSearch(query, 20, ALL) for query in QUERIES]
    try:
        found = Products(index).search(searches, NEVER, SearchThreads(3, lane))
    finally:
        lane.close()
    assert None not in found
    check_as_alone(index, searches, found)


# --- which searches are compared together ---------------------------------------------------------


def wanted(queries, k=5, members=None):
    return [Wanted(query[None, :], k, members, Breadth()) for query in queries]


def members_of(share):
    return FIRST_KEY + np.arange(int(share * NUM_VECTORS))


@pytest.mark.parametrize(
    ("searches", "are_compared"),
    [
        (wanted(QUERIES[:FEWEST_QUERIES]), True),
        (wanted(QUERIES[: FEWEST_QUERIES - 1]), False),
        ([Wanted(QUERIES[:FEWEST_QUERIES], 5, None, Breadth())], True),
        (wanted(QUERIES, MOST_NEIGHBOURS), True),
        (wanted(QUERIES, MOST_NEIGHBOURS + 1), False),
        (wanted(QUERIES, members=members_of(LEAST_SHARE)), True),
        (wanted(QUERIES, members=members_of(LEAST_SHARE - 0.01)), False),
        (wanted(QUERIES, members=np.array([FIRST_KEY - 1])), False),
    ],
    ids=["eight", "seven", "eight of one", "many neighbours", "too many", "half", "less", "none"],
)
def test_many_searches_of_most_vectors_are_compared_together(searches, are_compared):
    found = segment_of().search_together(searches)
    assert [answer is not None for answer in found] == [are_compared] * len(searches)


def test_searches_that_are_compared_alone_do_not_count():
    few = wanted(QUERIES[: FEWEST_QUERIES - 1]) + wanted(QUERIES, members=members_of(0.1))
    assert segment_of().search_together(few) == [None] * len(few)


def test_few_vectors_are_compared_one_by_one():
    assert segment_of(VECTORS[: FEWEST_VECTORS - 1]).search_together(wanted(QUERIES)) == [None] * 64
    assert None not in segment_of(VECTORS[:FEWEST_VECTORS]).search_together(wanted(QUERIES))


def test_each_keeps_its_k_and_its_filter_and_what_is_hidden_is_not_found():
    segment, generator = segment_of(), np.random.default_rng(2)
    for hidden in (range(0), range(FIRST_KEY, 1_500)):
        segment.hide(np.array(hidden, np.int64))
        searches = []
        for number, query in enumerate(QUERIES):
            share = (1.0, 0.9, 0.3)[number % 3]
            members = FIRST_KEY + np.flatnonzero(generator.random(NUM_VECTORS) < share)
            searches += wanted([query], 1 + number, members if number % 4 else None)
        found = segment.search_together(searches)
        assert sum(answer is not None for answer in found) > 32
        for search, answer in zip(searches, found, strict=True):
            if answer is None:
                continue
            own = segment.search(search.queries, search.k, search.members, search.breadth)
            order = np.lexsort((own.keys, -own.scores))
            np.testing.assert_array_equal(answer.keys, np.take_along_axis(own.keys, order, 1))
            np.testing.assert_array_equal(answer.scores, np.take_along_axis(own.scores, order, 1))
            assert answer.exact.all()
            assert not set(answer.keys.ravel().tolist()) & set(hidden)


def test_what_is_added_is_compared_too():
    segment = segment_of()
    assert None not in segment.search_together(wanted(QUERIES))
    segment.add(np.arange(10_000, 10_064), QUERIES * 100)
    for query, answer in zip(QUERIES, segment.search_together(wanted(QUERIES, 1)), strict=True):
        assert answer.keys.tolist() == [[10_000 + np.argmax(QUERIES @ query)]]


# --- through an index -----------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path):
    """An index whose vectors are all in its base, and that merges when it is told to."""
    loaded = LoadedVectors(segment_of(), Segment.empty(DIMENSION), 0, START)
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True)
    opened = VectorIndex(
        *("notes", schema, loaded, tmp_path / "vectors.base", LANES),
        policy=MergePolicy(min_changes=100_000),
    )
    yield opened
    opened.close()


def ask(index, stops=None):
    stops = stops or [NEVER] * len(QUERIES)
    return [
        index.search(query[None, :], 1 + number, None, Breadth(), stop)
        for (number, query), stop in zip(enumerate(QUERIES), stops, strict=True)
    ]


def test_sixty_four_that_wait_together_are_answered_as_one_after_the_other(index, monkeypatch):
    calls = []
    real = Products.search

    def noted(self, searches, *rest):
        calls.append(len(searches))
        return real(self, searches, *rest)

    monkeypatch.setattr(Products, "search", noted)
    for position in range(1, 4):
        leave = held(index, DIMENSION)
        futures = ask(index)
        leave.set()
        together = [future.result() for future in futures]
        assert calls.pop() == len(QUERIES)
        for number, (query, found) in enumerate(zip(QUERIES, together, strict=True)):
            own = index.search(query[None, :], 1 + number, None, Breadth()).result()
            np.testing.assert_array_equal(found.keys, own.keys)
            np.testing.assert_array_equal(found.scores, own.scores)
            assert found.exact.all()
            assert found.sequence == own.sequence
        assert not calls
        removed = np.arange(FIRST_KEY, 500 * position)
        added = np.arange(100_000, 100_300) + 1_000 * position
        sequence = SequenceToken(START.incarnation, position)
        index.update(VectorChange(removed, added, drawn(300, position), sequence)).result()
        if position == 2:
            index.merge().result()


def test_one_that_nobody_waits_for_ends_no_other(index):
    leave = held(index, DIMENSION)
    stops = [Stop() for _ in QUERIES]
    futures = ask(index, stops)
    for stop in stops[::2]:
        stop.set()
    leave.set()
    assert [future.exception() is None for future in futures] == [False, True] * 32


def test_a_product_that_nobody_waits_for_any_more_is_left(index, monkeypatch):
    monkeypatch.setattr(product_search, "_BLOCK_VECTORS", 100)
    stops, blocks = [Stop() for _ in QUERIES], []

    def leaving(kept, *_):
        blocks.append(kept)
        for stop in stops:
            stop.set()
        return kept

    leave = held(index, DIMENSION)
    futures = ask(index, stops)
    with monkeypatch.context() as patched:
        patched.setattr(product_search, "_with_better", leaving)
        leave.set()
        assert all(isinstance(future.exception(), StoppedError) for future in futures)
    assert len(blocks) == 1
    assert [len(future.result().keys[0]) for future in ask(index)] == list(range(1, 65))


def test_a_product_that_fails_fails_its_searches_and_no_later_one(index, monkeypatch):
    def failing(*_):
        raise MemoryError

    leave = held(index, DIMENSION)
    merged = index.merge()
    futures = ask(index)
    with monkeypatch.context() as patched:
        patched.setattr(Products, "search", failing)
        leave.set()
        assert all(isinstance(future.exception(), MemoryError) for future in futures)
    merged.result()
    assert [len(future.result().keys[0]) for future in ask(index)] == list(range(1, 65))
