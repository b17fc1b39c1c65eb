"""Bases with a copy on a GPU: what segments and an index find with one, as without."""

import threading

import faiss
import numpy as np
import pytest

from twopass.index.kinds import FLAT, Breadth, IndexKind
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import Stop
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.device_search import DeviceSearch, GpuReplica
from twopass.index.vectors.gpu_device import (
    GpuDevice,
    GpuUnavailableError,
    Usage,
    find_gpu,
)
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.segments import Segment, Wanted
from twopass.index.vectors.vector_index import VectorChange, VectorIndex

from ..conftest import LANES
from .fake_gpu import FakeGpu

DIMENSION = 4
START = SequenceToken("0" * 32, 0)
NUM_STORED = 3_000


def vectors(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


QUERIES = vectors(64, seed=1)


@pytest.fixture
def gpu(monkeypatch):
    return FakeGpu().install(monkeypatch)


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "IVF4,Flat", "HNSW8"])
def test_a_segment_finds_the_same_with_a_replica_and_without(gpu, factory):
    kind = IndexKind.parse(factory)
    index = kind.create(DIMENSION)
    if kind.num_lists:
        index.train(vectors(NUM_STORED))
    index.add(vectors(NUM_STORED))
    keys, breadth = np.arange(100, 100 + NUM_STORED), Breadth(nprobe=4)
    alone, replicated = (
        Segment(kind, index, keys, np.zeros(NUM_STORED, np.bool_)) for _ in range(2)
    )
    replicated.replicate(GpuDevice())
    assert replicated.is_on_device
    for hidden in (range(100, 150), range(150, 2_500)):
        for members in (None, np.arange(120, 3_000, 3), np.array([499])):
            one = alone.search(QUERIES, 9, members, breadth)
            (other,) = replicated.search_together([Wanted(QUERIES, 9, members, breadth)])
            if other is None:  # for the CPU
                continue
            np.testing.assert_array_equal(np.sort(one.scores), np.sort(other.scores))
            np.testing.assert_array_equal(np.sort(one.keys), np.sort(other.keys))
        for segment in (alone, replicated):
            segment.hide(np.array(hidden))
    assert gpu.calls


class Indexed:
    """Two indexes of the same vectors, one of them with a GPU."""

    def __init__(self, folder, factory="Flat", **policy):
        self.usage = Usage()
        self.with_gpu, self.without = (
            self._made(folder / str(number), factory, policy, device)
            for number, device in enumerate((GpuDevice(usage=self.usage), None))
        )
        self.position = 0

    def _made(self, folder, factory, policy, device):
        folder.mkdir()
        kind = IndexKind.parse(factory)
        index = kind.create(DIMENSION)
        index.add(vectors(NUM_STORED))
        base = Segment(kind, index, np.arange(1, NUM_STORED + 1), np.zeros(NUM_STORED, np.bool_))
        loaded = LoadedVectors(base, Segment.empty(DIMENSION), 0, START)
        schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=factory)
        return VectorIndex(
            *("notes", schema, loaded, folder / "vectors.base", LANES),
            policy=MergePolicy(**{"min_changes": 100_000, **policy}),
            device=device,
        )

    def write(self, removed=(), count=0):
        self.position += 1
        first = NUM_STORED + 1 + 1_000 * self.position
        change = VectorChange(
            np.array(removed, np.int64),
            np.arange(first, first + count),
            vectors(count, seed=10 + self.position),
            SequenceToken(START.incarnation, self.position),
        )
        for index in (self.with_gpu, self.without):
            index.update(change).result()

    def close(self):
        self.with_gpu.close()
        self.without.close()


@pytest.fixture
def indexed(gpu, tmp_path):
    made = Indexed(tmp_path)
    gpu.calls.clear()
    yield made
    gpu.gate.set()
    made.close()


def waiting(gpu, index, asked):
    """Queues searches behind one that is on the GPU, and lets that one go."""
    gpu.gate.clear()
    first = index.search(QUERIES[:1], 1, None, Breadth())
    assert gpu.entered.acquire(timeout=30)
    futures = [index.search(*one) for one in asked]
    gpu.gate.set()
    first.result()
    return futures


def asked_differently():
    """64 searches, each with its own k, and a filter or none."""
    generator = np.random.default_rng(5)
    for number, query in enumerate(QUERIES):
        members = None
        if number % 3:
            members = 1 + np.flatnonzero(generator.random(NUM_STORED + 5_000) < number / 70)
        yield query[None, :], 1 + number % 7, members, Breadth()


def check_same(indexed, asked, futures):
    for one, future in zip(asked, futures, strict=True):
        found, own = future.result(), indexed.without.search(*one).result()
        np.testing.assert_array_equal(found.keys, own.keys)
        np.testing.assert_array_equal(found.scores, own.scores)
        assert found.exact.all()
        assert found.sequence == own.sequence


def test_searches_that_wait_together_are_one_call_whatever_they_ask_for(gpu, indexed):
    while gpu.entered.acquire(blocking=False):
        pass
    asked = [(query[None, :], 1 + n % 7, None, Breadth()) for n, query in enumerate(QUERIES)]
    check_same(indexed, asked, waiting(gpu, indexed.with_gpu, asked))
    assert gpu.calls == [(1, 64), (64, 64)]


def test_each_keeps_its_filter_and_what_was_written_and_deleted_is_respected(gpu, indexed):
    while gpu.entered.acquire(blocking=False):
        pass
    indexed.write(removed=range(1, 400), count=200)
    asked = list(asked_differently())
    check_same(indexed, asked, waiting(gpu, indexed.with_gpu, asked))
    assert len(gpu.calls) < 10


