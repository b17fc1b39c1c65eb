"""The retriever: both passes, by its methods for threads and for asyncio, and inside LlamaIndex."""

import asyncio
import copy
import pickle
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine, TransformQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters

from llama_index.retrievers.twopass import TwopassRetriever
from llama_index.vector_stores.twopass import TwopassVectorStore
from twopass.client import (
    Client,
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    Rerank,
    Retrieve,
    Schema,
    UnauthenticatedError,
    field,
)

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "au", "text": "Canberra is the capital of Australia.", "metadata": {"year": 1913}},
    {"id": "bee", "text": "Bees make honey from nectar.", "metadata": {"year": 2020, "tags": []}},
    {"id": "sea", "text": "The moon pulls at the sea.", "metadata": {"year": 1687}},
    {"id": "glass", "title": "Glass", "text": "It is made of sand.", "metadata": {"year": None}},
]
QUESTION = "Which insect feeds on nectar?"


@pytest.fixture(scope="module")
def collection(target: str) -> Iterator[str]:
    """A collection of four documents, changed by no test."""
    name = "facts-of-llama-index"
    with Client(target) as client:
        client.create_collection(name, Schema(indexed_fields={"year": "number"}))
        client.upsert(name, DOCUMENTS)
        yield name
        client.delete_collection(name)


@pytest.fixture
def retriever(collection: str, client: Client) -> Callable[..., TwopassRetriever]:
    """Makes a retriever of the collection, over the shared client."""

    def made(**kwargs: Any) -> TwopassRetriever:
        return TwopassRetriever(collection, client=client, **kwargs)

    return made


@pytest.fixture(params=["sync", "async"])
def retrieve(request: pytest.FixtureRequest) -> Callable[..., list[NodeWithScore]]:
    """Asks a retriever, in an event loop of its own or in none."""

    def asked(retriever: BaseRetriever, query: str | QueryBundle) -> list[NodeWithScore]:
        if request.param == "sync":
            return retriever.retrieve(query)
        return asyncio.run(retriever.aretrieve(query))

    return asked


def ids(nodes: list[NodeWithScore]) -> list[str]:
    return [each.node.node_id for each in nodes]


def passes(node: NodeWithScore) -> dict[str, Any]:
    return node.metadata["twopass"]


def test_the_class_is_one_of_retrievers_and_llama_hub_finds_it():
    assert BaseRetriever.__name__ in [b.__name__ for b in TwopassRetriever.__mro__]
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    hub = project["tool"]["llamahub"]
    module = import_module(hub["import_path"])
    assert all(hasattr(module, name) for name in hub["class_authors"])


def test_both_passes_run_and_say_so(retriever, retrieve):
    best, second = retrieve(retriever(), QUESTION)
    assert isinstance(best.node, TextNode)
    assert best.node.node_id == "bee"
    assert best.score == passes(best)["score"] > second.score
    assert passes(best)["rerank_status"] == passes(best)["retrieve_status"] == "complete"
    assert [passes(best)["rank"], passes(second)["rank"]] == [1, 2]
    assert passes(best)["num_reranked"] == passes(best)["num_candidates"] == len(DOCUMENTS)
    assert passes(best)["reranker"]
    assert 0 < passes(best)["timings"]["rerank_ms"] <= passes(best)["timings"]["total_ms"]


def test_sync_and_async_find_the_same(retriever):
    one, other = retriever().retrieve(QUESTION), asyncio.run(retriever().aretrieve(QUESTION))
    assert [(n.node_id, n.score) for n in one] == [(n.node_id, n.score) for n in other]


@pytest.mark.parametrize("top_k", [1, 3, 9])
def test_as_many_nodes_come_as_are_asked_for(retriever, retrieve, top_k):
    assert len(retrieve(retriever(similarity_top_k=top_k), QUESTION)) == min(top_k, 4)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("dense", "dense_score"), ("lexical", "lexical_score"), ("hybrid", "fused_score")],
)
def test_without_a_second_pass_the_score_is_that_of_the_first(retriever, retrieve, mode, kind):
    nodes = retrieve(retriever(retrieve=mode, rerank=False), "honey and nectar")
    assert ids(nodes)[0] == "bee"
    assert [each.score for each in nodes] == [passes(each)[kind] for each in nodes]
    assert {passes(each)["rerank_status"] for each in nodes} == {"disabled"}


