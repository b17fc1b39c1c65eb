"""Lists are searched a few at a time, as if all were searched together."""

import faiss
import numpy as np
import pytest

from twopass.index.errors import StoppedError
from twopass.index.kinds import IndexKind
from twopass.index.stopping import NEVER
from twopass.index.vectors import list_search
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.list_search import Lists
from twopass.index.vectors.search_threads import ALONE, SearchThreads

from ..conftest import LANES, StopsAfter

DIMENSION = 8
NUM_VECTORS, NUM_LISTS = 2_000, 16


@pytest.fixture(scope="module", params=["IVF16,Flat", "IVF16,SQfp16"])
def index(request):
    vectors = np.random.default_rng(0).standard_normal((NUM_VECTORS, DIMENSION), np.float32)
    made = IndexKind.parse(request.param).create(DIMENSION)
    made.train(vectors)
    made.add(vectors)
    return made


@pytest.fixture(scope="module")
def queries():
    return np.random.default_rng(1).standard_normal((5, DIMENSION), np.float32)


def chosen_vectors(share):
    if share is None:
        return Answerable(NUM_VECTORS)
    return Answerable(NUM_VECTORS, mask=np.random.default_rng(2).random(NUM_VECTORS) < share)


@pytest.fixture(params=[1, 3, NUM_VECTORS])
def small_pieces(request, monkeypatch):
    """Pieces of about so many vectors."""
    monkeypatch.setattr(list_search, "piece_components", lambda _: DIMENSION * request.param)
    monkeypatch.setattr(list_search, "MIN_PIECE_PER_FOUND", 0)


def scores_by_position(scores, positions):
    found = dict(zip(positions.tolist(), scores.tolist(), strict=True))
    found.pop(-1, None)
    return found


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("share", [None, 0.005, 0.05, 0.5])
@pytest.mark.parametrize("k", [1, 10, NUM_VECTORS])
@pytest.mark.parametrize("threads", [ALONE, SearchThreads(2, LANES.vectors)])
def test_an_exact_search_finds_what_all_lists_together_hold(index, queries, share, k, threads):
    answerable = chosen_vectors(share)
    selector = None if answerable.is_everything else faiss.IDSelectorBitmap(answerable.bits)
    parameters = faiss.SearchParametersIVF(sel=selector, nprobe=NUM_LISTS)
    expected = index.search(queries, k, params=parameters)
    found = Lists(index).search_exactly(queries, k, answerable, NEVER, threads)
    for query in range(len(queries)):
        assert scores_by_position(found[0][query], found[1][query]) == scores_by_position(
            expected[0][query], expected[1][query]
        )


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("num_seen", [1, 300, NUM_VECTORS])
@pytest.mark.parametrize("share", [None, 0.0, 0.01, 0.5])
@pytest.mark.parametrize("k", [1, 10, NUM_VECTORS])
def test_a_search_goes_on_until_it_has_seen_enough_that_may_be_answered(
    index, queries, num_seen, share, k
):
    answerable = chosen_vectors(share)
    scores, positions, exact = Lists(index).search_nearest(
        queries, k, num_seen, answerable, NEVER, ALONE
    )
    _, nearest = index.quantizer.search(queries, NUM_LISTS)
    everywhere = index.search(
        queries, NUM_VECTORS, params=faiss.SearchParametersIVF(nprobe=NUM_LISTS)
    )
    assert share in (0.0, 0.01) or max(num_seen, k) == NUM_VECTORS or not exact.any()
    for query in range(len(queries)):
        expected, num_left = {}, max(num_seen, k)
        scores_of = scores_by_position(everywhere[0][query], everywhere[1][query])
        for number in nearest[query].tolist():
            held = faiss.rev_swig_ptr(
                index.invlists.get_ids(number), index.invlists.list_size(number)
            )
            held = held[answerable.mask[held]].tolist()
            if num_left > 0:
                expected |= {position: scores_of[position] for position in held}
            num_left -= len(held)
        if exact[query]:  # where lists that hold any lie far off, all are searched
            expected = {position: scores_of[position] for position in answerable.positions.tolist()}
        best = sorted(expected.items(), key=lambda item: -item[1])[:k]
        assert scores_by_position(scores[query], positions[query]) == dict(best)


def test_a_search_asks_before_every_piece_whether_it_is_still_needed(monkeypatch, index, queries):
    monkeypatch.setattr(list_search, "piece_components", lambda _: 1)
    lists, everything = Lists(index), Answerable(NUM_VECTORS)
    lists.search_exactly(queries[:1], 3, everything, StopsAfter(NUM_LISTS))
    for times in range(NUM_LISTS):
        with pytest.raises(StoppedError):
            lists.search_exactly(queries[:1], 3, everything, StopsAfter(times))
