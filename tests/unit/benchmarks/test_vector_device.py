"""Searches of vectors through a server: what is asked, what counts, what it is compared with."""

import asyncio
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import typer
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from twopass.benchmarks import vector_device
from twopass.benchmarks.vector_device import (
    _load,
    _nearest,
    _recall,
    _table,
    _total,
    clustered_vectors,
    main,
)
from twopass.index.device_use import DeviceUse
from twopass.server.gauges import vector_device_gauges
from twopass.v1 import search_pb2


def test_vectors_are_of_length_one_and_the_same_each_time():
    stored, queries = clustered_vectors(300, 20)
    assert (stored.shape, queries.shape) == ((300, 384), (20, 384))
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(stored, clustered_vectors(300, 20)[0])


@pytest.mark.parametrize("most", [None, 5, 1])
def test_the_nearest_are_the_best_of_those_that_a_filter_lets_through(most):
    stored, queries = clustered_vectors(1_000, 4)
    nearest = _nearest(stored, queries, most)
    assert nearest.shape == (4, 50)
    may_be_found = [n for n in range(1_000) if most is None or n % 10 < most]
    for query, row in zip(queries, nearest, strict=True):
        best = sorted(may_be_found, key=lambda n: -float(query @ stored[n]))[:50]
        assert len(set(best) & set(row.tolist())) >= 49  # the last two may be equally near


def test_recall_is_the_share_of_the_nearest_in_the_answers():
    answer = search_pb2.SearchResponse()
    for number in (1, 2, 9):
        answer.hits.add(id=str(number))
    assert _recall([answer], np.array([[1, 2, 3]])) == pytest.approx(2 / 3)


def test_calls_of_a_gpu_are_read_from_the_servers_metrics():
    class Metrics(Collector):
        def collect(self):
            use = DeviceUse(num_calls=3, num_queries=1_000_000)
            return vector_device_gauges(SimpleNamespace(device_use=use))

    registry = CollectorRegistry()
    registry.register(Metrics())
    told = generate_latest(registry).decode()
    assert (_total(told, "calls"), _total(told, "queries")) == (3, 1_000_000)
    assert _total("", "calls") == 0


@pytest.mark.parametrize("under_way", [1, 8, 64])
def test_what_is_answered_in_the_time_counts_however_many_are_under_way(under_way):
    most = 0

    async def loaded():
        nonlocal most
        now = 0

        async def search(request, context):
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001 * under_way)
            now -= 1
            return request

        handler = grpc.method_handlers_generic_handler(
            "twopass.v1.SearchService", {"Search": grpc.unary_unary_rpc_method_handler(search)}
        )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            return await _load(f"127.0.0.1:{port}", [b"one", b"two"], under_way, 0.3)
        finally:
            await server.stop(None)

    row = asyncio.run(loaded())
    assert 1 <= most <= under_way
    assert row["searches/s"] > 0
    assert row["p50 ms"] > 0


def test_a_table_has_a_line_a_figure_and_leaves_out_what_was_not_measured():
    rows = [{"kind": "exact", "under way": 64, "searches/s": 1234.5, "p99 ms": None}]
    table = _table(rows)
    cells = [list(column.cells) for column in table.columns]
    assert cells == [["exact"], ["64"], ["1,234"], [""]]


def test_an_unknown_kind_is_refused_before_anything_is_filled(monkeypatch):
    monkeypatch.setattr(vector_device, "measured", None)
    with pytest.raises(typer.BadParameter, match="--kind: flat: there are exact, IVF, HNSW"):
        main(kind=["flat"])


def test_too_few_vectors_for_lists_are_refused(monkeypatch):
    monkeypatch.setattr(vector_device, "measured", None)
    with pytest.raises(typer.BadParameter, match="--vectors: 9,983 given, IVF is built from 9,984"):
        main(vectors=9_983)
