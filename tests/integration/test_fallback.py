"""What is answered where the second pass is late, has no room or fails, allowed or forbidden."""

import dataclasses
import re
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from twopass.client import Client, OverloadedError
from twopass.engines.errors import DeviceError
from twopass.v1 import (
    collection_pb2,
    document_pb2,
    embed_pb2,
    model_pb2,
    search_pb2,
    status_pb2,
)
from twopass.v1.rerank_pb2 import Candidate, RerankRequest
from twopass.v1.search_pb2 import RerankOptions, RetrieveOptions, SearchRequest

from .corpus import document, fill
from .serving import GatedEngine, Server, SetCall, places_taken

QUESTION = "What is the capital of Australia?"
MAX_QUEUED = 20
FORBID = search_pb2.FALLBACK_FORBID
DENSE = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Iterator[Server]:
    """A server whose queue has few places."""
    data = tmp_path_factory.mktemp("small")
    with Server(data, max_queued_pairs=MAX_QUEUED, query_cache_bytes=0) as server:
        fill(server, "facts")
        yield server


@pytest.fixture
def held(small: Server) -> Iterator[GatedEngine]:
    """The reranker, which computes nothing until its gate is opened or the test ends."""
    small.reranker.entered.clear()
    small.reranker.gate.clear()
    yield small.reranker
    small.reranker.gate.set()
    wait_for_room(small)


@pytest.fixture
def broken(small: Server) -> Iterator[Callable]:
    """Lets engines fail until the test ends."""

    def fail(*engines: GatedEngine) -> None:
        for engine in engines:
            engine.failure = DeviceError("the secret of the device")

    yield fail
    small.reranker.failure = small.encoder.failure = None


@pytest.fixture(scope="module")
def vector(small: Server) -> document_pb2.Vector:
    """The embedding of `QUESTION`."""
    return small.embed(embed_pb2.EmbedRequest(texts=[QUESTION])).embeddings[0].vector


def of(num_candidates: int) -> RerankRequest:
    candidates = [Candidate(text=f"passage {i}") for i in range(num_candidates)]
    return RerankRequest(query="which", candidates=candidates)


