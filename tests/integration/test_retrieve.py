"""The first pass alone: dense, lexical, and both fused."""

import pytest

from twopass.v1 import collection_pb2, document_pb2, search_pb2
from twopass.v1.search_pb2 import (
    ConvexFusion,
    ReciprocalRankFusion,
    RerankOptions,
    RetrieveOptions,
    SearchRequest,
    SearchResponse,
)

from .corpus import FACTS, document

QUESTION = "Why do the tides follow the moon?"
DENSE = search_pb2.RETRIEVE_MODE_DENSE
LEXICAL = search_pb2.RETRIEVE_MODE_LEXICAL
HYBRID = search_pb2.RETRIEVE_MODE_HYBRID


@pytest.fixture
def search(server, facts):
    def run(mode, query: str = QUESTION, **options) -> SearchResponse:
        return server.search(
            SearchRequest(
                collection=options.pop("collection", facts),
                query=query,
                vector=options.pop("vector", None),
                top_n=options.pop("top_n", 50),
                retrieve=RetrieveOptions(mode=mode, **options),
                rerank=RerankOptions(enabled=False),
            )
        )

    return run


def ids(response: SearchResponse) -> list[str]:
    return [hit.id for hit in response.hits]


def test_each_mode_computes_its_scores_and_no_others(search):
    computed = {
        mode: {
            name
            for name in (
                "dense_score",
                "dense_rank",
                "lexical_score",
                "lexical_rank",
                "fused_score",
            )
            if search(mode).hits[0].HasField(name)
        }
        for mode in (DENSE, LEXICAL, HYBRID)
    }
    assert computed[DENSE] == {"dense_score", "dense_rank"}
    assert computed[LEXICAL] == {"lexical_score", "lexical_rank"}
    assert computed[HYBRID] == computed[DENSE] | computed[LEXICAL] | {"fused_score"}


def test_an_answer_says_whether_its_neighbours_are_exact(search):
    assert search(DENSE).exact
    assert search(HYBRID).exact
    assert not search(LEXICAL).HasField("exact")


def test_words_find_what_holds_them_best_first(search):
    response = search(LEXICAL, "moon tides")
    assert ids(response) == ["tides"]
    assert response.num_candidates == 1
    assert response.encoder == ""
    assert not response.timings.HasField("embed")
    assert response.timings.HasField("retrieve")
    many = search(LEXICAL, "the of a is")
    scores = [hit.lexical_score for hit in many.hits]
    assert len(scores) > 5
    assert scores == sorted(scores, reverse=True)
    assert search(LEXICAL, "xyzzy").hits == []


def test_hybrid_has_the_lists_of_both_with_their_scores_and_ranks(search):
    dense, lexical, hybrid = search(DENSE), search(LEXICAL), search(HYBRID)
    assert set(ids(hybrid)) == set(ids(dense)) | set(ids(lexical))
    for alone, score, rank in (
        (dense, "dense_score", "dense_rank"),
        (lexical, "lexical_score", "lexical_rank"),
    ):
        for hit in hybrid.hits:
            assert hit.HasField(score) == (hit.id in ids(alone))
        of_hybrid = {hit.id: hit for hit in hybrid.hits}
        for position, hit in enumerate(alone.hits, 1):
            assert getattr(of_hybrid[hit.id], score) == pytest.approx(getattr(hit, score), abs=1e-5)
            assert getattr(of_hybrid[hit.id], rank) == getattr(hit, rank) == position
    fused = [hit.fused_score for hit in hybrid.hits]
    assert fused == sorted(fused, reverse=True)
    assert [hit.first_pass_rank for hit in hybrid.hits] == list(range(1, len(FACTS) + 1))


def test_ranks_are_fused_as_asked(search):
    for k in (0, 1, 60):
        for hit in search(HYBRID, rrf=ReciprocalRankFusion(k=k)).hits:
            ranks = [hit.dense_rank, hit.lexical_rank]
            expected = sum(1 / ((k or 60) + rank) for rank in ranks if rank)
            assert hit.fused_score == pytest.approx(expected, rel=1e-5)


def test_scores_are_fused_as_asked(search):
    dense_first = search(HYBRID, convex=ConvexFusion(alpha=1))
    best = dense_first.hits[0].dense_score
    for hit in dense_first.hits:
        assert hit.fused_score == pytest.approx((hit.dense_score + 1) / (best + 1), rel=1e-5)
    words_first = search(HYBRID, convex=ConvexFusion(alpha=0))
    best = words_first.hits[0].lexical_score
    for hit in words_first.hits:
        assert hit.fused_score == pytest.approx(hit.lexical_score / best, rel=1e-5)


