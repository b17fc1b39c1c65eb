"""The replica with a copy on the CPU in the GPU's place: all but the copying is the same."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.kinds import FLAT, Breadth, IndexKind
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.vectors.gpu_replica import (
    MAX_NEIGHBOURS,
    GpuReplica,
    GpuUnavailableError,
    gpu_cloner,
)
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.segments import Segment
from twopass.index.vectors.vector_index import VectorChange, VectorIndex

from ..conftest import LANES

DIMENSION = 4
START = SequenceToken("0" * 32, 0)


class Copy:
    """A device's copy: counts its searches, refuses selectors, and fails when told to."""

    def __init__(self, index):
        self.index = faiss.clone_index(index)
        self.asked = []
        self.fails = False

    def search(self, queries, k, params=None):
        assert k <= MAX_NEIGHBOURS
        assert params is None or params.sel is None, "a GPU would ignore it"
        self.asked.append(k)
        if self.fails:
            raise RuntimeError("CUDA error 700")
        return self.index.search(queries, k)


class Device:
    """Keeps the copies that were made on it."""

    def __init__(self):
        self.copies = []

    def __call__(self, master):
        self.copies.append(Copy(master))
        return self.copies[-1]


def vectors(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


def made(count):
    index = FLAT.create(DIMENSION)
    index.add(vectors(count))
    device = Device()
    return index, GpuReplica(index, device), device.copies[0]


QUERIES = vectors(3, seed=1)


def test_searches_go_to_the_copy():
    index, replica, copy = made(50)
    scores, positions = replica.search(QUERIES, 7, None, None)
    np.testing.assert_array_equal(positions, index.search(QUERIES, 7)[1])
    assert scores.shape == (3, 7)
    assert copy.asked == [7]
    assert replica.is_on_gpu


@given(st.sets(st.integers(0, 49)), st.integers(1, 20))
def test_what_is_sifted_is_exact_or_left_to_the_master(allowed, k):
    index, replica, _ = made(50)
    chosen = np.isin(np.arange(50), sorted(allowed))
    found = replica.search(QUERIES, k, None, chosen)
    if len(allowed) < k:
        assert found is None
    if found is not None:
        _, everything = index.search(QUERIES, 50)
        for row, order in zip(found[1], everything, strict=True):
            assert [*row] == [p for p in order if p in allowed][:k]


def test_four_times_as_many_are_fetched_where_not_all_may_be_found():
    _, replica, copy = made(50)
    assert replica.search(QUERIES, 5, None, np.arange(50) > 4) is not None
    assert copy.asked == [20]


def test_more_neighbours_than_a_gpu_returns_are_for_the_master():
    _, replica, copy = made(3_000)
    assert replica.search(QUERIES, MAX_NEIGHBOURS + 1, None, None) is None
    assert replica.search(QUERIES, MAX_NEIGHBOURS + 1, None, np.ones(3_000, bool)) is None
    assert not copy.asked


def test_a_gpu_that_fails_is_left_for_the_cpu_and_said_to_be(caplog):
    _, replica, copy = made(50)
    copy.fails = True
    assert replica.search(QUERIES, 5, None, None) is None
    assert replica.search(QUERIES, 5, None, None) is None
    assert copy.asked == [5]
    assert not replica.is_on_gpu
    (record,) = caplog.records
    assert "goes on on the CPU: the GPU failed in a search (CUDA error 700)" in record.getMessage()


def refuse(master):
    raise RuntimeError("out of memory")


def test_an_index_that_does_not_fit_stays_on_the_cpu_and_is_said_to(caplog):
    index, _, _ = made(20)
    replica = GpuReplica(index, refuse)
    assert not replica.is_on_gpu
    assert replica.search(QUERIES, 3, None, None) is None
    assert "can't be copied to the GPU (out of memory)" in caplog.records[0].getMessage()


@pytest.mark.parametrize("kind", ["Flat", "IVF4,Flat"])
def test_a_segment_finds_the_same_with_a_replica_and_without(kind):
    parsed = IndexKind.parse(kind)
    index = parsed.create(DIMENSION)
    stored = vectors(400)
    if parsed.num_lists:
        index.train(stored)
    index.add(stored)
    keys, breadth = np.arange(100, 500), Breadth(nprobe=4)
    segments = [Segment(parsed, index, keys, np.zeros(400, np.bool_)) for _ in range(2)]
    device = Device()
    if parsed.num_lists:  # as the GPU is told with each search
        device = lambda master, to=device: _probing(to(master))  # noqa: E731
    segments[1].replicate(device)
    for hidden in (range(100, 150), range(150, 480)):
        for members in (None, np.arange(120, 500, 3), np.array([499])):
            alone, replicated = (s.search(QUERIES, 9, members, breadth) for s in segments)
            for one, other in zip(alone, replicated, strict=True):
                np.testing.assert_allclose(np.sort(one), np.sort(other), rtol=1e-6)
        for segment in segments:
            segment.hide(np.array(hidden))


def _probing(copy):
    copy.index.nprobe = 4
    return copy


def test_every_base_of_an_index_is_copied_and_what_came_since_is_found_too(tmp_path):
    device = Device()
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True)
    base, delta = Segment.empty(DIMENSION), Segment.empty(DIMENSION)
    base.add(np.arange(1, 41), vectors(40))
    index = VectorIndex(
        *("notes", schema, LoadedVectors(base, delta, 0, START), tmp_path / "vectors.base", LANES),
        policy=MergePolicy(min_changes=1_000),
        clone=device,
    )
    try:
        new = vectors(10, seed=2)
        added = VectorChange(
            np.array([7]), np.arange(41, 51), new, SequenceToken(START.incarnation, 1)
        )
        index.update(added).result()
        everything = np.concatenate([vectors(40), new])
        scores = everything @ QUERIES[0]
        scores[6] = -np.inf
        expected = 1 + np.argsort(-scores)[:12]
        for num_copies in (1, 2):
            assert len(device.copies) == num_copies
            found = index.search(QUERIES[:1], 12, None, Breadth()).result()
            np.testing.assert_array_equal(found.keys[0], expected)
            assert device.copies[-1].asked
            index.merge().result()
    finally:
        index.close()


def test_a_faiss_without_a_gpu_part_says_how_to_get_one(monkeypatch):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(GpuUnavailableError, match=r"'faiss-gpu>="):
        gpu_cloner()


@pytest.mark.gpu
@pytest.mark.parametrize("use_float16", [False, True])
def test_the_copy_on_a_gpu_finds_what_the_master_finds(use_float16):
    try:
        clone = gpu_cloner(use_float16=use_float16)
    except GpuUnavailableError as error:
        pytest.skip(str(error))
    index, _, _ = made(5_000)
    replica = GpuReplica(index, clone)
    assert replica.is_on_gpu
    scores, _ = replica.search(QUERIES, 50, None, None)
    np.testing.assert_allclose(scores, index.search(QUERIES, 50)[0], atol=1e-2)
