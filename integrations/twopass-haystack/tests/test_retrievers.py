"""Both passes, and the first alone, as components."""

import asyncio
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import FilterPolicy
from haystack.errors import FilterError
from haystack_integrations.components.embedders.twopass import TwopassTextEmbedder
from haystack_integrations.components.retrievers.twopass import (
    TwopassBM25Retriever,
    TwopassEmbeddingRetriever,
    TwopassRetriever,
)
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from twopass.client import Client, DeadlineExceededError, InvalidArgumentError, Schema

from .corpus import DOCUMENTS, QUESTION

PARSING = {"field": "meta.module", "operator": "in", "value": ["datetime", "json"]}


def test_both_passes_put_the_answer_first(filled: TwopassDocumentStore) -> None:
    answer = TwopassRetriever(filled, top_k=3).run(QUESTION)
    assert len(answer["documents"]) == 3
    assert answer["documents"][0].id == "strptime"
    assert answer["meta"]["rerank_status"] == "complete"


def test_a_document_tells_what_the_server_told(
    filled: TwopassDocumentStore, client: Client
) -> None:
    answer = TwopassRetriever(filled).run(QUESTION)
    result = client.search(filled.collection, QUESTION)
    assert [document.id for document in answer["documents"]] == [hit.id for hit in result.hits]
    for rank, (document, hit) in enumerate(zip(answer["documents"], result.hits, strict=True), 1):
        told = document.meta["twopass"]
        assert document.score == told["score"] == hit.score
        assert document.content == hit.text
        assert told["rank"] == rank
        assert told["timings"] == answer["meta"]["timings"]
        assert (told["retrieve_status"], told["rerank_status"]) == ("complete", "complete")
        for name in ("logit", "fused_score", "dense_rank", "lexical_rank", "first_pass_rank"):
            assert told.get(name) == getattr(hit, name)
    meta = answer["meta"]
    assert (meta["reranker"], meta["encoder"]) == (result.reranker, result.encoder)
    assert (meta["num_reranked"], meta["num_candidates"]) == (len(DOCUMENTS), len(DOCUMENTS))
    assert meta["timings"]["total_ms"] > 0
    assert meta["timings"].keys() >= {"embed_ms", "retrieve_ms", "rerank_ms"}


@pytest.mark.parametrize(
    ("mode", "deciding"),
    [("hybrid", "fused_score"), ("dense", "dense_score"), ("lexical", "lexical_score")],
)
def test_without_a_second_pass_the_score_is_the_first_pass_s(
    filled: TwopassDocumentStore, mode: Any, deciding: str
) -> None:
    answer = TwopassRetriever(filled, mode=mode, rerank=False).run("parse a date")
    assert answer["meta"]["rerank_status"] == "disabled"
    scores = [document.score for document in answer["documents"]]
    told = [document.meta["twopass"] for document in answer["documents"]]
    assert scores == [each[deciding] for each in told] == sorted(scores, reverse=True)
    assert all("score" not in each and "logit" not in each for each in told)
    assert [each["first_pass_rank"] for each in told] == [*range(1, len(told) + 1)]


def test_a_budget_that_is_up_before_anything_is_found_is_an_error(
    filled: TwopassDocumentStore,
) -> None:
    with pytest.raises(DeadlineExceededError):
        TwopassRetriever(filled, time_budget=1e-9).run(QUESTION)


def test_documents_that_the_second_pass_did_not_read_have_no_score(
    filled: TwopassDocumentStore,
) -> None:
    (read, *others) = TwopassRetriever(filled, rerank_depth=1).run(QUESTION)["documents"]
    assert 0 <= read.score <= 1
    assert [document.score for document in others] == [None] * (len(DOCUMENTS) - 1)
    assert all(document.meta["twopass"]["fused_score"] > 0 for document in others)


def test_documents_below_the_threshold_are_left_out_and_counted(
    filled: TwopassDocumentStore,
) -> None:
    retriever = TwopassRetriever(filled)
    scores = [document.score for document in retriever.run(QUESTION)["documents"]]
    answer = retriever.run(QUESTION, score_threshold=scores[0])
    assert [document.id for document in answer["documents"]] == ["strptime"]
    assert answer["meta"]["num_below_min_score"] == len(DOCUMENTS) - 1
    assert TwopassRetriever(filled, score_threshold=1.0).run(QUESTION)["documents"] == []


