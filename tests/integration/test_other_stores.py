"""A server whose collections are in another store: both lists in one step, and what it lacks."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration

from twopass.client import Chunking, Client, Document, Retrieve, Schema
from twopass.index.base.retrieval import HybridRetrieval
from twopass.index.base.store import InspectableStore, SnapshotStore
from twopass.index.errors import StoreUnreachableError
from twopass.server import app as app_module
from twopass.server.search import first_pass
from twopass.server.stores import OpenedStore
from twopass.v1 import collection_pb2, search_pb2, server_pb2, server_pb2_grpc
from twopass.v1.filter_pb2 import Condition, FieldCondition, Filter, IdCondition, Literal
from twopass.v1.search_pb2 import RerankOptions, RetrieveOptions

from ..waiting import wait_until
from .corpus import FACTS, fill
from .fallback import BUDGET, FORBID, QUESTION, asking, embedding_since_now, failure_of, late
from .memory_store import MemoryHybridRetrieval, MemoryRetrieval, MemoryStore
from .serving import Server, places_taken

NO_RERANK = RerankOptions(enabled=False)
# A store that does not know how many documents it has may find as many as are asked for, 50.
MAX_QUEUED = 60
TWO = Filter(must=[Condition(ids=IdCondition(ids=["canberra", "sky"]))])
STAGES = {"RETRIEVE_MODE_DENSE", "RETRIEVE_MODE_LEXICAL"}


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="module")
def small(tmp_path_factory, store, passing) -> Iterator[Server]:
    """A server on a store in memory."""
    data = tmp_path_factory.mktemp("unused")
    limits = {"max_queued_pairs": MAX_QUEUED, "query_cache_bytes": 0, "probe_seconds": 1e8}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "open_store", lambda *_, **__: OpenedStore(store, lambda: None))
        server = Server(data, http_address="127.0.0.1:0", passing=passing, **limits)
    with server:
        server.reranker.holds_probes = server.encoder.holds_probes = False
        fill(server, "facts")
        yield server


@pytest.fixture(scope="module")
def long(small) -> Iterator[Client]:
    """A client of the server, which has a collection of long documents, split into windows."""
    filler = "The committee met on Tuesday and adjourned without a decision. " * 40
    with Client(small.target) as client:
        client.create_collection("long", Schema(chunking=Chunking(64, 16)))
        texts = {name: f"{filler}{text} {filler}" for name, text in FACTS.items()}
        for name, text in texts.items():  # the queue has few places for windows
            client.upsert("long", [Document(name, text, title=name.capitalize())])
        yield client


@pytest.fixture(autouse=True)
def nothing_held(store: MemoryStore) -> Iterator[None]:
    store.calls.clear()
    store.expected.clear()
    yield
    store.held.clear()
    store.failing.clear()
    store.problem = ""


def test_the_store_in_memory_is_what_others_are():
    assert isinstance(MemoryHybridRetrieval.__new__(MemoryHybridRetrieval), HybridRetrieval)
    assert not isinstance(MemoryRetrieval.__new__(MemoryRetrieval), HybridRetrieval)
    assert not isinstance(MemoryStore(), SnapshotStore | InspectableStore)


def test_a_hybrid_search_asks_the_store_once_for_both_lists_and_for_nothing_between(small, store):
    response = small.search(asking())
    assert store.calls == {"both": 1, "load": 1, "fetch_first": 1}
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert response.hits[0].id == "canberra"
    assert response.hits[0].text == FACTS["canberra"]


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize("wanted", [None, TWO], ids=["all", "filtered"])
@pytest.mark.parametrize(
    "words",
    [{}, {"required": ["the"]}, {"excluded": ["sky"]}],
    ids=["free", "required", "excluded"],
)
@pytest.mark.parametrize("collection", ["facts", "long"])
def test_what_is_found_in_one_step_is_what_is_found_in_several(
    small, long, store, collection, k, wanted, words
):
    clauses = {
        name: [search_pb2.WordClause(phrase=text) for text in texts]
        for name, texts in words.items()
    }
    queries = [QUESTION, "sky", "honey mountain sand", "Where do the tides come from?"]
    batch = search_pb2.BatchSearchRequest(
        searches=[
            asking(
                collection=collection,
                query=query,
                filter=wanted,
                retrieve=RetrieveOptions(k=k, words=search_pb2.WordClauses(**clauses)),
                rerank=NO_RERANK,
                top_n=k,
            )
            for query in queries
        ]
    )
    together = small.batch_search(batch).results
    assert store.calls["both"] == len(queries)
    store.is_hybrid = False
    try:
        apart = small.batch_search(batch).results
    finally:
        store.is_hybrid = True
    assert store.calls["both"] == len(queries)
    for one, other in zip(together, apart, strict=True):
        assert one.HasField("response")
        for result in (one, other):
            result.response.ClearField("timings")
            result.response.ClearField("search_id")
        assert one == other


def test_similarities_of_documents_found_by_words_alone_come_with_both_lists(small, store):
    narrow = RetrieveOptions(k=1)
    response = small.search(
        asking(query="honey mountain sand", retrieve=narrow, rerank=NO_RERANK, top_n=1)
    )
    assert store.calls["similar"] == 0
    assert all(hit.HasField("dense_score") for hit in response.hits)


@pytest.mark.parametrize("mode", sorted(STAGES))
def test_a_search_by_one_list_asks_for_that_one(small, store, mode):
    retrieve = RetrieveOptions(mode=search_pb2.RetrieveMode.Value(mode))
    response = small.search(asking(retrieve=retrieve, rerank=NO_RERANK))
    assert response.hits[0].id == "canberra"
    assert store.calls["both"] == 0
    assert store.calls["nearest"] + store.calls["with_words"] == 1


def test_a_filter_is_compiled_once_and_bounds_both_lists(small, store):
    response = small.search(asking(filter=TWO, rerank=NO_RERANK))
    assert {hit.id for hit in response.hits} == {"canberra", "sky"}
    assert store.calls["members"] == 1


def test_the_searches_of_a_batch_share_a_filter_and_number_documents_each_by_itself(small, store):
    queries = [QUESTION, "Why is the sky blue?", QUESTION]
    batch = search_pb2.BatchSearchRequest(
        searches=[asking(query=query, filter=TWO, top_n=2) for query in queries]
    )
    outcomes = small.batch_search(batch).results
    assert [each.response.hits[0].id for each in outcomes] == ["canberra", "sky", "canberra"]
    assert store.calls["members"] == 1
    assert store.calls["both"] == 3


def test_the_store_is_told_what_will_be_asked_of_the_documents_found(small, store):
    fields = {"text": False, "metadata": True}
    small.search(asking(top_n=3, offset=2, fields=fields))
    small.search(asking(rerank=NO_RERANK))
    with_second_pass, without = store.expected
    assert (with_second_pass.token_ids, without.token_ids) == (True, False)
    assert with_second_pass.num_hits == 5
    assert (with_second_pass.fields.text, with_second_pass.fields.metadata) == (False, True)


@pytest.mark.parametrize("mode", ["dense", "hybrid", "lexical"])
def test_the_part_of_a_long_document_that_answers_comes_with_its_list(long, store, mode):
    result = long.search("long", QUESTION, retrieve=mode, top_n=1)
    (best,) = result.hits
    assert best.id == "canberra"
    assert FACTS["canberra"] in f"{best.title} {best.text}"[best.span.start : best.span.end]
    # By words alone no part is found: it is asked for where a second pass is to read it.
    assert store.calls["similar"] == (mode == "lexical")


def test_the_parts_of_documents_found_by_words_alone_come_with_both_lists(long, store):
    narrow = Retrieve("hybrid", k=1)
    result = long.search("long", "penicillin tides", retrieve=narrow, rerank=False, top_n=2)
    assert all(hit.span for hit in result.hits)
    assert store.calls["similar"] == 0


def test_an_encoder_without_room_leaves_the_words(small, store):
    with places_taken(small, MAX_QUEUED):
        response = small.search(asking())
        refused = failure_of(small.search, asking(fallback=FORBID))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_OVERLOAD
    assert response.hits[0].id == "canberra"
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (store.calls["both"], store.calls["with_words"]) == (0, 1)


def test_an_encoder_that_failed_leaves_the_words_and_they_are_reranked(small, broken):
    broken(small.encoder)
    response = small.search(asking(rerank=RerankOptions(blend=0)))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_FAILED
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE


def test_an_encoder_that_is_late_leaves_the_words(small, store, held_encoder):
    # Words are asked for alone where half of the time has passed.
    call = late(small, asking(rerank=NO_RERANK), held_encoder.entered.is_set, 0.7)
    wait_until(lambda: store.calls["with_words"])
    small.let_pass(BUDGET.seconds)
    response = call.result()
    refused = late(small, asking(fallback=FORBID), lambda: small._app._gate.num_calls).exception()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_DEADLINE
    assert [hit.lexical_rank for hit in response.hits] == list(range(1, len(response.hits) + 1))
    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (store.calls["both"], store.calls["with_words"]) == (0, 1)


def test_an_encoder_that_comes_after_the_words_were_asked_for_still_gives_both_lists(
    small, store, monkeypatch
):
    monkeypatch.setattr(first_pass, "_DISPENSABLE_SHARE", 0.0)  # words are asked for at once
    store.held.add("with_words")
    small.encoder.gate.clear()
    try:
        unhurried = Duration(seconds=600)
        asked = small.search.future(asking(time_budget=unhurried, rerank=NO_RERANK))
        wait_until(lambda: store.calls["with_words"] or asked.done())
        small.encoder.gate.set()
        wait_until(lambda: store.calls["nearest"] or asked.done())
        store.held.clear()
        response = asked.result()
    finally:
        small.encoder.gate.set()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert all(hit.HasField("fused_score") for hit in response.hits)
    assert store.calls["both"] == 0


@pytest.mark.parametrize("fallback", [search_pb2.FALLBACK_ALLOW, FORBID])
def test_both_lists_that_are_late_leave_nothing_to_answer(small, store, fallback):
    store.held.add("both")
    error = late(small, asking(fallback=fallback), lambda: store.calls["both"]).exception()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "time_budget: 600,000 ms given, and within them no candidate was" in error.details()


def test_a_filter_that_is_late_is_told_as_such(small, store):
    store.held.add("members")
    is_embedded = embedding_since_now(small)
    request = asking(filter=TWO)
    error = late(small, request, lambda: store.calls["members"] and is_embedded()).exception()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "the filter was not looked up" in error.details()


def test_a_store_out_of_reach_is_unavailable_with_a_time_to_retry(small, store):
    store.failing["both"] = StoreUnreachableError("memory", "it forgot")
    error = failure_of(small.search, asking())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "the store memory can't be reached: it forgot" in error.details()
    trailers = dict(error.trailing_metadata())
    assert int(trailers["grpc-retry-pushback-ms"]) > 0


def test_what_the_store_lacks_is_unimplemented_and_says_what_to_do_instead(small):
    calls = [
        (
            small.collections.CreateSnapshot,
            collection_pb2.CreateSnapshotRequest(collection="facts"),
            "snapshots: not supported by the store memory; back the store up",
        ),
        (
            small.collections.GetFacets,
            collection_pb2.GetFacetsRequest(
                collection="facts", facets=[collection_pb2.FacetRequest(field="place")]
            ),
            "facets: not supported by the store memory; count by filters",
        ),
    ]
    for call, request, said in calls:
        error = failure_of(call, request)
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert said in error.details()


def test_over_http_what_the_store_lacks_is_501(small):
    reason = "UNSUPPORTED_BY_STORE"
    answer = httpx.post(f"{small.http_url}/api/v1/collections/facts/snapshots", json={})
    assert answer.status_code == 501
    assert reason in answer.text


def test_an_index_kind_is_the_stores_own(small):
    named = small.collections.GetCollection(collection_pb2.GetCollectionRequest(name="facts"))
    assert named.collection.schema.index_kind == "Plain"
    request = collection_pb2.CreateCollectionRequest(name="other")
    request.schema.index_kind = "HNSW32"
    error = failure_of(small.collections.CreateCollection, request)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "schema.index_kind: 'HNSW32' is not supported; supported: Plain" in error.details()


def test_the_server_tells_what_keeps_its_collections_and_what_is_wrong_with_it(small, store):
    info = server_pb2_grpc.ServerServiceStub(small.channel).GetServerInfo
    store.problem = "it forgot"
    server = info(server_pb2.GetServerInfoRequest()).server
    assert (server.store, server.store_problem) == ("memory", "it forgot")
    up = small._app._metrics.registry.get_sample_value
    assert up("twopass_store_up", {"store": "memory"}) == 0.0
    store.problem = ""
    assert up("twopass_store_up", {"store": "memory"}) == 1.0
    assert not info(server_pb2.GetServerInfoRequest()).server.store_problem


def test_documents_are_written_read_changed_and_deleted_there(small):
    call = small.collections
    listed = call.ListDocuments(
        collection_pb2.ListDocumentsRequest(collection="facts", page_size=5)
    )
    assert [each.id for each in listed.documents] == list(FACTS)[:5]
    rest = call.ListDocuments(
        collection_pb2.ListDocumentsRequest(
            collection="facts", page_size=100, page_token=listed.next_page_token
        )
    )
    assert [each.id for each in rest.documents] == list(FACTS)[5:]
    chess = Filter(must=[Condition(ids=IdCondition(ids=["chess"]))])
    update = collection_pb2.UpdateMetadataRequest(collection="facts", filter=chess)
    update.merge.update({"game": "yes"})
    assert call.UpdateMetadata(update).num_updated == 1
    game = FieldCondition(field="game", equal_to_literal=Literal(text="yes"))
    count = collection_pb2.CountDocumentsRequest(
        collection="facts", filter=Filter(must=[Condition(field=game)])
    )
    assert call.CountDocuments(count).num_documents == 1


def test_it_is_started_before_the_server_serves_and_closed_with_it(tmp_path: Path, monkeypatch):
    own = MemoryStore()
    monkeypatch.setattr(app_module, "open_store", lambda *_, **__: OpenedStore(own, lambda: None))
    with Server(tmp_path, gated=False):
        assert own.is_started
        assert not own.is_closed
    assert own.is_closed
