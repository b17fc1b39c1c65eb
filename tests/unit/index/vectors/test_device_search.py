"""Searches by a copy on a GPU: the hits of the CPU, each as if it were searched alone."""

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.kinds import FLAT, Breadth, IndexKind
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.device_search import (
    QUERIES_PER_DEVICE_CALL,
    DeviceSearch,
    GpuReplica,
)
from twopass.index.vectors.gpu_device import MAX_NEIGHBOURS, Form, GpuDevice, Usage
from twopass.index.vectors.rounding import share_lost

from .fake_gpu import FakeGpu

DIMENSION = 8
NUM_VECTORS = 4_000
ALL = Answerable(NUM_VECTORS)
NO_BREADTH = Breadth()


def unit_vectors(count, seed=0):
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


VECTORS = unit_vectors(NUM_VECTORS)
QUERIES = unit_vectors(64, seed=1)


def made(factory, vectors=VECTORS):
    kind = IndexKind.parse(factory)
    index = kind.create(DIMENSION)
    if kind.num_lists:
        index.train(vectors)
    index.add(vectors)
    return kind, index


@pytest.fixture
def gpu(monkeypatch):
    return FakeGpu().install(monkeypatch, with_cagra=True)


@pytest.fixture(scope="module")
def flat():
    return made("Flat")


def on(gpu, kind, index, **options):
    replica = GpuReplica(index, kind, GpuDevice(usage=Usage(), **options))
    gpu.calls.clear()
    return replica


def search(queries, k, answerable=ALL, breadth=NO_BREADTH, *, must_be_exact=False):
    return DeviceSearch(queries, k, answerable, breadth, must_be_exact)


def masters(index, query, k, answerable=ALL):
    """The CPU's own exact answer to one query: positions and scores, best first."""
    scores, positions = index.search(query[None, :], NUM_VECTORS)
    kept = [
        (-score, position)
        for score, position in zip(scores[0], positions[0], strict=True)
        if answerable.mask[position]
    ]
    first = sorted(kept)[:k]
    return [position for _, position in first], np.float32([-score for score, _ in first])


def test_sixty_four_searches_are_one_call_and_each_answer_is_the_cpus_bit_for_bit(gpu, flat):
    kind, index = flat
    replica = on(gpu, kind, index)
    found = replica.answer([search(query[None, :], 10) for query in QUERIES])
    assert gpu.calls == [(64, 64)]
    for query, answer in zip(QUERIES, found, strict=True):
        positions, scores = masters(index, query, 10)
        assert answer.positions[0].tolist() == positions
        np.testing.assert_array_equal(answer.scores[0], scores)
        assert answer.exact.all()
        assert answer.answered.all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawing=st.data())
def test_an_answer_is_the_cpus_whatever_is_searched_beside_it(gpu, flat, drawing):
    kind, index = flat
    replica = on(gpu, kind, index)
    asked = []
    for number in range(drawing.draw(st.integers(1, 12), "searches")):
        k = drawing.draw(st.integers(1, 300), "k")
        share = drawing.draw(st.sampled_from([1.0, 0.9, 0.5, 0.2, 0.01]), "share")
        mask = np.random.default_rng(number).random(NUM_VECTORS) < share
        answerable = ALL if share == 1 else Answerable(NUM_VECTORS, mask=mask)
        k = min(k, answerable.count)
        asked.append(search(QUERIES[number : number + 1], k, answerable, must_be_exact=True))
    for one, answer in zip(asked, replica.answer(asked), strict=True):
        if answer is None or not answer.answered.all():
            continue  # for the CPU
        positions, scores = masters(index, one.queries[0], one.k, one.answerable)
        assert answer.positions[0].tolist() == positions
        np.testing.assert_array_equal(answer.scores[0], scores)


@pytest.mark.parametrize("factory", ["SQfp16", "HNSW8", "HNSW8,SQfp16"])
def test_half_precision_is_exact_where_it_says_so_and_scores_are_the_masters(gpu, factory):
    kind, index = made(factory)
    replica = on(gpu, kind, index)
    assert replica.form is Form.FLOAT16
    storage = faiss.downcast_index(index.storage) if kind.num_links else index
    found = replica.answer([search(query[None, :], 10) for query in QUERIES])
    num_exact = 0
    for query, answer in zip(QUERIES, found, strict=True):
        positions, scores = masters(storage, query, 10)
        if answer.exact[0]:
            num_exact += 1
            assert answer.positions[0].tolist() == positions
            np.testing.assert_array_equal(answer.scores[0], scores)
    assert num_exact > len(QUERIES) / 2


