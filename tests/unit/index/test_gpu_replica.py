"""The replica with a copy on the CPU in the GPU's place: all but the copying is the same."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.gpu_replica import (
    MAX_NEIGHBOURS,
    GpuReplica,
    GpuUnavailableError,
    gpu_cloner,
)

DIMENSION = 4


class Copy:
    """A device's copy: counts its searches, knows no selector, and fails when told to."""

    def __init__(self, index):
        self.index = faiss.clone_index(index)
        self.asked = []
        self.fails = False

    def search(self, queries, k):
        assert k <= MAX_NEIGHBOURS
        self.asked.append(k)
        if self.fails:
            raise RuntimeError("CUDA error 700")
        return self.index.search(queries, k)


def made(count):
    vectors = np.random.default_rng(0).standard_normal((count, DIMENSION)).astype(np.float32)
    index = faiss.index_factory(DIMENSION, "IDMap,Flat", faiss.METRIC_INNER_PRODUCT)
    index.add_with_ids(vectors, np.arange(100, 100 + count))
    copies = []

    def clone(master):
        copies.append(Copy(master))
        return copies[-1]

    return index, GpuReplica(index, clone), copies[0]


QUERIES = np.random.default_rng(1).standard_normal((3, DIMENSION)).astype(np.float32)


def test_searches_go_to_the_copy():
    index, replica, copy = made(50)
    scores, keys = replica.search(QUERIES, 7)
    np.testing.assert_array_equal(keys, index.search(QUERIES, 7)[1])
    assert scores.shape == (3, 7)
    assert copy.asked == [7]
    assert replica.is_on_gpu


@given(st.sets(st.integers(100, 149)), st.integers(1, 20))
def test_a_filter_is_exact_however_few_it_allows(allowed, k):
    index, replica, _ = made(50)
    keys = np.array(sorted(allowed), np.int64)
    _, found = replica.search(QUERIES, k, allowed=keys)
    _, everything = index.search(QUERIES, 50)
    for row, order in zip(found, everything, strict=True):
        expected = [key for key in order if key in allowed][:k]
        assert [*row] == expected + [-1] * (k - len(expected))


def test_a_filter_never_reaches_the_copy_which_would_ignore_it():
    _, replica, copy = made(50)
    replica.search(QUERIES, 5, allowed=np.arange(100, 145))
    assert copy.asked == [20]  # Copy.search takes no parameters at all


def test_more_neighbours_than_a_gpu_returns_come_from_the_master():
    _, replica, copy = made(3_000)
    _, keys = replica.search(QUERIES, MAX_NEIGHBOURS + 1)
    assert keys.shape == (3, MAX_NEIGHBOURS + 1)
    _, keys = replica.search(QUERIES, MAX_NEIGHBOURS + 1, allowed=np.arange(100, 3_100))
    assert keys.min() >= 100
    assert not copy.asked


def test_a_gpu_that_fails_is_left_for_the_cpu_and_said_to_be(caplog):
    index, replica, copy = made(50)
    copy.fails = True
    for _ in range(2):
        _, keys = replica.search(QUERIES, 5)
        np.testing.assert_array_equal(keys, index.search(QUERIES, 5)[1])
    assert copy.asked == [5]
    assert not replica.is_on_gpu
    (record,) = caplog.records
    assert "goes on on the CPU: the GPU failed in a search (CUDA error 700)" in record.getMessage()


def test_an_index_that_does_not_fit_stays_on_the_cpu_and_is_said_to(caplog):
    index, _, _ = made(20)

    def refuse(master):
        raise RuntimeError("out of memory")

    replica = GpuReplica(index, refuse)
    assert not replica.is_on_gpu
    assert replica.search(QUERIES, 3)[1].shape == (3, 3)
    assert "does not fit on the GPU (out of memory)" in caplog.records[0].getMessage()


def test_a_faiss_without_a_gpu_part_says_how_to_get_one(monkeypatch):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(GpuUnavailableError, match=r"twopass\[faiss-gpu\]"):
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
    scores, _ = replica.search(QUERIES, 50)
    np.testing.assert_allclose(scores, index.search(QUERIES, 50)[0], atol=1e-2)