def test_k_bounds_the_candidates_of_both_together(search):
    response = search(HYBRID, k=3)
    assert response.num_candidates == len(response.hits) == 3


def test_a_code_that_one_document_has_is_reranked_however_little_words_count(server, collection):
    facts = list(FACTS.values())
    documents = [document(f"{i:03}", f"{facts[i % len(facts)]} Error {i}.") for i in range(400)]
    documents.append(document("code", "Replace the fuse when the panel shows QX7714."))
    server.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(collection=collection, documents=documents)
    )
    response = server.search(
        SearchRequest(
            collection=collection,
            query="unit error QX7714",
            top_n=50,
            retrieve=RetrieveOptions(mode=HYBRID, convex=ConvexFusion(alpha=0.99)),
        )
    )
    (found,) = [hit for hit in response.hits if hit.id == "code"]
    assert found.lexical_rank == 1
    assert found.HasField("logit")


def test_what_words_alone_find_counts_with_its_own_similarity(server, collection):
    documents = [document(f"{i:03}", f"The pump of unit {i} failed.") for i in range(120)]
    documents.append(document("code", "Replace the fuse when the panel shows QX7714."))
    server.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(collection=collection, documents=documents)
    )

    def asked(**options) -> dict[str, search_pb2.SearchHit]:
        retrieve = RetrieveOptions(**options)
        request = SearchRequest(
            collection=collection,
            query="Why did the pump of a unit fail with QX7714?",
            top_n=200,
            retrieve=retrieve,
            rerank=RerankOptions(enabled=False),
        )
        return {hit.id: hit for hit in server.search(request).hits}

    every = asked(mode=DENSE)
    hybrid = asked(mode=HYBRID, k=20, convex=ConvexFusion(alpha=0.5))
    found = hybrid["code"]
    assert not found.HasField("dense_rank")
    assert found.dense_score == pytest.approx(every["code"].dense_score, abs=1e-5)
    best = max(hit.dense_score for hit in hybrid.values())
    expected = 0.5 * (found.dense_score + 1) / (best + 1) + 0.5
    assert found.fused_score == pytest.approx(expected, abs=1e-5)


def test_without_words_the_vector_alone_finds(server, search, facts):
    vector = document_pb2.Vector(values=[1.0] * 384)
    response = search(search_pb2.RETRIEVE_MODE_UNSPECIFIED, "", vector=vector)
    assert len(response.hits) == len(FACTS)
    assert not any(hit.HasField("lexical_score") for hit in response.hits)


def test_client_vectors_and_words_are_fused_too(server, search):
    schema = collection_pb2.CollectionSchema(client_vectors=True, dimension=2)
    server.collections.CreateCollection(
        collection_pb2.CreateCollectionRequest(name="vectors", schema=schema)
    )
    documents = [
        document_pb2.Document(id="a", text="sky", vector=document_pb2.Vector(values=[1, 0])),
        document_pb2.Document(id="b", text="sea", vector=document_pb2.Vector(values=[0, 1])),
    ]
    try:
        server.collections.UpsertDocuments(
            collection_pb2.UpsertDocumentsRequest(collection="vectors", documents=documents)
        )
        assert ids(search(LEXICAL, "sea", collection="vectors")) == ["b"]
        vector = document_pb2.Vector(values=[1, 0])
        hybrid = search(HYBRID, "sea", collection="vectors", vector=vector)
        assert {hit.id: hit.HasField("lexical_score") for hit in hybrid.hits} == {
            "a": False,
            "b": True,
        }
    finally:
        server.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name="vectors"))


def test_an_acknowledged_write_is_found_by_its_words_at_once(server, search, collection):
    for name in map(str, range(10)):
        server.collections.UpsertDocuments(
            collection_pb2.UpsertDocumentsRequest(
                collection=collection, documents=[document(name, f"word{name}")]
            )
        )
        assert ids(search(LEXICAL, f"word{name}", collection=collection)) == [name]
        server.collections.DeleteDocuments(
            collection_pb2.DeleteDocumentsRequest(collection=collection, ids=[name])
        )
        assert ids(search(LEXICAL, f"word{name}", collection=collection)) == []


@pytest.mark.parametrize("mode", [LEXICAL, HYBRID])
def test_no_word_of_a_long_query_is_left_out(server, search, collection, mode):
    words = " ".join(f"word{i}" for i in range(70))
    server.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(
            collection=collection, documents=[document("all", words)]
        )
    )
    assert search(mode, words, collection=collection).num_words_dropped == 0