def test_what_half_precision_can_not_tell_apart_is_left_to_the_cpu_where_all_is_promised(gpu):
    close = VECTORS.copy()
    close[:500] = QUERIES[0] + np.random.default_rng(3).normal(0, 1e-5, (500, DIMENSION))
    kind, index = made("SQfp16", close.astype(np.float32))
    replica = on(gpu, kind, index)
    (found,) = replica.answer([search(QUERIES[:1], 10, must_be_exact=True)])
    assert not found.answered[0]
    (found,) = replica.answer([search(QUERIES[:1], 10)])
    assert found.answered[0]
    assert not found.exact[0]


@pytest.mark.parametrize("dimension", [8, 384, 16_384])
def test_no_score_in_half_precision_is_off_by_more_than_the_bound(gpu, dimension):
    # All of one sign, so that errors do not cancel; the more components, the more sums are off.
    generator = np.random.default_rng(4)
    stored = generator.random((500, dimension), np.float32)
    queries = generator.random((20, dimension), np.float32)
    index = FLAT.create(dimension)
    index.add(stored)
    replica = on(gpu, FLAT, index, use_float16=True)
    halves = [some.astype(np.float16).astype(np.float64) for some in (queries, stored)]
    off = np.abs(halves[0] @ halves[1].T - queries.astype(np.float64) @ stored.T.astype(np.float64))
    sums = share_lost(dimension) * np.linalg.norm(queries, axis=1) * replica._copy.max_norm
    assert (off.max(axis=1) + 2 * sums <= replica._half_error(queries)).all()


@pytest.mark.parametrize("factory", ["IVF16,Flat", "IVF16,SQfp16"])
def test_lists_are_those_that_the_cpu_searches(gpu, factory):
    kind, index = made(factory)
    replica = on(gpu, kind, index)
    assert replica.form is Form.LISTS
    (found,) = replica.answer([search(QUERIES, 10, breadth=Breadth(nprobe=4))])
    parameters = faiss.SearchParametersIVF(nprobe=4)
    for query, positions, scores in zip(QUERIES, found.positions, found.scores, strict=True):
        own_scores, own = index.search(query[None, :], 10, params=parameters)
        assert sorted(positions) == sorted(own[0])
        np.testing.assert_array_equal(scores, own_scores[0])
    assert not found.exact.any()


def test_all_lists_are_an_exact_search(gpu):
    kind, index = made("IVF16,Flat")
    replica = on(gpu, kind, index)
    (found,) = replica.answer([search(QUERIES, 10, breadth=Breadth(nprobe=16))])
    assert found.exact.all()


def test_a_graph_is_made_anew_where_faiss_has_cagra_and_the_index_is_large(gpu):
    kind, index = made("HNSW16")
    assert on(gpu, kind, index).form is Form.FLOAT16
    replica = on(gpu, kind, index, graph_components=1)
    assert replica.form is Form.GRAPH
    found = replica.answer([search(query[None, :], 10) for query in QUERIES])
    near = 0
    for query, answer in zip(QUERIES, found, strict=True):
        positions, _ = masters(index, query, 10)
        near += len({*answer.positions[0].tolist()} & {*positions})
        assert not answer.exact[0]
    assert near >= 0.95 * 10 * len(QUERIES)
    assert gpu.calls == [(64, 64)]


def test_without_cagra_hnsw_is_compared_with_all_in_half_precision(monkeypatch):
    gpu = FakeGpu().install(monkeypatch)
    monkeypatch.delattr(faiss, "GpuIndexCagra", raising=False)
    kind, index = made("HNSW16")
    assert on(gpu, kind, index, graph_components=1).form is Form.FLOAT16


def test_a_wider_walk_than_the_gpu_takes_is_the_cpus(gpu):
    kind, index = made("HNSW16")
    replica = on(gpu, kind, index, graph_components=1)
    assert replica.answer([search(QUERIES, 10, breadth=Breadth(ef_search=2_000))]) == [None]
    assert not gpu.calls