def test_nodes_that_the_second_pass_did_not_read_have_no_score(retriever, retrieve):
    nodes = retrieve(retriever(similarity_top_k=4, rerank=Rerank(depth=1)), QUESTION)
    assert [each.score is None for each in nodes] == [False, True, True, True]
    assert all(passes(each)["fused_score"] is not None for each in nodes)


def test_nodes_below_the_least_score_are_left_out(retriever, retrieve):
    best, second = retrieve(retriever(), QUESTION)
    least = (best.score + second.score) / 2
    assert ids(retrieve(retriever(rerank=Rerank(min_score=least)), QUESTION)) == ["bee"]
    assert retrieve(retriever(rerank=Rerank(min_score=1.0)), QUESTION) == []


def test_a_search_without_fallback_raises_what_was_missing(retriever, retrieve):
    hurried = retriever(time_budget=1e-6, allow_fallback=False)
    with pytest.raises(DeadlineExceededError):
        retrieve(hurried, QUESTION)


@pytest.mark.parametrize(
    "filters",
    [
        MetadataFilters(
            filters=[MetadataFilter(key="year", value=1900, operator=FilterOperator.GT)]
        ),
        field("year") > 1900,
    ],
    ids=["LlamaIndex's", "the client's"],
)
def test_filters_are_those_of_llama_index_or_of_the_client(retriever, retrieve, filters):
    nodes = retrieve(retriever(filters=filters, similarity_top_k=9), "anything")
    assert set(ids(nodes)) == {"au", "bee"}


@pytest.mark.parametrize(
    ("key", "empty"), [("year", {"glass"}), ("tags", {*["au", "bee", "sea", "glass"]})]
)
def test_emptiness_is_tested_by_the_schema(retriever, retrieve, key, empty):
    filters = MetadataFilters(
        filters=[MetadataFilter(key=key, value=None, operator=FilterOperator.IS_EMPTY)]
    )
    nodes = retrieve(retriever(filters=filters, similarity_top_k=9), "anything")
    assert set(ids(nodes)) == empty


def test_a_title_is_metadata_and_what_a_search_says_is_hidden_from_models(retriever, retrieve):
    (node,) = retrieve(retriever(similarity_top_k=1), "What is glass made of?")
    assert node.node.get_content(MetadataMode.LLM) == (
        "year: None\ntitle: Glass\n\nIt is made of sand."
    )


def test_a_given_embedding_takes_the_place_of_the_queries(retriever, retrieve, client):
    embedding = list(client.embed(["honey"], role="query").vectors[0])
    bundle = QueryBundle("zzz", embedding=embedding)
    assert ids(retrieve(retriever(retrieve="dense", rerank=False), bundle))[0] == "bee"


def test_custom_texts_are_embedded_by_the_collections_encoder(retriever, retrieve):
    dense = retriever(retrieve=Retrieve("dense"), rerank=False, similarity_top_k=1)
    query = QueryBundle("zzz", custom_embedding_strs=["honey", "bees and nectar"])
    (found,) = retrieve(dense, query)
    assert found.node_id == "bee"
    (alone,) = retrieve(dense, QueryBundle("zzz", custom_embedding_strs=["honey"]))
    assert alone.score == pytest.approx(retrieve(dense, "honey")[0].score, abs=1e-5)


def test_words_alone_embed_nothing(retriever, retrieve):
    query = QueryBundle("nectar", custom_embedding_strs=["moon"], embedding=[1.0])
    nodes = retrieve(retriever(retrieve="lexical", rerank=False), query)
    assert ids(nodes) == ["bee"]
    assert passes(nodes[0])["encoder"] == ""


def test_a_node_may_be_the_part_of_a_document_that_matched(target, name, retrieve, client):
    client.create_collection(name)
    filler = "The committee met again and adjourned without a decision. " * 60
    text = f"{filler}Bees make honey from nectar. {filler}"
    client.upsert(name, [{"id": "long", "title": "Minutes", "text": text}])
    (whole,) = retrieve(TwopassRetriever(name, client=client), QUESTION)
    (part,) = retrieve(TwopassRetriever(name, client=client, spans=True), QUESTION)
    assert whole.text == text
    assert "Bees make honey" in part.text
    assert len(part.text) < len(text) / 2
    start, end = passes(part)["span"]
    assert part.text == f"Minutes {text}"[start:end]


