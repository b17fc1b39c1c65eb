"""What a hybrid search answers where its query can't be embedded, in time or at all."""

import grpc

from twopass.v1 import search_pb2
from twopass.v1.search_pb2 import RerankOptions, RetrieveOptions

from .fallback import FORBID, MAX_QUEUED, asking, failure_of, late
from .serving import places_taken


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


def test_a_hybrid_search_whose_encoder_is_late_answers_by_words(small, held_encoder, found):
    def ask(**fields: object) -> grpc.Future:
        found["with_words"].clear()
        return late(small, asking(**fields), found["with_words"].is_set)

    refused = ask(fallback=FORBID).exception()
    response = ask().result()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_DEADLINE
    assert response.rerank_status == search_pb2.RERANK_STATUS_SKIPPED_DEADLINE
    assert words_alone(response)
    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED


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