def test_a_search_that_nobody_waits_for_leaves_before_the_call(gpu, indexed):
    while gpu.entered.acquire(blocking=False):
        pass
    stop = Stop()
    gpu.gate.clear()
    first = indexed.with_gpu.search(QUERIES[:1], 1, None, Breadth())
    assert gpu.entered.acquire(timeout=30)
    others = [
        indexed.with_gpu.search(query[None, :], 5, None, Breadth(), each)
        for query, each in zip(QUERIES[:8], [stop, Stop()] * 4, strict=True)
    ]
    stop.set()
    gpu.gate.set()
    first.result()
    assert [future.exception() is None for future in others] == [False, True] * 4
    assert gpu.calls[1:] == [(4, 64)]


def test_writes_during_searches_are_found_by_those_that_come_later(gpu, indexed):
    over = threading.Event()
    failures = []

    def search():
        while not over.is_set():
            found = indexed.with_gpu.search(QUERIES[:1], 5, None, Breadth()).result()
            if len(found.keys[0]) != 5:
                failures.append(found)

    searching = [threading.Thread(target=search) for _ in range(4)]
    for thread in searching:
        thread.start()
    for number in range(20):
        indexed.write(removed=[1 + number], count=3)
        found = indexed.with_gpu.search(QUERIES[:4], 20, None, Breadth()).result()
        own = indexed.without.search(QUERIES[:4], 20, None, Breadth()).result()
        np.testing.assert_array_equal(found.keys, own.keys)
    over.set()
    for thread in searching:
        thread.join()
    assert not failures


def test_a_gpu_lost_under_searches_costs_no_answer(gpu, indexed):
    while gpu.entered.acquire(blocking=False):
        pass
    asked = list(asked_differently())
    gpu.failure = RuntimeError("CUDA error 719 unspecified launch failure")
    check_same(indexed, asked, waiting(gpu, indexed.with_gpu, asked))
    assert len(gpu.calls) == 1


def test_every_new_base_is_copied_and_the_old_copy_leaves(gpu, indexed):
    indexed.write(removed=[7], count=50)
    indexed.with_gpu.merge().result()
    assert len(gpu.copies) == 2
    assert indexed.usage.now.num_copies == 1
    gpu.calls.clear()
    asked = [(QUERIES[:4], 12, None, Breadth())]
    check_same(indexed, asked, [indexed.with_gpu.search(*asked[0])])
    assert gpu.calls == [(4, 64)]


def test_an_exact_base_on_a_gpu_takes_in_what_was_written_sooner(gpu, tmp_path):
    made = Indexed(tmp_path, min_changes=10, added_share=0.1, exact_added_share=0.5)
    try:
        made.write(count=350)
        made.with_gpu.merge().result()
        made.without.search(QUERIES[:1], 1, None, Breadth()).result()
        assert made.without._index.num_outside_base == 350
        made.write(count=350)
        made.with_gpu.merge().result()  # waits for the one that is due
        assert made.with_gpu._index.num_outside_base == 0
    finally:
        made.close()


def test_a_base_that_did_not_fit_is_copied_when_there_is_room(gpu, tmp_path, monkeypatch):
    gpu.memory = 1
    made = Indexed(tmp_path)
    try:
        index = made.with_gpu
        index.search(QUERIES[:1], 3, None, Breadth()).result()
        assert index._copying is None
        gpu.memory = 1 << 40
        index._copy_time = 0.0
        index.search(QUERIES[:1], 3, None, Breadth()).result()
        index._copying.result()
        gpu.calls.clear()
        index.search(QUERIES[:1], 3, None, Breadth()).result()
        assert gpu.calls == [(1, 64)]
    finally:
        made.close()


def test_closing_gives_the_memory_back(gpu, tmp_path):
    made = Indexed(tmp_path)
    assert made.usage.now.num_copies == 1
    made.close()
    assert made.usage.now.num_copies == 0


def test_a_faiss_without_a_gpu_part_says_how_to_get_one(monkeypatch):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(GpuUnavailableError, match=r"'faiss-gpu>="):
        find_gpu()


@pytest.mark.gpu
@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "IVF16,Flat", "IVF16,SQfp16", "HNSW16"])
@pytest.mark.parametrize("graph_components", [1, 1 << 40])
def test_the_copy_on_a_gpu_finds_what_the_master_finds(factory, graph_components):
    try:
        find_gpu()
    except GpuUnavailableError as error:
        pytest.skip(str(error))
    kind = IndexKind.parse(factory)
    stored = np.random.default_rng(0).standard_normal((20_000, 64)).astype(np.float32)
    index = kind.create(64)
    if kind.num_lists:
        index.train(stored)
    index.add(stored)
    replica = GpuReplica(index, kind, GpuDevice(graph_components=graph_components))
    assert replica.is_on_gpu
    queries = np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)
    everything, breadth = Answerable(len(stored)), Breadth(nprobe=16)
    (found,) = replica.answer([DeviceSearch(queries, 50, everything, breadth, False)])
    assert found.answered.all()
    expected = np.sort(queries @ stored.T, axis=1)[:, :-51:-1]
    is_near = found.scores >= expected[:, -1:] - 0.05
    assert is_near.mean() > 0.9
    if kind is FLAT:
        np.testing.assert_allclose(found.scores, expected, rtol=1e-4)
