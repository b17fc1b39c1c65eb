"""What an operator sees, and that dashboard and alerts look at what is there."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from twopass.v1 import embed_pb2
from twopass.v1.rerank_pb2 import Candidate, RerankRequest
from twopass.v1.search_pb2 import SearchRequest
from twopass.v1.spans_pb2 import SpanOptions

from ..waiting import wait_until
from .corpus import ENCODER, FACTS, RERANKER, fill
from .fallback import late
from .serving import Server

DOCS = Path(__file__).parents[2] / "docs"
MONITORING = Path(__file__).parents[2] / "deploy" / "chart" / "twopass" / "files"
PASSAGES = [Candidate(text=f"passage {i}") for i in range(3)]
OTHER_PASSAGES = [Candidate(text=f"another passage {i}") for i in range(3)]


@pytest.fixture(scope="module")
def watched(tmp_path_factory, passing) -> Iterator[Server]:
    """A server that has answered, refused and remembered something of each kind."""
    data = tmp_path_factory.mktemp("watched")
    settings = {"metrics_address": "127.0.0.1:0", "max_queued_pairs": 100, "probe_seconds": 1e8}
    with Server(data, passing=passing, **settings) as server:
        fill(server, "facts")
        for _ in range(2):
            server.search(SearchRequest(collection="facts", query="Why is the sky blue?"))
            server.rerank(RerankRequest(query="which", candidates=PASSAGES, spans=SpanOptions()))
        server.embed(embed_pb2.EmbedRequest(texts=["a text"]))
        for call, request in (
            (server.search, SearchRequest(collection="none", query="x")),
            (server.rerank, RerankRequest(query="x", candidates=PASSAGES * 40)),
        ):
            with pytest.raises(grpc.RpcError):
                call(request)
        server.reranker.gate.clear()  # what comes now is late for certain
        server.reranker.entered.clear()
        request = SearchRequest(collection="facts", query="Why is grass green?")
        late(server, request, server.reranker.entered.is_set).result()
        with pytest.raises(grpc.RpcError):
            server.rerank(RerankRequest(query="late", candidates=OTHER_PASSAGES), timeout=2)
        server.reranker.gate.set()
        # Its caller may know that it is late before the server does.
        labels = {"rpc": "twopass.v1.RerankService.Rerank", "code": "DEADLINE_EXCEEDED"}
        count = server._app._metrics.registry.get_sample_value
        wait_until(lambda: count("twopass_rpc_seconds_count", labels) == 1)
        yield server


@pytest.fixture(scope="module")
def samples(watched: Server) -> dict[str, list]:
    """Every sample of a scrape, by name."""
    url = f"http://127.0.0.1:{watched._app.metrics_port}/metrics"
    with urllib.request.urlopen(url) as response:
        text = response.read().decode()
    found: dict[str, list] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(samples, name: str, **labels: str) -> float:
    (sample,) = (s for s in samples[name] if s.labels == labels)
    return sample.value


def test_calls_are_counted_by_rpc_and_status(samples):
    name = "twopass_rpc_seconds_count"
    search, rerank = "twopass.v1.SearchService.Search", "twopass.v1.RerankService.Rerank"
    assert value(samples, name, rpc=search, code="OK") == 3
    assert value(samples, name, rpc=search, code="NOT_FOUND") == 1
    assert value(samples, name, rpc=rerank, code="OK") == 2
    assert value(samples, name, rpc=rerank, code="RESOURCE_EXHAUSTED") == 1
    assert value(samples, "twopass_rejections_total", reason="queue_pairs") == 1


def test_a_call_that_is_late_is_counted_though_its_caller_gave_up_first(samples):
    rerank = "twopass.v1.RerankService.Rerank"
    name = "twopass_rpc_seconds_count"
    assert value(samples, name, rpc=rerank, code="DEADLINE_EXCEEDED") == 1
    assert value(samples, "twopass_rejections_total", reason="late") >= 1
    assert not [s for s in samples[name] if s.labels["code"] == "CANCELLED"]


def test_searches_are_counted_by_what_became_of_both_passes(samples):
    name = "twopass_searches_total"
    assert value(samples, name, retrieve="complete", rerank="complete") == 2
    assert value(samples, name, retrieve="complete", rerank="skipped_deadline") == 1


def test_answers_with_spans_are_counted_by_what_became_of_these(samples):
    rpc = "twopass.v1.RerankService.Rerank"
    assert value(samples, "twopass_spans_total", rpc=rpc, status="complete") == 2


def test_each_stage_of_a_search_has_its_time(samples):
    rpc = "twopass.v1.SearchService.Search"
    stages = {s.labels["stage"] for s in samples["twopass_stage_seconds_count"]}
    assert stages == {"total", "tokenize", "queue", "embed", "retrieve", "load", "rerank", "spans"}
    assert value(samples, "twopass_stage_seconds_count", rpc=rpc, stage="rerank") == 2


def test_batches_are_counted_by_model_and_have_no_padding_where_they_are_packed(samples):
    models = {s.labels["model"] for s in samples["twopass_batch_tokens_sum"] if s.value > 0}
    assert models == {ENCODER, RERANKER}
    assert all(s.value == 0 for s in samples["twopass_padding_tokens_total"])
    assert all(s.value > 0 for s in samples["twopass_engine_tokens_per_second"])


def test_what_is_asked_again_comes_from_the_caches(samples):
    name = "twopass_cache_lookups_total"
    # Passages of English are tokenised anew by the core, so that none is looked up.
    assert not [s for s in samples[name] if s.labels["cache"] == "passages"]
    assert value(samples, name, cache="queries", result="hit") == 1
    assert value(samples, name, cache="queries", result="miss") == 2
    # The second search and the second candidate set were known whole, the late ones were not; and
    # the pairs of sentences are those of their passages.
    known = len(FACTS) + len(PASSAGES)
    assert value(samples, name, cache="scores", result="hit") == known + 2 * len(PASSAGES)
    assert value(samples, name, cache="scores", result="miss") == known + len(FACTS) + len(
        OTHER_PASSAGES
    )
    assert value(samples, "twopass_cache_entries", cache="scores") == known
    assert value(samples, "twopass_cache_bytes", cache="queries") > 0


def test_a_collection_tells_how_many_documents_it_holds(samples):
    assert value(samples, "twopass_collection_documents", collection="facts") >= 10


def test_blocking_work_is_told_of_by_its_kind(samples):
    lanes = {s.labels["lane"] for s in samples["twopass_lane_calls"]}
    assert {"reads", "scans", "vectors", "writes", "maintenance"} <= lanes
    assert value(samples, "twopass_lane_calls", lane="reads", state="waiting") == 0
    assert value(samples, "twopass_lane_threads", lane="reads") >= 1
    assert value(samples, "twopass_lane_longest_overrun_seconds", lane="scans") >= 0
    assert value(samples, "twopass_request_bytes", state="open") == 0
    # How often is the process's, in which another test's server may have lost a GPU.
    assert "twopass_vector_fallbacks_total" in samples


def test_no_text_and_no_name_of_a_caller_is_in_the_metrics(samples):
    labels = {v for found in samples.values() for s in found for v in s.labels.values()}
    assert not any("sky" in label or "passage " in label for label in labels)


def expressions() -> Iterator[str]:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    alerts = (MONITORING / "alerts.yml").read_text()
    for match in re.finditer(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", alerts):
        yield match[1] or match[2]


# No engine has failed, no hits were compared, nobody sent feedback, and the server runs no shadow.
_NOT_HERE = {
    "twopass_arranged_total",
    "twopass_engine_restarts_total",
    "twopass_feedback_events_total",
    "twopass_shadow_agreement",
    "twopass_shadow_difference",
    "twopass_shadow_p_value",
    "twopass_shadow_searches_total",
}


@pytest.mark.parametrize("expression", list(expressions()))
def test_dashboard_and_alerts_ask_for_metrics_and_labels_that_are_there(samples, expression):
    if "up{" in expression:  # Prometheus's own
        return
    names = re.findall(r"\b((?:twopass|process)_\w+)(?:\{([^}]*)\})?", expression)
    assert names
    for name, conditions in names:
        if name in _NOT_HERE:
            continue
        assert name in samples
        labels = {label for sample in samples[name] for label in sample.labels}
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        wanted = {w.strip() for group in grouped for w in group.split(",")}
        wanted |= set(re.findall(r"(\w+)=~?\"", conditions or ""))
        assert wanted <= labels


def test_the_table_of_metrics_names_every_one_there_is_and_no_other(samples):
    text = (DOCS / "metrics.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `twopass_")]
    assert len({row.split("|")[1] for row in rows}) == len(rows)
    named = set()
    for row in rows:
        first = ""
        for name in re.findall(r"`(\w+)`", row.split("|")[1]):
            first = first if name.startswith("_") else name
            named.add(first.rpartition("_")[0] + name if name.startswith("_") else name)
    families = {
        re.sub(r"_(bucket|count|sum|created)$", "", name)
        for name in samples
        if name.startswith("twopass_") and not name.endswith("_created")
    }
    # What counts nothing here: no engine fails, and none is a decoder's.
    rare = {"twopass_engine_restarts_total", "twopass_shared_tokens_total"}
    # Of engines apart, which this server has none of.
    rare |= {f"twopass_fleet_{name}" for name in ("members", "tokens_per_second", "batches_held")}
    rare.add("twopass_fleet_batches_total")
    # Of vectors on a GPU, of which this machine has none.
    rare |= {"twopass_vector_copies", "twopass_vector_copies_bytes"}
    device_counts = ("calls", "queries", "seconds", "passed_on")
    rare |= {f"twopass_vector_device_{name}_total" for name in device_counts}
    # Of hits that are compared, of feedback and of shadows, which have tests of their own.
    rare.add("twopass_arranged_total")
    rare |= {f"twopass_shadow_{name}" for name in ("searches_total", "agreement")}
    rare |= {f"twopass_shadow_{name}" for name in ("difference", "p_value")}
    rare.add("twopass_feedback_events_total")
    assert named - rare == families - rare


def test_without_an_address_nothing_is_served(server):
    assert server._app.metrics_port == 0
