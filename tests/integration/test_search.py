import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from twopass.v1 import collection_pb2, document_pb2, embed_pb2, rerank_pb2, search_pb2
from twopass.v1.search_pb2 import RerankOptions, RetrieveOptions, SearchRequest, SearchResponse

from .corpus import BLEND, ENCODER, FACTS, RERANKER, calibrated
from .serving import Server

QUESTION = "What is the capital of Australia?"
DENSE = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE)
# Scores of a pair differ with the shape of the batch it is in, by float32's rounding.
BATCH_MATES = {"abs": 5e-5}


@pytest.fixture(scope="session")
def vector(server: Server) -> document_pb2.Vector:
    """The embedding of `QUESTION`."""
    request = embed_pb2.EmbedRequest(texts=[QUESTION], role=embed_pb2.EMBED_ROLE_QUERY)
    return server.embed(request).embeddings[0].vector


@pytest.fixture
def search(server: Server, facts: str):
    def run(**fields: object) -> SearchResponse:
        given = {"collection": facts, "query": QUESTION} | fields
        return server.search(SearchRequest(**given))

    return run


def ids(response: SearchResponse) -> list[str]:
    return [hit.id for hit in response.hits]


def first_pass_order(response: SearchResponse) -> bool:
    return [hit.first_pass_rank for hit in response.hits] == list(range(1, len(response.hits) + 1))


def test_the_document_that_answers_comes_first_with_every_score_apart(search):
    response = search(top_n=3)
    assert ids(response)[0] == "canberra"
    assert len(response.hits) == 3
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert (response.num_candidates, response.num_reranked) == (len(FACTS), len(FACTS))
    assert (response.encoder, response.reranker) == (ENCODER, RERANKER)
    best = response.hits[0]
    assert best.score == pytest.approx(calibrated(best.logit), rel=1e-5)
    assert -1 <= best.dense_score <= 1
    assert best.lexical_score > 0
    assert best.fused_score == pytest.approx(1)  # first in both lists
    assert best.dense_rank == best.lexical_rank == best.first_pass_rank == 1
    assert best.text == FACTS["canberra"]
    assert best.metadata["place"] == 0
    assert not best.HasField("vector")


def test_every_stage_that_ran_is_timed_and_no_other(search):
    timings = search().timings
    for stage in ("total", "tokenize", "queue", "embed", "retrieve", "load", "rerank"):
        assert timings.HasField(stage)
        assert getattr(timings, stage).ToNanoseconds() >= 0
    assert timings.total.ToNanoseconds() >= timings.rerank.ToNanoseconds()
    without = search(rerank=RerankOptions(enabled=False)).timings
    assert not without.HasField("rerank")


def test_every_hit_is_in_the_order_that_its_scores_say(search):
    response = search(rerank=RerankOptions(blend=0.0), top_n=12)
    logits = [hit.logit for hit in response.hits]
    assert logits == sorted(logits, reverse=True)
    assert response.blend == 0
    first = search(rerank=RerankOptions(blend=1.0), top_n=12)
    assert first_pass_order(first)
    assert first.blend == 1
    assert search().blend == pytest.approx(BLEND)  # the model's own
    # The blended order is the weighted sum of both passes' standard scores; see test_second_pass.
    blended = search(rerank=RerankOptions(blend=0.5), top_n=12).hits

    def z(values: list[float]) -> np.ndarray:
        return (np.array(values) - np.mean(values)) / np.std(values)

    keys = z([h.fused_score for h in blended]) + z([h.logit for h in blended])
    assert (np.diff(keys) <= 1e-6).all()


def test_without_second_pass_the_first_decides(search):
    response = search(rerank=RerankOptions(enabled=False))
    assert response.rerank_status == search_pb2.RERANK_STATUS_DISABLED
    assert first_pass_order(response)
    assert (response.num_reranked, response.reranker, response.blend) == (0, "", 0)
    assert not any(hit.HasField("score") or hit.HasField("logit") for hit in response.hits)
    scores = [hit.fused_score for hit in response.hits]
    assert scores == sorted(scores, reverse=True)


def test_a_vector_alone_is_enough_without_second_pass(search, vector):
    options = RerankOptions(enabled=False)
    response = search(query="", vector=vector, rerank=options)
    assert ids(response) == ids(search(rerank=options, retrieve=DENSE))
    assert response.encoder == ""
    assert not response.timings.HasField("embed")


def test_a_vector_retrieves_and_the_query_reranks(search, vector):
    both, text = search(vector=vector), search()
    assert ids(both) == ids(text)
    assert both.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert both.encoder == ""


@pytest.mark.parametrize("depth", [1, 4, 11, 12, 50], ids="depth={}".format)
def test_what_is_deeper_than_depth_follows_in_first_pass_order(search, depth):
    response = search(rerank=RerankOptions(depth=depth), top_n=12)
    assert response.num_reranked == min(depth, 12)
    assert [hit.HasField("logit") for hit in response.hits] == [i < depth for i in range(12)]
    behind = [hit.first_pass_rank for hit in response.hits[depth:]]
    assert behind == sorted(behind)
    blended = [hit.blended_score for hit in response.hits[:depth]]
    assert blended == sorted(blended, reverse=True)
    assert not any(hit.HasField("blended_score") for hit in response.hits[depth:])


