"""Many searches in one call: each answered as it would be alone, and none harmed by another."""

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.duration_pb2 import Duration

from twopass.v1 import filter_pb2, rerank_pb2, search_pb2
from twopass.v1.search_pb2 import (
    BatchSearchRequest,
    RerankOptions,
    RetrieveOptions,
    SearchRequest,
    SearchResponse,
)

from .corpus import FACTS

QUESTIONS = [
    "What is the capital of Australia?",
    "Why do the tides follow the moon?",
    "How does a vaccine protect?",
]
LEXICAL = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_LEXICAL)
DENSE = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE)


@pytest.fixture
def batch(server, facts):
    def run(*searches: SearchRequest, **options):
        for search in searches:
            search.collection = search.collection or facts
        return server.batch_search(BatchSearchRequest(searches=searches, **options)).results

    return run


def without_times(response: SearchResponse) -> SearchResponse:
    copy = SearchResponse()
    copy.CopyFrom(response)
    copy.ClearField("timings")
    copy.ClearField("search_id")
    return copy


def place_is(value: float) -> filter_pb2.Filter:
    condition = filter_pb2.FieldCondition(field="place")
    condition.range.gte = condition.range.lte = value
    return filter_pb2.Filter(must=[filter_pb2.Condition(field=condition)])


def test_each_search_is_answered_as_it_would_be_alone(server, facts, batch):
    searches = [
        SearchRequest(query=QUESTIONS[0]),
        SearchRequest(query=QUESTIONS[1], retrieve=LEXICAL, top_n=2),
        SearchRequest(query=QUESTIONS[2], retrieve=DENSE, rerank=RerankOptions(enabled=False)),
        SearchRequest(query=QUESTIONS[0], rerank=RerankOptions(depth=3, blend=0), offset=1),
        SearchRequest(query=QUESTIONS[1], filter=place_is(2)),
        SearchRequest(query=QUESTIONS[2], filter=place_is(2)),
    ] * 10
    together = [result.response for result in batch(*searches)]
    for search, found in zip(searches, together, strict=True):
        alone = without_times(server.search(search))
        found = without_times(found)
        # Scores differ with the shape of the batch that a pair was in, by float32's rounding.
        for one, other in zip(alone.hits, found.hits, strict=True):
            assert one.id == other.id
            assert one.dense_score == pytest.approx(other.dense_score, abs=1e-5)
            assert one.logit == pytest.approx(other.logit, abs=5e-4)
        del alone.hits[:], found.hits[:]
        alone.num_cached = found.num_cached = 0  # the one that is asked first computes
        assert found == alone


def test_a_search_that_fails_harms_no_other(batch):
    results = batch(
        SearchRequest(query=QUESTIONS[0]),
        SearchRequest(collection="unknown", query=QUESTIONS[0]),
        SearchRequest(query=""),
        SearchRequest(query=QUESTIONS[0], time_budget=Duration(seconds=1)),
        SearchRequest(query="word " * 2_000, query_truncation=rerank_pb2.QUERY_TRUNCATION_REJECT),
        SearchRequest(query=QUESTIONS[1], retrieve=RetrieveOptions(k=5_000)),
        SearchRequest(query=QUESTIONS[1]),
    )
    assert [result.WhichOneof("outcome") for result in results] == (
        ["response"] + ["error"] * 5 + ["response"]
    )
    not_found, invalid = (
        grpc.StatusCode.NOT_FOUND.value[0],
        grpc.StatusCode.INVALID_ARGUMENT.value[0],
    )
    assert [result.error.code for result in results[1:-1]] == [not_found, *[invalid] * 4]
    assert "query: empty" in results[2].error.message
    assert "time_budget" in results[3].error.message
    assert "5,000 given, at most 2,048" in results[5].error.message
    assert results[0].response.hits[0].id == "canberra"
    assert results[6].response.hits[0].id == "tides"


@pytest.mark.parametrize(("number", "problem"), [(0, "at least 1"), (257, "at most 256")])
def test_a_batch_has_1_to_256_searches(server, facts, number, problem):
    searches = [SearchRequest(collection=facts, query="q")] * number
    with pytest.raises(grpc.RpcError, match=problem) as raised:
        server.batch_search(BatchSearchRequest(searches=searches))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_equal_filters_are_told_from_those_that_only_python_takes_for_equal(server, batch):
    def equals(**value) -> filter_pb2.Filter:
        condition = filter_pb2.FieldCondition(field="place", equal_to=struct_pb2.Value(**value))
        return filter_pb2.Filter(must=[filter_pb2.Condition(field=condition)])

    options = {"query": QUESTIONS[0], "rerank": RerankOptions(enabled=False)}
    number, truth = batch(
        SearchRequest(**options, filter=equals(number_value=1)),
        SearchRequest(**options, filter=equals(bool_value=True)),
    )
    assert len(number.response.hits) == 1
    assert len(truth.response.hits) == 0


def test_the_budget_is_of_the_whole_batch(batch):
    searches = [SearchRequest(query=question, top_n=3) for question in QUESTIONS * 20]
    results = batch(*searches, time_budget=Duration(seconds=60))
    assert {result.response.rerank_status for result in results} == {
        search_pb2.RERANK_STATUS_COMPLETE
    }
    late = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    for result in batch(*searches, time_budget=Duration(nanos=1)):
        assert result.error.code == late
    with pytest.raises(grpc.RpcError, match="more than 0"):
        batch(*searches, time_budget=Duration())


def test_the_answer_is_kept_within_its_bytes(server, facts, batch):
    searches = [SearchRequest(query=question, top_n=12) for question in QUESTIONS]
    whole = batch(*searches)
    assert not any(hit.content_omitted for result in whole for hit in result.response.hits)
    most = sum(result.ByteSize() for result in whole) * 3 // 4
    response = server.batch_search(BatchSearchRequest(searches=searches, max_answer_bytes=most))
    assert response.ByteSize() <= most
    for result in response.results:
        assert len(result.response.hits) == 12
        assert result.response.hits[-1].content_omitted
    none_fit = batch(*searches, max_answer_bytes=200)
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert {result.error.code for result in none_fit} == {exhausted}


def test_every_fact_is_found_by_its_own_text(batch):
    results = batch(*(SearchRequest(query=text, top_n=1) for text in FACTS.values()))
    assert [result.response.hits[0].id for result in results] == list(FACTS)
