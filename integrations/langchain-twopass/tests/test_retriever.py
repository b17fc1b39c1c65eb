"""The retriever: both passes, and what documents say of them."""

import json
import uuid

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.tools import create_retriever_tool
from pydantic import ValidationError

from langchain_twopass import TwopassEmbeddings, TwopassRetriever
from twopass.client import Client, NotFoundError, Prefix, Retrieve, Schema, WordClauses, field

QUESTION = "Which city is the capital of Australia?"


@pytest.fixture
def retriever(target: str, facts: str) -> TwopassRetriever:
    return TwopassRetriever(target=target, collection_name=facts, k=3)


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def test_documents_come_in_the_order_of_both_passes(retriever, client: Client, facts):
    expected = client.search(facts, QUESTION, top_n=3)
    documents = retriever.invoke(QUESTION)
    assert ids(documents) == [hit.id for hit in expected.hits]
    assert documents[0].page_content == "Canberra is the capital city of Australia."
    assert documents[0].metadata["year"] == 1913
    for document, hit in zip(documents, expected.hits, strict=True):
        told = document.metadata["twopass"]
        assert document.metadata["relevance_score"] == told["score"] == hit.score
        assert told["logit"] == hit.logit
        assert told["blended_score"] == hit.blended_score
        assert told["dense_score"] == hit.dense_score
        assert told["lexical_score"] == hit.lexical_score
        assert told["first_pass_rank"] == hit.first_pass_rank
        assert told["truncated"] is False


def test_metadata_tells_what_became_of_the_search(retriever, client: Client, facts):
    run_id = uuid.uuid4()
    documents = retriever.invoke(QUESTION, run_id=run_id)
    assert [each.metadata["twopass"]["rank"] for each in documents] == [1, 2, 3]
    for document in documents:
        told = document.metadata["twopass"]
        assert told["rerank_status"] == "complete"
        assert told["retrieve_status"] == "complete"
        assert told["num_candidates"] == told["num_reranked"] == len(list(client.documents(facts)))
        assert all(told[key] for key in ("encoder", "reranker", "sequence"))
        assert told["request_id"] == str(run_id)
        assert 0 < told["timings"]["rerank_ms"] <= told["timings"]["total_ms"]
        json.dumps(document.metadata)  # as caches and traces need it


async def test_asyncio_finds_the_same(retriever):
    def without_times(documents: list[Document]) -> list[dict]:
        drop = ("timings", "request_id")
        return [
            {k: v for k, v in each.metadata["twopass"].items() if k not in drop}
            for each in documents
        ]

    found, awaited = retriever.invoke(QUESTION), await retriever.ainvoke(QUESTION)
    assert ids(found) == ids(awaited)
    assert without_times(found) == without_times(awaited)
    (batched,) = await retriever.abatch([QUESTION])
    assert ids(batched) == ids(found)


def test_every_option_is_one_of_a_single_call_too(retriever):
    assert ids(retriever.invoke(QUESTION, k=1)) == ["canberra"]
    found = retriever.invoke(QUESTION, filter={"year": {"$lt": 1900}})
    assert set(ids(found)) == {"wellington", "tides", "glass"}
    assert ids(retriever.invoke("blue sunlight", mode="lexical", rerank=False)) == ["sky"]
    only = WordClauses(required=[Prefix("nect")])
    assert ids(retriever.invoke(QUESTION, words=only)) == ["honey"]
    assert len(retriever.invoke(QUESTION)) == 3  # and the retriever is as it was


def test_a_threshold_leaves_out_what_is_less_relevant(retriever):
    everything = retriever.invoke(QUESTION)
    (best, second, *_) = [each.metadata["relevance_score"] for each in everything]
    kept = retriever.invoke(QUESTION, score_threshold=(best + second) / 2)
    assert ids(kept) == ids(everything[:1])
    assert kept[0].metadata["twopass"]["num_below_min_score"] > 0


def test_the_first_pass_alone_has_its_own_scores_and_no_relevance(retriever, client, facts):
    expected = client.search(facts, QUESTION, top_n=3, retrieve=Retrieve("dense"), rerank=False)
    documents = retriever.invoke(QUESTION, mode="dense", rerank=False)
    assert ids(documents) == [hit.id for hit in expected.hits]
    told = documents[0].metadata["twopass"]
    assert told["rerank_status"] == "disabled"
    assert told["dense_rank"] == 1
    assert told["dense_score"] == expected.hits[0].dense_score
    assert told["score"] is None
    assert "relevance_score" not in documents[0].metadata


def test_an_answer_without_the_second_pass_says_so(retriever):
    documents = retriever.invoke(QUESTION, rerank_depth=1)
    assert [each.metadata["twopass"]["num_reranked"] for each in documents] == [1, 1, 1]
    assert [each.metadata["twopass"]["score"] is None for each in documents] == [False, True, True]


def test_a_title_is_metadata_unless_the_document_has_that_itself(
    retriever, target, client, facts, name
):
    question = "How do I parse a date?"
    assert retriever.invoke(question, k=1)[0].metadata["title"] == "strptime"
    untitled = retriever.model_copy(update={"title_key": None})
    assert "title" not in untitled.invoke(question, k=1)[0].metadata
    client.create_collection(name)
    stored = {"id": "a", "title": "One", "text": "a text", "metadata": {"title": "Two"}}
    client.upsert(name, [stored])
    (document,) = TwopassRetriever(target=target, collection_name=name).invoke("text")
    assert document.metadata["title"] == "Two"