def test_filtered_members_far_from_the_query_are_left_to_the_cpu(gpu):
    kind, index = made("IVF16,Flat")
    replica = on(gpu, kind, index)
    far = np.argsort(VECTORS @ QUERIES[0])[: NUM_VECTORS // 4]
    mask = np.zeros(NUM_VECTORS, np.bool_)
    mask[far] = True
    few = search(QUERIES[:1], 10, Answerable(NUM_VECTORS, mask=mask), Breadth(nprobe=2))
    (found,) = replica.answer([few])
    assert found is None or not found.answered[0]


def test_searches_for_more_are_calls_of_their_own_after_those_for_few(gpu, flat):
    replica = on(gpu, *flat)
    asked = [search(QUERIES[:1], k) for k in (1_000, 10, 400, 11)]
    replica.answer(asked)
    assert gpu.calls == [(2, 64), (1, 1_024), (1, 2_048)]


def test_a_call_has_a_bounded_number_of_queries(gpu, flat):
    replica = on(gpu, *flat)
    found = replica.answer([search(QUERIES[:1], 10)] * 300)
    assert gpu.calls == [(QUERIES_PER_DEVICE_CALL, 64), (300 - QUERIES_PER_DEVICE_CALL, 64)]
    assert all(answer is not None for answer in found)


@pytest.mark.parametrize(
    ("k", "is_for_gpu"), [(MAX_NEIGHBOURS - 1, True), (MAX_NEIGHBOURS, True), (2_049, False)]
)
def test_more_neighbours_than_a_gpu_returns_are_for_the_cpu(gpu, flat, k, is_for_gpu):
    replica = on(gpu, *flat)
    usage = replica._device.usage
    before = usage.now.num_passed_on
    (found,) = replica.answer([search(QUERIES[:1], k)])
    assert (found is not None) is is_for_gpu
    assert bool(gpu.calls) is is_for_gpu
    assert usage.now.num_passed_on - before == (not is_for_gpu)


def test_of_an_index_no_larger_than_a_call_returns_any_filter_is_answered(gpu):
    kind, index = made("Flat", VECTORS[:500])
    replica = on(gpu, kind, index)
    few = Answerable(500, positions=np.array([3, 77, 401]))
    (found,) = replica.answer([search(QUERIES[:4], 3, few)])
    assert found.answered.all()
    assert all({*row} == {3, 77, 401} for row in found.positions)


def test_a_gpu_that_fails_is_left_for_the_cpu_and_said_to_be_once(gpu, flat, caplog):
    device = GpuDevice(usage=Usage())
    one, other = (GpuReplica(flat[1], FLAT, device) for _ in range(2))
    assert device.usage.now.num_copies == 2
    gpu.calls.clear()
    gpu.failure = RuntimeError("CUDA error 700 an illegal memory access was encountered")
    for replica in (one, other, one):
        assert replica.answer([search(QUERIES, 10)]) == [None]
        assert not replica.is_on_gpu
    assert len(gpu.calls) == 1
    (record,) = caplog.records
    assert "goes on on the CPU: the GPU failed in a search (CUDA error 700" in record.getMessage()
    assert device.usage.now.num_fallbacks == 1
    assert device.usage.now.num_copies == 0


def test_want_of_memory_in_a_search_is_for_that_call_alone(gpu, flat, caplog):
    replica = on(gpu, *flat)
    gpu.failure = RuntimeError("cudaMalloc error out of memory [2]")
    assert replica.answer([search(QUERIES, 10)]) == [None]
    gpu.failure = None
    (found,) = replica.answer([search(QUERIES, 10)])
    assert found.answered.all()
    assert "no memory for a search" in caplog.records[0].getMessage()


def test_an_index_that_does_not_fit_stays_on_the_cpu_and_is_said_to(gpu, flat, caplog):
    gpu.memory = 1
    replica = on(gpu, *flat)
    assert not replica.is_on_gpu
    assert replica.answer([search(QUERIES, 3)]) == [None]
    assert "can't be copied to the GPU (" in caplog.records[0].getMessage()
    assert "out of memory" in caplog.records[0].getMessage()


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "IVF16,Flat", "HNSW16"])
def test_a_copy_that_finds_other_vectors_than_the_master_answers_nobody(gpu, factory, caplog):
    gpu.is_wrong = True
    kind, index = made(factory)
    for components in (1, 1 << 40):
        replica = on(gpu, kind, index, graph_components=components)
        assert not replica.is_on_gpu
    assert "the copy on the GPU is wrong (it misses" in caplog.records[0].getMessage()


def test_components_beyond_half_precision_are_not_copied_in_it(gpu, caplog):
    kind, index = made("HNSW8", VECTORS * 100_000)
    assert not on(gpu, kind, index).is_on_gpu
    assert "too large for half precision" in caplog.records[0].getMessage()


def test_what_a_copy_takes_is_counted_until_it_is_closed(gpu, flat):
    replica = on(gpu, *flat)
    usage = replica._device.usage
    copied = usage.now
    assert copied.num_copies == 1
    taken = NUM_VECTORS * DIMENSION * 4 + gpu.copies[-1].resources.scratch
    assert copied.num_bytes >= taken
    replica.answer([search(QUERIES, 10)])
    assert usage.now.num_queries - copied.num_queries == len(QUERIES)
    replica.close()
    replica.close()
    assert (usage.now.num_copies, usage.now.num_bytes) == (0, 0)
