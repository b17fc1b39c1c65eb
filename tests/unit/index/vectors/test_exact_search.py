"""A flat index is searched in blocks, as if it were searched whole."""

from itertools import pairwise

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.index.errors import StoppedError
from twopass.index.kinds import IndexKind
from twopass.index.stopping import NEVER
from twopass.index.vectors import exact_search
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.exact_search import search_exactly

from ..conftest import StopsAfter

DIMENSION = 8


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 8 vectors, or 16 and more where there is one query alone."""
    monkeypatch.setattr(exact_search, "_MIN_BLOCK_VECTORS", 8)
    monkeypatch.setattr(exact_search, "MIN_PIECE_PER_FOUND", 0)
    monkeypatch.setattr(exact_search, "_MIN_BLOCK_COMPONENTS", 1)
    monkeypatch.setattr(exact_search, "BLOCK_COMPONENTS", 16 * DIMENSION)


def make_index(factory, vectors):
    index = IndexKind.parse(factory).create(DIMENSION)
    index.add(vectors)
    return index


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("factory", ["Flat", "SQfp16"])
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_vectors=st.integers(1, 100),
    num_queries=st.integers(1, 16),
    k=st.integers(1, 120),
    share=st.sampled_from([None, 0.0, 0.1, 0.9, 1.0]),
    values=st.sampled_from([3, 2**24]),
)
def test_blocks_find_what_the_whole_finds_with_the_same_scores_bit_for_bit(
    factory, seed, num_vectors, num_queries, k, share, values
):
    drawn = np.random.default_rng(seed)
    # Of few values, so that many scores are equal, or of so many that hardly any are.
    vectors, queries = (
        (drawn.integers(-values, values, (n, DIMENSION)) / values).astype(np.float32)
        for n in (num_vectors, num_queries)
    )
    index = make_index(factory, vectors)
    chosen = None if share is None else drawn.random(num_vectors) < share
    bits = None if chosen is None else np.packbits(chosen, bitorder="little")
    selector = None if bits is None else faiss.IDSelectorBitmap(bits)
    whole = index.search(queries, k, params=faiss.SearchParameters(sel=selector))
    answerable = Answerable(num_vectors, mask=chosen)
    scores, positions = search_exactly(index, queries, k, answerable, NEVER)
    assert scores.shape == positions.shape == (num_queries, k)
    every = index.search(queries, num_vectors)
    for query in range(num_queries):
        found = positions[query] >= 0
        assert sorted(scores[query][found]) == sorted(whole[0][query][whole[1][query] >= 0])
        assert len(set(positions[query][found].tolist())) == found.sum()
        assert chosen is None or chosen[positions[query][found]].all()
        score_of = dict(zip(every[1][query].tolist(), every[0][query].tolist(), strict=True))
        assert [score_of[p] for p in positions[query][found].tolist()] == scores[query][
            found
        ].tolist()


@pytest.mark.usefixtures("small_blocks")
def test_a_search_asks_before_every_block_whether_it_is_still_needed():
    index = make_index("Flat", np.ones((100, DIMENSION), np.float32))
    queries = np.ones((2, DIMENSION), np.float32)
    search_exactly(index, queries, 5, Answerable(100), StopsAfter(13))
    for times in range(13):
        with pytest.raises(StoppedError):
            search_exactly(index, queries, 5, Answerable(100), StopsAfter(times))


@pytest.mark.parametrize(
    ("num_queries", "k", "num_blocks"), [(1, 10, 3), (2, 10, 4), (16, 10, 4), (16, 5_000, 2)]
)
def test_blocks_are_of_some_milliseconds_however_many_queries(num_queries, k, num_blocks):
    blocks = list(exact_search._blocks(30_000, 384 * num_queries, k))
    assert len(blocks) == num_blocks
    assert blocks[0][0] == 0
    assert blocks[-1][1] == 30_000
    assert all(end == start for (_, end), (start, _) in pairwise(blocks))
    assert all(start % 8 == 0 for start, _ in blocks)


def test_an_index_that_grows_is_searched_as_it_is_now():
    index = make_index("Flat", np.zeros((1, DIMENSION), np.float32))
    query = np.ones((1, DIMENSION), np.float32)
    for number in range(1, 2_000, 400):
        index.add(np.full((400, DIMENSION), number, np.float32))
        scores, _ = search_exactly(index, query, 1, Answerable(index.ntotal), NEVER)
        assert scores[0, 0] == number * DIMENSION
