import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict

from twopass.client import (
    ConvexFusion,
    Fields,
    InvalidArgumentError,
    NotFoundError,
    Phrase,
    Prefix,
    ReciprocalRankFusion,
    Rerank,
    RerankStatus,
    Retrieve,
    RetrieveStatus,
    Search,
    Span,
    WordClauses,
)
from twopass.v1 import rerank_pb2, search_pb2
from twopass.v1.document_pb2 import DocumentFields
from twopass.v1.filter_pb2 import Condition, FieldCondition, Filter
from twopass.v1.search_pb2_grpc import SearchServiceServicer
from twopass.v1.status_pb2 import Status


class Searches(SearchServiceServicer):
    """Answers every search alike and keeps the requests."""

    def __init__(self, response=None) -> None:
        self.requests = []
        self.response = response or search_pb2.SearchResponse()

    def Search(self, request, context):
        self.requests.append(request)
        return self.response

    def BatchSearch(self, request, context):
        self.requests.append(request)
        return self.response


def test_the_commonest_search_leaves_every_option_to_the_server(serve, connect):
    searches = Searches()
    connect(serve(searches)).search("docs", "How do I parse a date?", top_n=3)
    assert searches.requests == [
        search_pb2.SearchRequest(
            collection="docs",
            query="How do I parse a date?",
            top_n=3,
            fallback=search_pb2.FALLBACK_ALLOW,
            fields=DocumentFields(metadata_as_json=True),
            max_answer_bytes=64 * 2**20,
        )
    ]


def test_a_request_id_goes_with_its_call_and_no_other(serve, connect):
    ids = []

    class Told(Searches):
        def Search(self, request, context):
            ids.append(dict(context.invocation_metadata()).get("x-request-id"))
            return super().Search(request, context)

    client = connect(serve(Told()))
    client.search("docs", "How do I parse a date?", request_id="run-1.a_B")
    client.search("docs", "How do I parse a date?")
    assert ids == ["run-1.a_B", None]


@pytest.mark.parametrize("given", ["", "a b", "ü", "x" * 65, "a\n"])
def test_a_request_id_that_the_server_would_replace_is_refused(serve, connect, given):
    with pytest.raises(InvalidArgumentError, match=r"request_id: .* are needed, such as a UUID"):
        connect(serve(Searches())).search("docs", "a", request_id=given)


def test_every_option_of_a_search_reaches_the_server(serve, connect):
    searches = Searches()
    year = FieldCondition(field="year")
    year.range.gte = 2020
    recent = Filter(must=[Condition(field=year)])
    connect(serve(searches)).search(
        "docs",
        "a question",
        vector=np.array([0.5, -1.0], np.float32),
        top_n=7,
        retrieve=Retrieve(
            "hybrid",
            200,
            ConvexFusion(0.0),
            ef_search=0,
            nprobe=8,
            words=WordClauses(required=["a b", Prefix("c")], excluded=[Phrase("d")]),
        ),
        rerank=Rerank(40, "mini", blend=0.0, truncation="max_window", min_score=0.25),
        filter=recent,
        fields=Fields(text=False, metadata=True, vector=True),
        time_budget=0.05,
        allow_fallback=False,
        min_sequence="s1",
        offset=14,
        query_truncation="truncate",
    )
    expected = search_pb2.SearchRequest(
        collection="docs",
        query="a question",
        top_n=7,
        retrieve=search_pb2.RetrieveOptions(
            mode=search_pb2.RETRIEVE_MODE_HYBRID,
            k=200,
            convex=search_pb2.ConvexFusion(alpha=0.0),
            ef_search=0,
            nprobe=8,
            words=search_pb2.WordClauses(
                required=[
                    search_pb2.WordClause(phrase="a b"),
                    search_pb2.WordClause(prefix="c"),
                ],
                excluded=[search_pb2.WordClause(phrase="d")],
            ),
        ),
        rerank=search_pb2.RerankOptions(
            depth=40,
            model="mini",
            blend=0.0,
            truncation=rerank_pb2.TRUNCATION_MAX_WINDOW,
            min_score=0.25,
        ),
        filter=recent,
        time_budget=Duration(nanos=50_000_000),
        fallback=search_pb2.FALLBACK_FORBID,
        min_sequence="s1",
        offset=14,
        query_truncation=rerank_pb2.QUERY_TRUNCATION_TRUNCATE,
        max_answer_bytes=64 * 2**20,
    )
    expected.vector.values[:] = [0.5, -1.0]
    asked = DocumentFields(text=False, metadata=True, vector=True, metadata_as_json=True)
    expected.fields.CopyFrom(asked)
    assert searches.requests == [expected]


def test_options_that_are_none_stay_unset_and_zero_does_not(serve, connect):
    searches = Searches()
    client = connect(serve(searches))
    client.search("docs", "q", retrieve=Retrieve(), rerank=Rerank())
    client.search("docs", "q", retrieve=Retrieve(nprobe=0), rerank=Rerank(blend=0, min_score=0))
    bare, zero = searches.requests
    assert not bare.retrieve.HasField("nprobe")
    assert not bare.rerank.HasField("blend")
    assert not bare.rerank.HasField("min_score")
    assert not bare.rerank.HasField("enabled")
    assert zero.retrieve.HasField("nprobe")
    assert zero.rerank.HasField("blend")
    assert zero.rerank.HasField("min_score")


