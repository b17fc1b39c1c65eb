"""Lists are searched a few at a time, as if all were searched together."""

import numpy as np
import pytest

from twopass.index.errors import StoppedError
from twopass.index.kinds import Breadth, IndexKind
from twopass.index.stopping import NEVER
from twopass.index.vectors import segments
from twopass.index.vectors.list_search import search_lists
from twopass.index.vectors.segments import Segment

from ..conftest import StopsAfter

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


@pytest.mark.parametrize("lists_per_call", [1, 3, 15, 16, 17])
@pytest.mark.parametrize("nprobe", [1, 7, NUM_LISTS])
@pytest.mark.parametrize("share", [None, 0.01, 0.5])
@pytest.mark.parametrize("k", [1, 10, NUM_VECTORS])
def test_some_lists_at_a_time_find_what_all_together_find(
    index, queries, lists_per_call, nprobe, share, k
):
    kind = IndexKind.parse("IVF16,Flat")
    bits = None
    if share is not None:
        chosen = np.random.default_rng(2).random(NUM_VECTORS) < share
        bits = np.packbits(chosen, bitorder="little")
    parameters = kind.parameters(Breadth(nprobe=nprobe), segments._selector(bits))
    expected = index.search(queries, k, params=parameters)
    found = search_lists(index, queries, k, nprobe, bits, NEVER, lists_per_call=lists_per_call)
    for query in range(len(queries)):
        as_found, whole = (
            dict(zip(positions[query].tolist(), scores[query].tolist(), strict=True))
            for scores, positions in (found, expected)
        )
        as_found.pop(-1, None)
        whole.pop(-1, None)
        assert as_found == whole


def test_a_search_asks_before_every_call_whether_it_is_still_needed(index, queries):
    search_lists(index, queries, 3, NUM_LISTS, None, StopsAfter(4), lists_per_call=4)
    for times in range(4):
        with pytest.raises(StoppedError):
            search_lists(index, queries, 3, NUM_LISTS, None, StopsAfter(times), lists_per_call=4)


def test_a_segment_searches_few_lists_at_a_time_where_they_hold_much(monkeypatch, index, queries):
    keys = np.arange(1, NUM_VECTORS + 1)
    kind = IndexKind.parse("IVF16,Flat")
    segment = Segment(kind, index, keys, np.zeros(NUM_VECTORS, np.bool_))
    breadth = Breadth(nprobe=NUM_LISTS)
    expected = segment.search(queries, 10, None, breadth)
    monkeypatch.setattr(segments, "_LONG_CALL", 1)
    monkeypatch.setattr(segments, "BLOCK_COMPONENTS", NUM_VECTORS * DIMENSION)
    # Asked once before all, and before each call with 3 of 16 lists for each of 5 queries.
    with pytest.raises(StoppedError):
        segment.search(queries, 10, None, breadth, stop=StopsAfter(6))
    found = segment.search(queries, 10, None, breadth, stop=StopsAfter(7))
    for got, whole in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.sort(got), np.sort(whole))
