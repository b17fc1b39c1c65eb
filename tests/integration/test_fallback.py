"""What is answered where the second pass is late, has no room or fails, allowed or forbidden."""

import dataclasses
import re

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from twopass.client import Client, OverloadedError
from twopass.v1 import collection_pb2, document_pb2, embed_pb2, model_pb2, search_pb2, status_pb2
from twopass.v1.filter_pb2 import Condition, Filter, IdCondition
from twopass.v1.search_pb2 import RetrieveOptions

from ..waiting import wait_until
from .corpus import document
from .fallback import FORBID, MAX_QUEUED, QUESTION, asking, failure_of, late, of, wait_for_room
from .serving import Server, SetCall, places_taken

DENSE = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE)


@pytest.fixture(scope="module")
def vector(small: Server) -> document_pb2.Vector:
    """The embedding of `QUESTION`."""
    return small.embed(embed_pb2.EmbedRequest(texts=[QUESTION])).embeddings[0].vector


def in_first_pass_order(response: search_pb2.SearchResponse) -> bool:
    return [hit.first_pass_rank for hit in response.hits] == list(range(1, 11))


# --- no room -------------------------------------------------------------------------------------


def test_a_batch_larger_than_the_room_is_reranked_in_no_part(small):
    searches = [asking(rerank=search_pb2.RerankOptions(depth=8)) for _ in range(3)]
    searches[1].fallback = FORBID
    searches.append(asking(rerank=search_pb2.RerankOptions(enabled=False)))
    request = search_pb2.BatchSearchRequest(searches=searches)
    first, forbidden, third, unranked = small.batch_search(request).results
    for result in (first, third):
        assert result.response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_OVERLOAD
        assert in_first_pass_order(result.response)
    assert forbidden.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert "places asked for" in forbidden.error.message
    assert unranked.response.rerank_status == search_pb2.RERANK_STATUS_DISABLED
    del request.searches[1:]
    (alone,) = small.batch_search(request).results
    assert alone.response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE


def test_a_set_larger_than_the_room_is_refused_whole_with_a_time_to_wait(small):
    with places_taken(small, 15):
        error = failure_of(small.rerank, of(6))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "6 places asked for, 5 of 20 are free" in error.details()
    trailers = dict(error.trailing_metadata())
    told = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
    (detail,) = (each for each in told if each.type_url.endswith("google.rpc.RetryInfo"))
    assert status_pb2.RetryInfo.FromString(detail.value).retry_delay.ToNanoseconds() > 0


def test_the_client_is_told_when_there_may_be_room(small):
    with (
        Client(small.target) as client,
        places_taken(small, 15),
        pytest.raises(OverloadedError) as raised,
    ):
        client.rerank("which", [f"passage {i}" for i in range(6)])
    assert raised.value.retry_after is not None
    assert raised.value.retry_after > 0


def test_a_set_that_there_can_never_be_room_for_is_told_so(small):
    with Client(small.target) as client, pytest.raises(OverloadedError) as raised:
        client.rerank("which", [f"passage {i}" for i in range(MAX_QUEUED + 1)])
    assert "21 places asked for, it has 20 in all" in str(raised.value)
    assert raised.value.retry_after is None


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
    response = late(small, asking(vector=vector), held.entered.is_set).result()
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_DEADLINE
    assert in_first_pass_order(response)


def test_a_time_budget_is_spent_on_the_first_candidates(small, held, vector):
    """The engine gives back a batch while the rest of the budget runs out behind the gate."""
    held.info = dataclasses.replace(held.info, max_batch_tokens=40)  # one or two passages
    held.passing.release()
    second = held.num_begun + 2
    response = late(small, asking(vector=vector), lambda: held.num_begun >= second).result()
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
        getattr(small, rpc)(request, timeout=2)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_search_that_would_be_late_keeps_first_pass_order_at_once(small, held, vector):
    under_way = small.rerank.future(of(5))
    arbiter = small._app._arbiter
    wait_until(lambda: arbiter.num_admitted == 5 and arbiter.backlog.num_in_flight)
    arbiter.backlog.service_times[held].measured(1, 100.0)  # minutes for a pair
    response = small.search(asking(vector=vector, time_budget=Duration(seconds=20)))
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_DEADLINE
    assert in_first_pass_order(response)
    assert response.timings.total.ToNanoseconds() < 10e9
    under_way.cancel()


def test_a_search_reserves_its_second_pass_before_any_work(small):
    """Its query is tokenised and embedded only where fallback is allowed."""
    wait_until(lambda: not small._app._arbiter.backlog.num_in_flight)  # of an earlier test
    small.encoder.entered.clear()
    with places_taken(small, 15):
        error = failure_of(small.search, asking(fallback=FORBID))
        assert "12 places asked for, 5 of 20 are free" in error.details()
        assert not small.encoder.entered.is_set()
        assert small.search(asking()).rerank_status == search_pb2.RERANK_STATUS_SKIPPED_OVERLOAD
        assert small.encoder.entered.is_set()


def test_places_of_candidates_that_are_not_found_are_given_back(small, held):
    """The filter leaves one of twelve candidates: the others' places go to the next request."""
    one = Filter(must=[Condition(ids=IdCondition(ids=["canberra"]))])
    under_way = small.search.future(asking(filter=one))
    wait_until(lambda: small._app._arbiter.num_admitted == 1)
    with places_taken(small, MAX_QUEUED - 1):
        held.gate.set()
        assert under_way.result().rerank_status == search_pb2.RERANK_STATUS_COMPLETE


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


# --- the end -------------------------------------------------------------------------------------


def test_after_all_this_the_server_answers_as_before(small):
    response = small.search(asking())
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert len(small.models.ListModels(model_pb2.ListModelsRequest()).models) == 2