def test_the_second_pass_can_be_turned_off_and_a_mode_stands_for_the_first(serve, connect):
    searches = Searches()
    connect(serve(searches)).search("docs", "q", retrieve="lexical", rerank=False)
    (request,) = searches.requests
    assert request.retrieve.mode == search_pb2.RETRIEVE_MODE_LEXICAL
    assert request.rerank.HasField("enabled")
    assert not request.rerank.enabled


def test_rank_fusion_is_the_other_way_to_join(serve, connect):
    searches = Searches()
    fusion = ReciprocalRankFusion(k=10)
    connect(serve(searches)).search("docs", "q", retrieve=Retrieve("hybrid", fusion=fusion))
    assert searches.requests[0].retrieve.rrf.k == 10


def test_a_result_has_every_field_of_the_answer(serve, connect):
    hit = {
        "id": "a",
        "score": 0.75,
        "logit": 1.5,
        "denseScore": 0.5,
        "lexicalScore": 12.5,
        "fusedScore": 0.25,
        "denseRank": 2,
        "lexicalRank": 3,
        "firstPassRank": 4,
        "truncated": True,
        "span": {"start": 1, "end": 9},
        "title": "T",
        "text": "the text",
        "metadata": {"year": 2024, "tags": ["x", None], "of": {"rating": 4.5, "ok": True}},
        "vector": {"values": [1.0, 0.0]},
    }
    answer = {
        "hits": [hit],
        "retrieveStatus": "RETRIEVE_STATUS_LEXICAL_OVERLOAD",
        "rerankStatus": "RERANK_STATUS_PARTIAL",
        "numReranked": 1,
        "numCandidates": 50,
        "numBelowMinScore": 2,
        "blend": 0.5,
        "encoder": "enc",
        "reranker": "mini",
        "sequence": "s9",
        "numWordsDropped": 7,
        "timings": {"total": "0.012500s", "rerank": "1.5s", "queue": "0s"},
    }
    response = ParseDict(answer, search_pb2.SearchResponse())
    result = connect(serve(Searches(response))).search("docs", "q")
    (found,) = result.hits
    assert (found.id, found.title, found.text) == ("a", "T", "the text")
    assert (found.score, found.logit) == (0.75, 1.5)
    assert (found.dense_score, found.lexical_score, found.fused_score) == (0.5, 12.5, 0.25)
    assert (found.dense_rank, found.lexical_rank, found.first_pass_rank) == (2, 3, 4)
    assert found.truncated
    assert found.span == Span(1, 9)
    assert found.metadata == hit["metadata"]
    assert found.vector == (1.0, 0.0)
    assert result.retrieve_status is RetrieveStatus.LEXICAL_OVERLOAD
    assert result.rerank_status is RerankStatus.PARTIAL
    assert (result.num_reranked, result.num_candidates, result.num_below_min_score) == (1, 50, 2)
    assert (result.blend, result.sequence, result.num_words_dropped) == (0.5, "s9", 7)
    assert (result.encoder, result.reranker) == ("enc", "mini")
    assert (result.timings.total_ms, result.timings.rerank_ms) == pytest.approx((12.5, 1500))
    assert result.timings.queue_ms == 0
    assert result.timings.embed_ms is None


def test_scores_that_were_not_computed_are_none_and_zero_is_a_score(serve, connect):
    hits = [search_pb2.SearchHit(id="a"), search_pb2.SearchHit(id="b", score=0.0, dense_score=0.0)]
    answer = search_pb2.SearchResponse(hits=hits)
    unscored, zero = connect(serve(Searches(answer))).search("docs", "q").hits
    assert unscored.score is unscored.logit is unscored.dense_score is None
    assert unscored.lexical_rank is unscored.span is unscored.vector is None
    assert unscored.metadata == {}
    assert (zero.score, zero.dense_score) == (0.0, 0.0)


def test_a_status_of_a_later_server_is_unknown_rather_than_an_error(serve, connect):
    answer = search_pb2.SearchResponse(rerank_status=99)
    result = connect(serve(Searches(answer))).search("docs", "q")
    assert result.rerank_status is RerankStatus.UNKNOWN


def test_a_batch_is_sent_in_one_call_and_each_outcome_stands_alone(serve, connect):
    response = search_pb2.BatchSearchResponse()
    response.results.add().response.hits.add(id="a", blended_score=0.0)
    response.results.add().error.CopyFrom(Status(code=5, message="collection: unknown"))
    searches = Searches(response)
    client = connect(serve(searches))
    found, failed = client.batch_search(
        [Search(collection="docs", query="q", offset=3), Search(collection="other", rerank=False)],
        time_budget=0.05,
    )
    (request,) = searches.requests
    assert [one.collection for one in request.searches] == ["docs", "other"]
    assert request.searches[0].offset == 3
    assert not request.searches[1].rerank.enabled
    assert not any(one.HasField("time_budget") for one in request.searches)
    assert request.time_budget == Duration(nanos=50_000_000)
    assert request.max_answer_bytes == 64 * 2**20
    assert found.error is None
    assert [hit.blended_score for hit in found.result().hits] == [0.0]
    assert isinstance(failed.error, NotFoundError)
    with pytest.raises(NotFoundError, match="unknown"):
        failed.result()


def test_what_was_not_computed_is_none_and_zero_is_not(serve, connect):
    bare, known = search_pb2.SearchResponse(), search_pb2.SearchResponse(exact=False)
    bare.hits.add(id="a")
    assert connect(serve(Searches(bare))).search("docs", "q").exact is None
    assert connect(serve(Searches(known))).search("docs", "q").exact is False
    (hit,) = connect(serve(Searches(bare))).search("docs", "q").hits
    assert hit.blended_score is None