def test_nodes_of_the_vector_store_keep_what_they_were(target, name, retrieve):
    store = TwopassVectorStore(name, target, is_embedding_query=False)
    stored = TextNode(
        id_="bee",
        text="Bees make honey.",
        metadata={"file": "a.txt"},
        excluded_llm_metadata_keys=["file"],
    )
    store.add([stored])
    own = TwopassRetriever(name, target)
    (found,) = retrieve(own, QUESTION)
    assert found.node.excluded_llm_metadata_keys == ["file", "twopass"]
    assert found.node.metadata["file"] == "a.txt"
    assert found.text == stored.text
    own.close()
    store.close()


def test_an_answer_too_large_for_one_message_is_completed(target, name, retrieve):
    with Client(target, max_message_bytes=8_000) as client:
        client.create_collection(name, Schema(whole_documents=True))
        texts = {str(n): f"honey {n} " * 700 for n in range(4)}
        for id_, text in texts.items():
            client.upsert(name, [{"id": id_, "text": text}])
        nodes = retrieve(TwopassRetriever(name, client=client), "honey")
        assert len(nodes) == 2
        assert {each.node_id: each.text for each in nodes}.items() <= texts.items()


def test_errors_are_the_clients(retriever, retrieve, client):
    with pytest.raises(NotFoundError, match="no-such-collection"):
        retrieve(TwopassRetriever("no-such-collection", client=client), QUESTION)
    with pytest.raises(InvalidArgumentError, match=r"retrieve\.mode: 'sparse' given"):
        retrieve(retriever(retrieve="sparse"), QUESTION)


def test_a_query_engine_answers_from_the_nodes(retriever):
    engine = RetrieverQueryEngine.from_args(retriever(similarity_top_k=1), llm=MockLLM())
    response = engine.query(QUESTION)
    assert ids(response.source_nodes) == ["bee"]
    assert "Bees make honey" in str(response)  # a MockLLM answers what it is asked
    assert "twopass" not in str(response)
    assert ids(asyncio.run(engine.aquery(QUESTION)).source_nodes) == ["bee"]


def test_hypothetical_documents_are_embedded(retriever):
    engine = RetrieverQueryEngine.from_args(retriever(similarity_top_k=1), llm=MockLLM())
    hyde = TransformQueryEngine(engine, HyDEQueryTransform(llm=MockLLM(), include_original=True))
    assert ids(hyde.query(QUESTION).source_nodes) == ["bee"]


@pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])
def test_a_fusion_retriever_joins_it_with_another(retriever, use_async):
    fused = QueryFusionRetriever(
        [retriever(), retriever(retrieve="lexical", rerank=False)],
        llm=MockLLM(),
        num_queries=1,
        mode="reciprocal_rerank",
        use_async=use_async,
    )
    assert ids(fused.retrieve(QUESTION))[0] == "bee"


def test_a_server_with_tls_asks_for_a_key(secure_server, retrieve):
    connection = {"ca": str(secure_server.certificate)}
    with secure_server.client() as client:
        client.create_collection("facts")
        client.upsert("facts", DOCUMENTS)
        own = TwopassRetriever(
            "facts", secure_server.target, api_key=secure_server.api_key, **connection
        )
        assert ids(retrieve(own, QUESTION))[0] == "bee"
        own.close()
        without = TwopassRetriever("facts", secure_server.target, **connection)
        with pytest.raises(UnauthenticatedError):
            retrieve(without, QUESTION)
        without.close()
        client.delete_collection("facts")


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["copy", "pickle"]
)
def test_a_copy_connects_anew(target, collection, retrieve, copied):
    own = TwopassRetriever(collection, target, rerank=Rerank(depth=2))
    other = copied(own)
    own.close()
    assert ids(retrieve(other, QUESTION))[0] == "bee"
    other.close()


def test_no_nodes_at_all_are_not_asked_for(retriever, retrieve):
    with pytest.raises(ValueError, match="similarity_top_k: 0 given, at least 1 is needed"):
        retrieve(retriever(similarity_top_k=0), QUESTION)


async def test_closing_ends_own_connections_alone(target, collection, client):
    own = TwopassRetriever(collection, target)
    assert len(await own.aretrieve(QUESTION)) == 2
    await own.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        own.retrieve(QUESTION)
    TwopassRetriever(collection, client=client).close()
    assert client.is_ready()