def test_metadata_is_as_it_is_stored_where_nothing_is_to_be_told(target, facts):
    plain = TwopassRetriever(target=target, collection_name=facts, details_key=None, k=1)
    assert plain.invoke(QUESTION) == [
        Document(
            id="canberra",
            page_content="Canberra is the capital city of Australia.",
            metadata={"year": 1913},
        )
    ]


def test_of_a_long_document_the_part_that_matched_is_the_content(target, client, name):
    client.create_collection(name)
    filler = "Paragraphs like this one say nothing about the matter at all. " * 40
    needle = "Canberra is the capital city of Australia."
    client.upsert(name, [{"id": "long", "title": "Notes", "text": f"{filler}{needle} {filler}"}])
    retriever = TwopassRetriever(target=target, collection_name=name, content="span")
    (part,) = retriever.invoke(QUESTION)
    (whole,) = retriever.model_copy(update={"content": "document"}).invoke(QUESTION)
    assert needle in part.page_content
    assert len(part.page_content) < len(whole.page_content) / 2
    start, end = part.metadata["twopass"]["span"]
    assert f"Notes {whole.page_content}"[start:end] == part.page_content


def test_an_embedding_of_ones_own_finds_in_a_collection_without_encoder(target, client, name):
    embedding = DeterministicFakeEmbedding(size=8)
    client.create_collection(name, Schema(dimension=8, client_vectors=True))
    texts = ["one", "two", "three"]
    client.upsert(
        name,
        (
            {"id": text, "text": text, "vector": vector}
            for text, vector in zip(texts, embedding.embed_documents(texts), strict=True)
        ),
    )
    retriever = TwopassRetriever(
        target=target, collection_name=name, embedding=embedding, mode="dense", rerank=False
    )
    assert retriever.invoke("two")[0].id == "two"
    by_server = TwopassRetriever(
        target=target, collection_name=name, embedding=TwopassEmbeddings(target=target)
    )
    with pytest.raises(Exception, match="vector: 384 components"):
        by_server.invoke("two")


def test_writes_of_others_are_seen_by_their_sequence(target, client, name):
    client.create_collection(name)
    summary = client.upsert(name, [{"id": "a", "text": "a text"}])
    retriever = TwopassRetriever(target=target, collection_name=name, min_sequence=summary.sequence)
    assert ids(retriever.invoke("text")) == ["a"]


def test_a_condition_of_the_client_is_a_filter(target, facts):
    retriever = TwopassRetriever(target=target, collection_name=facts, filter=field("year") > 1950)
    assert ids(retriever.invoke(QUESTION)) == ["dates"]


async def test_what_an_answer_has_no_room_for_is_read_by_id(target, client, name):
    client.create_collection(name)
    texts = {str(number): f"{number} capital " + "park " * 12_000 for number in range(7)}
    client.upsert(name, ({"id": key, "text": text} for key, text in texts.items()))
    with Client(target, max_message_bytes=150_000) as small:
        assert any(hit.content_omitted for hit in small.search(name, "capital").hits)
        retriever = TwopassRetriever(client=small, collection_name=name, k=7)
        for found in (retriever.invoke("capital"), await retriever.ainvoke("capital")):
            assert {each.id: each.page_content for each in found} == texts
            assert not any(each.metadata["twopass"]["content_omitted"] for each in found)


def test_an_unknown_collection_is_named(target):
    with pytest.raises(NotFoundError, match="no-such-collection"):
        TwopassRetriever(target=target, collection_name="no-such-collection").invoke("a")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"k": 0}, r"k\n.*greater than or equal to 1"),
        ({"collection": "docs"}, r"collection\n.*not permitted"),
        ({"mode": "sparse"}, "mode\n.*'dense', 'lexical' or 'hybrid'"),
        ({"alpha": 2}, "alpha\n.*less than or equal to 1"),
        ({"alpha": 0.5, "rrf_k": 60}, "alpha, rrf_k: both given"),
        ({"k": 10, "fetch_k": 5}, "fetch_k: 5 given, at least k, which is 10, is needed"),
        ({"rerank": False, "score_threshold": 0.5}, "score_threshold: .* set rerank=True"),
        ({"filter": {"a": {"$near": 1}}}, r"filter\n.*the operator \$near is unknown"),
        ({"time_budget": 0}, "time_budget\n.*greater than 0"),
    ],
)
def test_a_wrong_field_is_named_when_the_retriever_is_made(fields, said):
    with pytest.raises(ValidationError, match=said):
        TwopassRetriever(collection_name="docs", **fields)


def test_an_unknown_option_of_a_call_is_named(retriever):
    with pytest.raises(ValidationError, match=r"top_k\n.*not permitted"):
        retriever.invoke(QUESTION, top_k=3)


def test_more_documents_than_the_first_pass_was_to_find_are_found(target, facts):
    retriever = TwopassRetriever(target=target, collection_name=facts, k=2, fetch_k=3)
    assert len(retriever.invoke(QUESTION)) == 2
    assert len(retriever.invoke(QUESTION, k=5)) == 5


def test_traces_name_the_provider(retriever):
    params = retriever._get_ls_params()
    assert params["ls_retriever_name"] == "twopass"
    assert params["ls_vector_store_provider"] == "twopass"


async def test_an_agents_tool_finds_by_both_passes(target, facts):
    tool = create_retriever_tool(
        TwopassRetriever(target=target, collection_name=facts, k=1), "facts", "Finds facts."
    )
    assert tool.invoke({"query": QUESTION}).startswith("Canberra is the capital")
    assert (await tool.ainvoke({"query": QUESTION})).startswith("Canberra is the capital")