def wait_for_room(small: Server) -> None:
    """Waits until no call holds a place: what was cancelled travels beside what comes next."""
    while small.rerank.future(of(MAX_QUEUED)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        pass


def asking(**fields: object) -> SearchRequest:
    return SearchRequest(**{"collection": "facts", "query": QUESTION} | fields)


def in_first_pass_order(response: search_pb2.SearchResponse) -> bool:
    return [hit.first_pass_rank for hit in response.hits] == list(range(1, 11))


def failure_of(call: Callable, request: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return raised.value


# --- no room -------------------------------------------------------------------------------------


def test_a_set_larger_than_the_room_is_refused_whole_with_a_time_to_wait(small):
    error = failure_of(small.rerank, of(MAX_QUEUED + 1))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "21 places asked for, 20 of 20 are free" in error.details()
    trailers = dict(error.trailing_metadata())
    (detail,) = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    assert status_pb2.RetryInfo.FromString(detail.value).retry_delay.ToNanoseconds() > 0


def test_the_client_is_told_when_there_may_be_room(small):
    with Client(small.target) as client, pytest.raises(OverloadedError) as raised:
        client.rerank("which", [f"passage {i}" for i in range(MAX_QUEUED + 1)])
    assert raised.value.retry_after is not None
    assert raised.value.retry_after > 0


def test_sets_under_way_take_room_and_give_it_back(small, held):
    under_way = small.rerank.future(of(15))
    held.entered.wait()
    error = failure_of(small.rerank, of(6))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "6 places asked for, 5 of 20" in error.details()
    held.gate.set()
    assert len(under_way.result().hits) == 15
    assert len(small.rerank(of(MAX_QUEUED)).hits) == MAX_QUEUED


def test_a_cancelled_call_gives_its_room_back(small, held):
    under_way = small.rerank.future(of(15))
    held.entered.wait()
    under_way.cancel()
    held.gate.set()
    wait_for_room(small)


def test_a_search_without_room_for_its_second_pass_keeps_first_pass_order(small):
    with places_taken(small, 15):
        response = small.search(asking())
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_OVERLOAD
    assert in_first_pass_order(response)
    assert response.hits[0].id == "canberra"
    assert not response.hits[0].HasField("score")
    assert (response.num_reranked, response.reranker) == (0, "")


def test_a_search_without_room_is_refused_where_fallback_is_forbidden(small):
    with places_taken(small, 15):
        error = failure_of(small.search, asking(fallback=FORBID))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_dense_search_whose_query_has_no_room_has_nothing_to_fall_back_to(small):
    with places_taken(small, MAX_QUEUED):
        error = failure_of(small.search, asking(retrieve=DENSE))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("rpc", ["embed", "upsert"])
def test_texts_to_embed_need_room_too(small, rpc):
    texts = [f"text {i}" for i in range(6)]
    with places_taken(small, 15):
        if rpc == "embed":
            error = failure_of(small.embed, embed_pb2.EmbedRequest(texts=texts))
        else:
            documents = [document(text, text) for text in texts]
            error = failure_of(
                small.collections.UpsertDocuments,
                collection_pb2.UpsertDocumentsRequest(collection="facts", documents=documents),
            )
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


# --- late ----------------------------------------------------------------------------------------


def test_a_search_that_becomes_late_in_the_second_pass_keeps_first_pass_order(small, held, vector):
    response = small.search(asking(vector=vector, time_budget=Duration(nanos=50_000_000)))
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_DEADLINE
    assert in_first_pass_order(response)


def test_a_time_budget_is_spent_on_the_first_candidates(small, held, vector):
    """The engine gives back a batch while the rest of the budget runs out behind the gate."""
    held.info = dataclasses.replace(held.info, max_batch_tokens=40)  # one or two passages
    held.passing.release()
    response = small.search(asking(vector=vector, time_budget=Duration(nanos=400_000_000)))
    held.info = dataclasses.replace(held.info, max_batch_tokens=2_048)
    assert response.rerank_status == search_pb2.RERANK_STATUS_PARTIAL
    assert 1 <= response.num_reranked < response.num_candidates
    num_reranked = response.num_reranked
    first, rest = response.hits[:num_reranked], response.hits[num_reranked:]
    assert sorted(hit.first_pass_rank for hit in first) == list(range(1, num_reranked + 1))
    assert [hit.logit for hit in first] == sorted((hit.logit for hit in first), reverse=True)
    assert [hit.first_pass_rank for hit in rest] == list(range(num_reranked + 1, 11))
    assert not any(hit.HasField("logit") for hit in rest)


def test_a_late_search_fails_where_fallback_is_forbidden(small, vector):
    request = asking(vector=vector, time_budget=Duration(nanos=1), fallback=FORBID)
    error = failure_of(small.search, request)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_budget_too_short_for_the_dense_list_leaves_nothing_to_answer(small):
    error = failure_of(small.search, asking(time_budget=Duration(nanos=1), retrieve=DENSE))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("rpc", ["search", "rerank"])
def test_the_calls_own_deadline_is_hard(small, held, vector, rpc):
    request = asking(vector=vector) if rpc == "search" else of(3)
    with pytest.raises(grpc.RpcError) as raised:
        getattr(small, rpc)(request, timeout=0.05)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_search_that_would_be_late_keeps_first_pass_order_at_once(small, held, vector):
    under_way = small.rerank.future(of(5))
    held.entered.wait()
    budget = Duration(nanos=8_000_000)
    response = small.search(asking(vector=vector, time_budget=budget))
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_DEADLINE
    assert in_first_pass_order(response)
    under_way.cancel()


# --- failed --------------------------------------------------------------------------------------


def test_a_failed_reranker_leaves_first_pass_order_and_says_so(small, broken):
    broken(small.reranker)
    response = small.search(asking())
    assert response.rerank_status == search_pb2.RERANK_STATUS_FAILED
    assert in_first_pass_order(response)
    assert response.reranker == ""


def test_a_failure_that_can_not_be_hidden_is_internal_and_in_the_log(small, broken, caplog):
    broken(small.reranker, small.encoder)
    failures = [
        failure_of(small.search, asking(fallback=FORBID)),
        failure_of(small.search, asking(retrieve=DENSE)),  # there is no first pass
        failure_of(small.rerank, of(2)),
        failure_of(small.embed, embed_pb2.EmbedRequest(texts=["a"])),
        failure_of(
            small.collections.UpsertDocuments,
            collection_pb2.UpsertDocumentsRequest(
                collection="facts", documents=[document("new", "text")]
            ),
        ),
    ]
    logged = {getattr(record, "call", None): record for record in caplog.records}
    for error in failures:
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in error.details()
        (call,) = re.findall("[0-9a-f]{12}", error.details())
        assert "the secret of the device" in str(logged[call].exc_info[1])


def test_an_upsert_whose_embedding_failed_has_written_nothing(small, broken):
    broken(small.encoder)
    upsert = collection_pb2.UpsertDocumentsRequest(
        collection="facts", documents=[document("new", "text")]
    )
    failure_of(small.collections.UpsertDocuments, upsert)
    get = collection_pb2.GetDocumentsRequest(collection="facts", ids=["new"])
    assert failure_of(small.collections.GetDocuments, get).code() is grpc.StatusCode.NOT_FOUND


def test_a_failed_set_of_a_stream_fails_alone(small, broken):
    call = SetCall(small)
    broken(small.reranker)
    call.send("failing", "a", num_candidates=1)
    answer = call.next()
    assert answer.error.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in answer.error.message
    small.reranker.failure = None
    call.send("sound", "a", num_candidates=1)
    assert call.next().WhichOneof("outcome") == "result"
    assert call.end() == []


# --- the first pass ------------------------------------------------------------------------------


def words_alone(response: search_pb2.SearchResponse) -> bool:
    """Whether the lexical list alone was answered, in its order, and looks like nothing else."""
    hits = response.hits
    return (
        hits[0].id == "canberra"
        and [hit.lexical_rank for hit in hits] == list(range(1, len(hits) + 1))
        and not any(hit.HasField("dense_score") or hit.HasField("fused_score") for hit in hits)
        and response.encoder == ""
    )


def test_a_hybrid_search_whose_query_has_no_room_answers_by_words(small):
    with places_taken(small, MAX_QUEUED):
        response = small.search(asking())
        refused = failure_of(small.search, asking(fallback=FORBID))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_OVERLOAD
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_OVERLOAD
    assert words_alone(response)
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_hybrid_search_whose_encoder_is_late_answers_by_words(small):
    small.encoder.gate.clear()
    try:
        late = asking(time_budget=Duration(nanos=50_000_000), fallback=FORBID)
        refused = failure_of(small.search, late)
        response = small.search(asking(time_budget=Duration(nanos=50_000_000)))
    finally:
        small.encoder.gate.set()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_DEADLINE
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_DEADLINE
    assert words_alone(response)
    # The latter where a probe was under way: a busy encoder refuses at once what would be late.
    late = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert refused.code() in late


def test_a_hybrid_search_whose_encoder_failed_answers_by_words_and_reranks_them(small, broken):
    broken(small.encoder)
    response = small.search(asking(rerank=RerankOptions(blend=0)))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_FAILED
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert response.hits[0].HasField("logit")
    assert words_alone(small.search(asking(rerank=RerankOptions(enabled=False))))


def test_a_lexical_search_asks_no_encoder(small, broken):
    broken(small.encoder)
    lexical = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_LEXICAL)
    response = small.search(asking(retrieve=lexical, rerank=RerankOptions(enabled=False)))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert words_alone(response)


# --- the end -------------------------------------------------------------------------------------


def test_after_all_this_the_server_answers_as_before(small):
    response = small.search(asking())
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert len(small.models.ListModels(model_pb2.ListModelsRequest()).models) == 2
