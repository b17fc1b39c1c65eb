"""Vectors searched on a GPU through the server: here a stand-in for faiss's, under real gRPC."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.request import urlopen

import numpy as np
import pytest

from twopass.client import Client, Document, Schema, field

from ..unit.index.vectors.fake_gpu import FakeGpu
from ..waiting import wait_until
from .serving import Server

DIMENSION = 8
NUM_DOCUMENTS = 3_000
UNDER_WAY = 64
KINDS = {"exact": "Flat", "lists": "IVF8,Flat", "graph": "HNSW16"}


def unit_vectors(count, seed):
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


VECTORS = unit_vectors(NUM_DOCUMENTS, 0)
QUERIES = unit_vectors(UNDER_WAY, 1)


def documents(first, vectors):
    return [
        Document(f"d{first + n}", f"document {n}", metadata={"n": n % 10}, vector=vector.tolist())
        for n, vector in enumerate(vectors)
    ]


@pytest.fixture(scope="module")
def gpu():
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield FakeGpu().install(monkeypatch, with_cagra=True)


@pytest.fixture(scope="module")
def servers(gpu, tmp_path_factory):
    """One with the GPU, one without; both hold the same."""
    folder = tmp_path_factory.mktemp("vectors")
    with (
        Server(
            folder / "gpu", gated=False, vector_device="gpu", metrics_address="127.0.0.1:0"
        ) as one,
        Server(folder / "cpu", gated=False) as other,
    ):
        for server in (one, other):
            with Client(server.target) as client:
                for name, kind in KINDS.items():
                    schema = Schema(
                        dimension=DIMENSION,
                        client_vectors=True,
                        index_kind=kind,
                        indexed_fields={"n": "number"},
                    )
                    client.create_collection(name, schema)
                    client.upsert(name, documents(0, VECTORS))
                    server.wait_for_merge(name)
        yield one, other


@pytest.fixture(autouse=True)
def afresh(gpu):
    while gpu.entered.acquire(blocking=False):
        pass
    gpu.calls.clear()
    yield
    gpu.gate.set()
    gpu.failure = None


def search(client, collection, number, **options):
    return client.search(
        collection,
        vector=QUERIES[number].tolist(),
        retrieve="dense",
        rerank=False,
        top_n=5 + number % 3,
        **options,
    )


def told(result):
    return [(hit.id, hit.dense_score) for hit in result.hits], result.exact


@contextmanager
def held(gpu, server, client, collection):
    """A search that is on the GPU until the block has queued what it will."""
    index = server._app._store.folder.get(collection)._vectors
    with ThreadPoolExecutor(UNDER_WAY + 1) as threads:
        gpu.gate.clear()
        threads.submit(search, client, collection, 0)
        assert gpu.entered.acquire(timeout=30)
        try:
            yield threads
            wait_until(lambda: len(index._queue._waiting) >= UNDER_WAY)
        finally:
            gpu.gate.set()


def expected(servers, collection, filters):
    with Client(servers[1].target) as client:
        return [told(search(client, collection, n, filter=filters[n])) for n in range(UNDER_WAY)]


def together(gpu, servers, collection, filters):
    with (
        Client(servers[0].target) as client,
        held(gpu, servers[0], client, collection) as threads,
    ):
        futures = [
            threads.submit(search, client, collection, n, filter=filters[n])
            for n in range(UNDER_WAY)
        ]
    return [told(future.result()) for future in futures]


NO_FILTER = [None] * UNDER_WAY
FILTERS = [
    None
    if n % 3 == 0
    else field("n").between(gte=n % 4)
    if n % 3 == 1
    else field("n").equals(n % 10)
    for n in range(UNDER_WAY)
]


def test_sixty_four_searches_under_way_are_one_call_with_the_hits_of_the_cpu(gpu, servers):
    assert together(gpu, servers, "exact", NO_FILTER) == expected(servers, "exact", NO_FILTER)
    assert [queries for queries, _ in gpu.calls] == [1, UNDER_WAY]


def test_each_search_keeps_its_filter(gpu, servers):
    assert together(gpu, servers, "exact", FILTERS) == expected(servers, "exact", FILTERS)
    assert len(gpu.calls) <= 6


@pytest.mark.parametrize("collection", ["lists", "graph"])
def test_filtered_answers_of_approximate_kinds_are_exact_as_on_the_cpu(gpu, servers, collection):
    assert together(gpu, servers, collection, FILTERS) == expected(servers, collection, FILTERS)


def test_what_is_written_and_deleted_is_seen_by_the_next_search(gpu, servers):
    late = unit_vectors(40, 7)
    for server in servers:
        with Client(server.target) as client:
            client.upsert("exact", documents(NUM_DOCUMENTS, late))
            client.delete("exact", [f"d{n}" for n in range(0, 300, 2)])
    try:
        assert together(gpu, servers, "exact", FILTERS) == expected(servers, "exact", FILTERS)
    finally:
        for server in servers:
            with Client(server.target) as client:
                client.delete("exact", [f"d{n}" for n in range(NUM_DOCUMENTS, 3_040)])
                client.upsert("exact", documents(0, VECTORS[:300]))
            server.wait_for_merge("exact")


def test_searches_go_on_while_documents_are_written(gpu, servers):
    over = threading.Event()
    answers = []

    def searching():
        with Client(servers[0].target) as client:
            while not over.is_set():
                answers.append(search(client, "exact", 3))

    with ThreadPoolExecutor(4) as threads, Client(servers[0].target) as client:
        futures = [threads.submit(searching) for _ in range(4)]
        try:
            for number in range(10):
                new = documents(10_000 + number, QUERIES[3:4])
                client.upsert("exact", new)
                assert search(client, "exact", 3).hits[0].dense_score > 0.9999
                client.delete("exact", [new[0].id])
            still = [hit.id for hit in search(client, "exact", 3).hits]
        finally:
            over.set()
        for future in futures:
            future.result()
    assert answers
    for answer in answers:
        # One that was found, and deleted before it could be fetched, leaves its place empty.
        lasting = [hit.id for hit in answer.hits if hit.id in still]
        assert lasting == still[: len(lasting)]
        assert len(lasting) >= 4


def test_memory_that_is_short_for_one_call_costs_no_answer(gpu, servers):
    gpu.failure = RuntimeError("cudaMalloc error out of memory [2]")
    assert together(gpu, servers, "exact", FILTERS) == expected(servers, "exact", FILTERS)
    gpu.failure = None
    gpu.calls.clear()
    with Client(servers[0].target) as client:
        search(client, "exact", 1)
    assert [queries for queries, _ in gpu.calls] == [1]


def sample(server, name):
    with urlopen(f"http://127.0.0.1:{server._app.metrics_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (found,) = [float(line.split()[-1]) for line in lines if line.split()[0] == name]
    return found


def test_metrics_tell_what_the_gpu_does(gpu, servers):
    server = servers[0]
    before = sample(server, "twopass_vector_device_queries_total")
    with Client(server.target) as client:
        search(client, "exact", 1)
    assert sample(server, "twopass_vector_device_queries_total") == before + 1
    assert sample(server, "twopass_vector_copies") >= len(KINDS)
    assert sample(server, "twopass_vector_copies_bytes") > 0
    assert sample(server, "twopass_vector_device_calls_total") > 0


def test_a_gpu_lost_under_sixty_four_searches_costs_no_answer_and_is_told(gpu, servers):
    server = servers[0]
    before = sample(server, "twopass_vector_fallbacks_total")
    gpu.failure = RuntimeError("CUDA error 719 unspecified launch failure")
    try:
        assert together(gpu, servers, "exact", FILTERS) == expected(servers, "exact", FILTERS)
        assert len(gpu.calls) == 1
        with Client(server.target) as client:
            for collection in KINDS:
                assert len(search(client, collection, 2).hits) == 7
            info = client.server_info()
        assert sample(server, "twopass_vector_fallbacks_total") == before + 1
        assert info.num_vector_fallbacks == before + 1
    finally:
        gpu.failure = None
        for collection in KINDS:  # as each does by itself some time later
            index = server._app._store.folder.get(collection)._vectors
            index._index.base.replicate(index._device, is_again=True)
