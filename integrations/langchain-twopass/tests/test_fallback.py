"""What a search answers when its second pass can't be had in time, and who is told."""

from collections.abc import Iterator

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_twopass import TwopassRetriever, TwopassVectorStore
from twopass.client import Client, DeadlineExceededError, Retrieve, Schema

QUESTION = "Which city is the capital?"
# More tokens than a core reads in ten seconds; each search here may take one.
COUNT, WORDS = 2_000, "Canberra is the capital city and full of parks. " * 50


@pytest.fixture(scope="module")
def long_texts(client: Client) -> Iterator[str]:
    """Long documents that nobody had to embed."""
    name = "long-texts-of-langchain"
    client.create_collection(name, Schema(dimension=2, client_vectors=True))
    client.upsert(
        name,
        ({"id": str(n), "text": f"{n}. {WORDS}", "vector": [1.0, n]} for n in range(COUNT)),
    )
    yield name
    client.delete_collection(name)


@pytest.fixture
def retriever(target: str, long_texts: str) -> TwopassRetriever:
    return TwopassRetriever(
        target=target,
        collection_name=long_texts,
        mode="lexical",
        fetch_k=COUNT,
        time_budget=1.0,
        truncation="max_window",
    )


async def test_without_time_for_the_second_pass_documents_say_that_it_is_missing(
    retriever, client, long_texts
):
    for found in (retriever.invoke(QUESTION), await retriever.ainvoke(QUESTION)):
        assert len(found) == 4
        for document in found:
            told = document.metadata["twopass"]
            assert told["rerank_status"] in ("partial", "skipped_deadline")
            assert told["num_reranked"] < told["num_candidates"] == COUNT
            assert (told["score"] is None) == ("relevance_score" not in document.metadata)
    first_pass = client.search(
        long_texts, QUESTION, top_n=4, retrieve=Retrieve("lexical"), rerank=False
    )
    if told["num_reranked"] == 0:
        assert [each.id for each in found] == [hit.id for hit in first_pass.hits]


async def test_where_no_fallback_is_allowed_the_cause_is_raised(retriever):
    with pytest.raises(DeadlineExceededError):
        retriever.invoke(QUESTION, allow_fallback=False)
    with pytest.raises(DeadlineExceededError):
        await retriever.ainvoke(QUESTION, allow_fallback=False)


async def test_scores_of_two_kinds_are_never_mixed(target, long_texts):
    store = TwopassVectorStore(
        DeterministicFakeEmbedding(size=2), collection_name=long_texts, target=target
    )
    wanted = {"mode": "lexical", "rerank": True, "fetch_k": COUNT, "time_budget": 1.0}
    with pytest.raises(DeadlineExceededError):
        store.similarity_search_with_score(QUESTION, **wanted)
    with pytest.raises(DeadlineExceededError):
        await store.asimilarity_search_with_relevance_scores(QUESTION, **wanted)
    assert len(store.similarity_search(QUESTION, **wanted)) == 4  # without scores it may fall back
    await store.aclose()