def test_an_embedding_finds_its_nearest(filled: TwopassDocumentStore, target: str) -> None:
    embedding = TwopassTextEmbedder(target=target).run(QUESTION)["embedding"]
    answer = TwopassEmbeddingRetriever(filled, top_k=2).run(embedding)
    scores = [document.score for document in answer["documents"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == answer["documents"][0].meta["twopass"]["dense_score"]
    assert answer["meta"]["rerank_status"] == "disabled"


@pytest.mark.parametrize("retriever", [TwopassRetriever, TwopassBM25Retriever])
def test_filters_of_a_call_replace_or_join_the_retriever_s(
    filled: TwopassDocumentStore, retriever: Any
) -> None:
    year = {"field": "meta.year", "operator": ">=", "value": 1900}

    def found(policy: FilterPolicy | str, filters: dict[str, Any] | None) -> set[str]:
        made = retriever(filled, filters=PARSING, filter_policy=policy)
        return {document.id for document in made.run("parse date", filters)["documents"]}

    assert found(FilterPolicy.REPLACE, None) == {"strptime", "json"}
    assert found("replace", year) <= {"strptime", "palm"}
    assert found(FilterPolicy.MERGE, year) == {"strptime"}
    with pytest.raises(FilterError):
        found("replace", {"field": "meta.year", "operator": "~", "value": 1})


def test_options_reach_the_server(filled: TwopassDocumentStore) -> None:
    answer = TwopassRetriever(filled, num_candidates=2, blend=0.25, alpha=0.9).run(QUESTION)
    assert answer["meta"]["num_candidates"] == 2
    assert answer["meta"]["blend"] == pytest.approx(0.25)
    with pytest.raises(InvalidArgumentError, match="instruction"):
        TwopassRetriever(filled, rerank_instruction="Find contradictions").run(QUESTION)
    with pytest.raises(InvalidArgumentError, match="alpha"):
        TwopassRetriever(filled, fusion="convex", alpha=2.0).run(QUESTION)


def test_a_long_document_tells_which_part_matched(empty: TwopassDocumentStore) -> None:
    filler = "Nothing is told here of any use. " * 120
    fact = "The password of the vault is xylophone."
    empty.write_documents([Document(id="long", content=f"{filler}{fact} {filler}")])
    (document,) = TwopassRetriever(empty).run("What is the password of the vault?")["documents"]
    span = document.meta["twopass"]["span"]
    assert fact in document.content[span["start"] : span["end"]]
    assert len(document.content[span["start"] : span["end"]]) < len(document.content) / 2


@pytest.mark.parametrize("top_k", [0, -1])
def test_nothing_can_t_be_asked_for(filled: TwopassDocumentStore, top_k: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TwopassRetriever(filled, top_k=top_k)
    with pytest.raises(ValueError, match="at least 1"):
        TwopassRetriever(filled).run(QUESTION, top_k=top_k)


def test_another_store_is_refused() -> None:
    with pytest.raises(ValueError, match="InMemoryDocumentStore given"):
        TwopassRetriever(InMemoryDocumentStore())  # type: ignore[arg-type]


def test_weights_for_a_fusion_by_ranks_are_refused(empty: TwopassDocumentStore) -> None:
    with pytest.raises(ValueError, match="alpha: given"):
        TwopassRetriever(empty, fusion="rrf", alpha=0.5)


async def test_async_answers_are_those_of_sync(filled: TwopassDocumentStore, target: str) -> None:
    embedding = (await TwopassTextEmbedder(target=target).run_async(QUESTION))["embedding"]
    for retriever, query in (
        (TwopassRetriever(filled), QUESTION),
        (TwopassBM25Retriever(filled), QUESTION),
        (TwopassEmbeddingRetriever(filled), embedding),
    ):
        await retriever.warm_up_async()
        awaited, called = await retriever.run_async(query), retriever.run(query)
        for answer in (awaited, called):
            for document in answer["documents"]:
                del document.meta["twopass"]["timings"]
        assert awaited["documents"] == called["documents"]
    await filled.close_async()


def test_one_retriever_serves_one_event_loop_after_another(filled: TwopassDocumentStore) -> None:
    retriever = TwopassRetriever(filled)
    for _ in range(3):
        answer = asyncio.run(retriever.run_async(QUESTION))
        assert answer["documents"][0].id == "strptime"


def test_warming_up_creates_the_collection(empty: TwopassDocumentStore, client: Client) -> None:
    pipeline = Pipeline()
    pipeline.add_component("retriever", TwopassRetriever(empty))
    pipeline.warm_up()
    assert client.get_collection(empty.collection).num_documents == 0
    assert pipeline.run({"query": QUESTION})["retriever"]["documents"] == []


async def test_an_answer_too_large_for_one_message_is_completed(
    target: str, name: str, client: Client
) -> None:
    client.create_collection(name, Schema(whole_documents=True))  # with one embedding each
    store = TwopassDocumentStore(name, return_embedding=True, target=target)
    texts = {f"{number}": f"honey {number} " + "park " * 2_000 for number in range(8)}
    store.write_documents([Document(id=key, content=text) for key, text in texts.items()])
    store.close()
    with Client(target, max_message_bytes=60_000) as small:
        store._connection._client = small  # whose limit stands for answers of many megabytes
        answer = TwopassRetriever(store).run("honey")
        awaited = await TwopassRetriever(store).run_async("honey")
        await store.close_async()
    for documents in (answer["documents"], awaited["documents"]):
        assert {document.id: document.content for document in documents} == texts
        assert all(document.embedding for document in documents)
