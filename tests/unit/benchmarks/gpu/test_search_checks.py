"""Checks of the first pass, on a stand-in for faiss's GPU part and where there is none."""

import dataclasses

import faiss
import pytest

from twopass.benchmarks.gpu.contestants import Field
from twopass.benchmarks.gpu.outcome import NotHereError
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.search_checks import lists_and_graph, served_vectors, vector_search

from ...index.vectors.fake_gpu import FakeGpu

GPU = dataclasses.replace(Scale.dry(), on_gpu=True, turns=1, seconds=0.01, num_vectors=(1_000,))


@pytest.fixture
def field():
    return Field(GPU, frozenset(), lambda _: None)


def test_copies_are_measured_beside_their_masters(monkeypatch, field):
    FakeGpu().install(monkeypatch, with_cagra=True)
    lists, graph = lists_and_graph(GPU, field)
    assert (lists["index"], lists["GPU form"]) == ("IVF10,Flat", "lists")
    assert (graph["index"], graph["GPU form"]) == ("HNSW32", "graph")
    for row in (lists, graph):
        assert row["answered"] == 1
        assert row["CPU recall@100"] > 0.5
        assert row["GPU recall@100"] > 0.5
    (exact,) = vector_search(GPU, field)
    assert exact["GPU float32 recall@100"] == 1
    assert field.missing == {}


def test_a_faiss_without_graphs_has_its_lists_measured_and_says_what_brings_graphs(
    monkeypatch, field
):
    FakeGpu().install(monkeypatch)
    lists, graph = lists_and_graph(GPU, field)
    assert lists["GPU form"] == "lists"
    assert "GPU form" not in graph
    assert "faiss-gpu-cuvs" in field.missing["CAGRA"]


def test_a_copy_that_is_not_made_or_fails_is_said(monkeypatch, field):
    gpu = FakeGpu().install(monkeypatch)
    gpu.refusal = RuntimeError("no room")
    assert lists_and_graph(GPU, field)[0]["GPU form"] == "none: it was not made"


@pytest.mark.parametrize("check", [vector_search, lists_and_graph, served_vectors])
def test_where_faiss_has_no_gpu_part_a_check_says_how_to_get_one(monkeypatch, field, check):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(NotHereError, match=r"this faiss has no GPU part: .*faiss-gpu"):
        check(GPU, field)


def test_on_a_cpu_only_the_cpu_is_measured(field):
    dry = dataclasses.replace(GPU, on_gpu=False)
    assert {name for row in lists_and_graph(dry, field) for name in row} == {
        "index",
        "vectors",
        "CPU queries/s",
        "CPU recall@100",
    }