@pytest.mark.parametrize("depth", [2, 3, 12], ids="depth={}".format)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0], ids="alpha={}".format)
def test_what_is_first_in_either_list_is_reranked_whatever_the_fusion(search, alpha, depth):
    convex = search_pb2.ConvexFusion(alpha=alpha)
    response = search(
        top_n=12,
        retrieve=RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_HYBRID, convex=convex),
        rerank=RerankOptions(depth=depth),
    )
    firsts = [hit for hit in response.hits if 1 in (hit.dense_rank, hit.lexical_rank)]
    assert firsts
    assert all(hit.HasField("logit") for hit in firsts)


@pytest.mark.parametrize("blend", [0.0, 0.4, 1.0], ids="blend={}".format)
def test_reranked_hits_are_ordered_by_a_score_that_they_carry(search, blend):
    response = search(top_n=12, rerank=RerankOptions(blend=blend))
    blended = [hit.blended_score for hit in response.hits]
    assert blended == sorted(blended, reverse=True)
    if blend == 0:
        assert blended == [hit.logit for hit in response.hits]
    unranked = search(rerank=RerankOptions(enabled=False))
    assert not any(hit.HasField("blended_score") for hit in unranked.hits)


@pytest.mark.parametrize("depth", [0, 5], ids="depth={}".format)
@pytest.mark.parametrize("size", [1, 5, 12], ids="size={}".format)
def test_pages_are_cuts_of_one_order(search, size, depth):
    rerank = RerankOptions(depth=depth)
    whole = search(top_n=12, rerank=rerank)
    pages = [search(top_n=size, offset=offset, rerank=rerank) for offset in range(0, 13, size)]
    assert [hit.id for page in pages for hit in page.hits] == ids(whole)
    assert all(page.num_candidates == 12 for page in pages)


def test_a_page_behind_the_last_hit_is_empty(search):
    assert search(offset=12).hits == []
    assert search(offset=2_000, top_n=48).hits == []


def test_candidates_grow_with_the_page_that_is_asked_for(server, search, collection):
    documents = [document_pb2.Document(id=f"{i:02}", text=f"note {i}") for i in range(80)]
    server.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(collection=collection, documents=documents)
    )
    response = search(collection=collection, query="note", offset=60, top_n=10)
    assert (response.num_candidates, response.num_reranked, len(response.hits)) == (70, 70, 10)
    response = search(collection=collection, query="note", offset=10, top_n=10)
    assert response.num_candidates == 50


@pytest.mark.parametrize(
    ("top_n", "k", "num_hits", "num_candidates"),
    [(0, 0, 10, 12), (1, 0, 1, 12), (12, 0, 12, 12), (500, 0, 12, 12), (5, 3, 3, 3), (2, 3, 2, 3)],
)
def test_top_n_and_k_bound_hits_and_candidates(search, top_n, k, num_hits, num_candidates):
    response = search(top_n=top_n, retrieve=RetrieveOptions(k=k))
    assert len(response.hits) == num_hits
    assert response.num_candidates == num_candidates


def test_min_score_leaves_out_reranked_hits_only_and_counts_them(search):
    everything = search(top_n=12)
    scores = sorted(hit.score for hit in everything.hits)
    least = (scores[7] + scores[8]) / 2
    response = search(top_n=12, rerank=RerankOptions(min_score=least))
    assert len(response.hits) == 4
    assert response.num_below_min_score == 8
    assert [hit.id for hit in everything.hits if hit.score >= least] == ids(response)
    shallow = search(top_n=12, rerank=RerankOptions(min_score=1.1, depth=3))
    assert len(shallow.hits) == 9
    assert not any(hit.HasField("score") for hit in shallow.hits)


@pytest.mark.parametrize("wanted", [(), ("text",), ("metadata",), ("vector",)], ids=str)
def test_hits_carry_what_was_asked_for(search, wanted):
    fields = document_pb2.DocumentFields(
        text="text" in wanted, metadata="metadata" in wanted, vector="vector" in wanted
    )
    for hit in search(fields=fields).hits:
        assert bool(hit.text) == ("text" in wanted)
        assert hit.HasField("metadata") == ("metadata" in wanted)
        assert hit.HasField("vector") == ("vector" in wanted)


def test_rerank_gives_the_logits_of_search(server, search):
    response = search(top_n=12)
    candidates = [rerank_pb2.Candidate(text=hit.text, title=hit.title) for hit in response.hits]
    reranked = server.rerank(rerank_pb2.RerankRequest(query=QUESTION, candidates=candidates))
    logits = {hit.index: hit.logit for hit in reranked.hits}
    for i, hit in enumerate(response.hits):
        assert logits[i] == pytest.approx(hit.logit, **BATCH_MATES)


def test_a_time_budget_that_suffices_changes_nothing(search):
    response = search(time_budget=Duration(seconds=60))
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert ids(response) == ids(search())
