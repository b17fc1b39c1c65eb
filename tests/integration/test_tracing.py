"""Traces at a real OTLP collector, of a real server."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

otlp = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc  # noqa: E402

from twopass.server.config import ConfigError  # noqa: E402
from twopass.server.telemetry.tracing import open_tracer  # noqa: E402
from twopass.v1.rerank_pb2 import Candidate, RerankRequest  # noqa: E402
from twopass.v1.search_pb2 import SearchRequest  # noqa: E402

from .corpus import fill  # noqa: E402
from .serving import Server  # noqa: E402

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps every span that it is sent."""

    def __init__(self):
        self.spans = []
        self._lock = threading.Lock()

    def Export(self, request, context):
        with self._lock:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans += scope.spans
        return otlp.ExportTraceServiceResponse()

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def below(self, parent):
        return {span.name for span in self.spans if span.parent_span_id == parent.span_id}


@pytest.fixture
def collector():
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield collector
    server.stop(None)


def attributes_of(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_call_has_a_span_with_its_stages_below_and_links_to_its_batches(tmp_path, collector):
    with Server(tmp_path, traces_endpoint=collector.endpoint, gated=False) as server:
        fill(server, "facts")
        server.search(
            SearchRequest(collection="facts", query="why is the sky blue"),
            metadata=(("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01"),),
        )
    (search,) = collector.named("twopass.v1.SearchService.Search")
    assert (search.trace_id.hex(), search.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    assert collector.below(search) == {
        *("tokenize", "embed", "nearest vectors", "words", "load candidates", "read hits", "rerank")
    }
    batches = {span.span_id: span for span in collector.named("batch")}
    for stage in ("embed", "rerank"):
        (span,) = [s for s in collector.named(stage) if s.parent_span_id == search.span_id]
        assert search.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= search.end_time_unix_nano
        assert len(span.links) >= 1
        for link in span.links:
            batch = batches[link.span_id]
            assert attributes_of(batch)["twopass.model"] == attributes_of(span)["twopass.model"]
            assert span.start_time_unix_nano <= batch.end_time_unix_nano


def test_a_failed_call_says_which_status_it_had_and_nothing_of_its_text(tmp_path, collector):
    with Server(tmp_path, traces_endpoint=collector.endpoint, gated=False) as server:
        with pytest.raises(grpc.RpcError):
            server.search(SearchRequest(collection="secret-plans", query="who"))
        server.rerank(RerankRequest(query="secret", candidates=[Candidate(text="secret too")]))
    (failed,) = collector.named("twopass.v1.SearchService.Search")
    assert failed.status.message == attributes_of(failed)["twopass.code"] == "NOT_FOUND"
    assert b"secret" not in b"".join(span.SerializeToString() for span in collector.spans)


def test_what_a_caller_does_not_sample_is_not_traced(tmp_path, collector):
    with Server(tmp_path, traces_endpoint=collector.endpoint, gated=False) as server:
        server.rerank(
            RerankRequest(query="a", candidates=[Candidate(text="b")]),
            metadata=(("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-00"),),
        )
    assert collector.spans == []  # not even the batch that computed it


def test_a_collector_that_is_not_there_keeps_nobody_waiting(tmp_path):
    with Server(tmp_path, traces_endpoint="http://127.0.0.1:1", gated=False) as server:
        assert server.rerank(RerankRequest(query="a", candidates=[Candidate(text="b")])).hits


def test_without_opentelemetry_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "twopass.server.telemetry.otlp", None)
    with pytest.raises(ConfigError, match=r"--traces-endpoint: needs .*opentelemetry"):
        open_tracer("http://127.0.0.1:1")
    assert open_tracer("") is None
