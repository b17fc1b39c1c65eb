"""What a vector store of LlamaIndex does, by its methods for threads and for asyncio."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.schema import (
    ImageNode,
    IndexNode,
    MetadataMode,
    Node,
    NodeRelationship,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llama_index.vector_stores.twopass import METADATA_KEY, TwopassVectorStore
from twopass.client import (
    Client,
    InvalidArgumentError,
    NotFoundError,
    Rerank,
    Retrieve,
    Schema,
    field,
)

FACTS = {
    "au": "Canberra is the capital of Australia.",
    "bee": "Bees make honey from nectar.",
    "sea": "The moon pulls at the sea.",
    "glass": "Glass is made of sand.",
}
KEYS_OF_A_HIT = {
    *("rank", "score", "logit", "blended_score", "dense_score", "lexical_score", "fused_score"),
    *("first_pass_rank", "dense_rank", "lexical_rank", "truncated", "span", "retrieve_status"),
    *("rerank_status", "num_reranked", "num_candidates", "encoder", "reranker"),
    *("query_truncated", "timings", "num_below_min_score", "num_words_dropped", "blend", "exact"),
    "sequence",
}

Make = Callable[..., TextNode]


def where(key: str, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value)])


def asking(text: str | None, mode: str = "default", **kwargs: Any) -> VectorStoreQuery:
    return VectorStoreQuery(
        query_str=text, mode=VectorStoreQueryMode(mode), **{"similarity_top_k": 2} | kwargs
    )


@pytest.fixture
def facts(embedding_store: TwopassVectorStore, node: Make) -> TwopassVectorStore:
    """A store that the server embeds, of four facts."""
    embedding_store.add(
        [node(id_, text, of=f"doc-{id_}", n=n) for n, (id_, text) in enumerate(FACTS.items())]
    )
    return embedding_store


# --- writing and reading


async def test_nodes_come_back_as_they_were_stored(store, call, node):
    stored = [
        node("a", "Some text.", 1.0, 0.0, of="doc", year=2020, tags=["x", "y"], nested={"k": None}),
        node("b", "Other text.", 0.0, 1.0),
    ]
    stored[0].relationships[NodeRelationship.NEXT] = stored[1].as_related_node_info()
    stored[0].excluded_llm_metadata_keys = ["tags"]
    assert await call(store, "add", stored) == ["a", "b"]
    assert await call(store, "get_nodes", ["b", "unknown", "a"]) == [stored[1], stored[0]]
    assert {each.node_id for each in await call(store, "get_nodes")} == {"a", "b"}


@pytest.mark.parametrize(
    "stored",
    [
        ImageNode(id_="i", text="A picture.", image="aGVsbG8=", embedding=[1.0]),
        IndexNode(id_="i", text="A table.", index_id="table", embedding=[1.0]),
        Node(id_="i", text_resource={"text": "Any media."}, embedding=[1.0]),
    ],
    ids=lambda stored: stored.class_name(),
)
async def test_nodes_of_other_kinds_keep_their_kind(store, call, stored):
    await call(store, "add", [stored])
    (found,) = await call(store, "get_nodes", ["i"])
    assert type(found) is type(stored)
    assert found.get_content() == stored.get_content()
    assert found.to_dict() == stored.to_dict()


async def test_a_node_whose_id_is_known_replaces_the_earlier_one(store, call, node):
    await call(store, "add", [node("a", "First.", 1.0)])
    await call(store, "add", [node("a", "Second.", 1.0, year=2020)])
    (found,) = await call(store, "get_nodes")
    assert (found.text, found.metadata) == ("Second.", {"year": 2020})


async def test_adding_nothing_makes_no_collection(store, call, client):
    assert await call(store, "add", []) == []
    with pytest.raises(NotFoundError):
        client.get_collection(store.collection)


async def test_the_collection_is_made_for_the_first_nodes(store, call, client, node):
    await call(store, "add", [node("a", "Some text.", 1.0, 0.0, 0.0)])
    schema = client.get_collection(store.collection).schema
    assert (schema.dimension, schema.client_vectors) == (3, True)
    assert dict(schema.indexed_fields) == {"ref_doc_id": "text"}


async def test_the_collection_is_made_as_its_schema_says(target, name, call, client, node):
    wanted = Schema(dimension=2, client_vectors=True, metric="inner_product", language="de")
    store = TwopassVectorStore(name, target, collection_schema=wanted)
    await call(store, "add", [node("a", "Some text.", 1.0, 0.0)])
    schema = client.get_collection(name).schema
    assert (schema.metric, schema.language) == ("inner_product", "de")
    await call(store, "close")


async def test_writers_at_once_make_one_collection(target, name, node):
    stores = [TwopassVectorStore(name, target) for _ in range(4)]
    await asyncio.gather(
        *(each.async_add([node(str(n), "x", 1.0)]) for n, each in enumerate(stores))
    )
    assert len(await stores[0].aget_nodes()) == 4
    for each in stores:
        await each.aclose()


async def test_a_node_without_an_embedding_is_refused_by_its_id(store, call, node):
    with pytest.raises(ValueError, match=r"nodes\[0\]: the node 'a' has no embedding"):
        await call(store, "add", [node("a", "Some text.")])


async def test_a_node_of_another_dimension_is_refused_by_its_position(store, call, node):
    await call(store, "add", [node("a", "x", 1.0, 0.0)])
    with pytest.raises(InvalidArgumentError, match="dimension") as raised:
        await call(store, "add", [node("b", "x", 1.0, 0.0), node("c", "x", 1.0)])
    assert raised.value.metadata["position"] == "1"


async def test_filters_and_ids_are_joined(store, call, node):
    await call(store, "add", [node(id_, "x", 1.0, even=int(id_) % 2 == 0, n=1) for id_ in "0123"])
    found = await call(store, "get_nodes", ["3", "2", "0"], where("n", 1))
    assert [each.node_id for each in found] == ["3", "2", "0"]
    assert await call(store, "get_nodes", ["3", "2"], where("n", 2)) == []


# --- deleting


async def test_a_document_is_deleted_with_all_its_nodes(store, call, node):
    await call(
        store,
        "add",
        [
            node("a", "x", 1.0, of="one"),
            node("b", "x", 1.0, of="one"),
            node("c", "x", 1.0, of="two"),
        ],
    )
    await call(store, "delete", "one")
    await call(store, "delete", "unknown")
    assert [each.node_id for each in await call(store, "get_nodes")] == ["c"]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"node_ids": ["0", "1", "unknown"]}, {"2", "3"}),
        ({"node_ids": []}, {"0", "1", "2", "3"}),
        ({"filters": where("n", 1)}, {"0", "2"}),
        ({"node_ids": ["0", "1"], "filters": where("n", 1)}, {"0", "2", "3"}),
    ],
    ids=lambda given: "+".join(given) if isinstance(given, dict) else "",
)
async def test_nodes_are_deleted_by_ids_and_filters(store, call, node, given, left):
    await call(store, "add", [node(id_, "x", 1.0, n=int(id_) % 2) for id_ in "0123"])
    await call(store, "delete_nodes", **given)
    assert {each.node_id for each in await call(store, "get_nodes")} == left


async def test_deleting_without_ids_and_filters_is_refused(store, call):
    with pytest.raises(ValueError, match="node_ids, filters: none given"):
        await call(store, "delete_nodes")
    with pytest.raises(ValueError, match="node_ids, filters: none given"):
        await call(store, "delete_nodes", filters=MetadataFilters(filters=[]))


async def test_clearing_keeps_the_collection_and_its_aliases(store, call, client, node):
    await call(store, "add", [node("a", "x", 1.0), node("b", "x", 1.0, of="doc")])
    alias = f"{store.collection}-alias"
    client.update_aliases({alias: store.collection})
    await call(TwopassVectorStore(alias, client=client), "clear")
    assert await call(store, "get_nodes") == []
    assert client.get_collection(alias).name == store.collection
    client.update_aliases({alias: None})


# --- queries


async def test_nearest_embeddings_come_first(store, call, node):
    await call(
        store,
        "add",
        [node("x", "x", 1.0, 0.0), node("y", "y", 0.0, 1.0), node("xy", "xy", 1.0, 1.0)],
    )
    found = await call(store, "query", asking(None, query_embedding=[1.0, 0.1]))
    assert found.ids == ["x", "xy"]
    assert found.ids == [each.node_id for each in found.nodes]
    assert found.similarities == pytest.approx([0.99504, 0.77395], abs=1e-4)


@pytest.mark.parametrize("mode", ["text_search", "sparse"])
async def test_words_are_searched_without_an_embedding(facts, call, mode):
    found = await call(facts, "query", asking("the capital", mode))
    assert found.ids[0] == "au"
    assert found.similarities == [
        each.metadata[METADATA_KEY]["lexical_score"] for each in found.nodes
    ]


async def test_hybrid_fuses_both_lists(facts, call):
    found = await call(facts, "query", asking("What do bees make?", "hybrid", hybrid_top_k=3))
    assert found.ids[0] == "bee"
    assert len(found.ids) == 3
    passes = [each.metadata[METADATA_KEY] for each in found.nodes]
    assert found.similarities == [each["fused_score"] for each in passes]
    assert passes[0]["dense_rank"] == passes[0]["lexical_rank"] == 1
    assert {each["rerank_status"] for each in passes} == {"disabled"}


async def test_alpha_leads_from_words_to_embeddings(store, call, node):
    await call(
        store,
        "add",
        [node("words", "honey honey", 0.0, 1.0), node("near", "nectar and honey", 1.0, 0.0)],
    )

    async def best(alpha: float) -> str:
        query = asking("honey", "hybrid", query_embedding=[1.0, 0.0], alpha=alpha)
        return (await call(store, "query", query)).ids[0]

    assert [await best(0.0), await best(1.0)] == ["words", "near"]


async def test_semantic_hybrid_runs_both_passes(facts, call):
    query = asking("Which insect feeds on nectar?", "semantic_hybrid")
    found = await call(facts, "query", query)
    assert found.ids[0] == "bee"
    passes = found.nodes[0].metadata[METADATA_KEY]
    assert set(passes) == KEYS_OF_A_HIT
    assert passes["rerank_status"] == passes["retrieve_status"] == "complete"
    assert found.similarities == [each.metadata[METADATA_KEY]["score"] for each in found.nodes]
    assert 0 < passes["timings"]["rerank_ms"] <= passes["timings"]["total_ms"]


async def test_a_second_pass_that_is_out_of_time_leaves_the_scores_of_the_first(facts, call):
    query = asking("Which insect feeds on nectar?", "semantic_hybrid", similarity_top_k=4)
    found = await call(facts, "query", query, rerank=Rerank(depth=1))
    assert [each.metadata[METADATA_KEY]["score"] is None for each in found.nodes] == [
        *(False, True, True, True)
    ]
    assert found.similarities == [
        each.metadata[METADATA_KEY]["fused_score"] for each in found.nodes
    ]


async def test_options_of_the_second_pass_are_the_stores(target, call, facts):
    store = TwopassVectorStore(
        facts.collection, target, is_embedding_query=False, rerank=Rerank(min_score=0.99)
    )
    assert (await call(store, "query", asking("What is glass?", "semantic_hybrid"))).ids == []
    await call(store, "close")


async def test_arguments_of_a_search_take_the_place_of_the_queries(facts, call):
    query = asking("nectar")
    found = await call(
        facts, "query", query, filter=field("n") > 1, retrieve=Retrieve("dense", k=9)
    )
    assert set(found.ids) == {"sea", "glass"}


async def test_queries_are_confined_to_nodes_documents_and_filters(facts, call):
    async def found(**kwargs: Any) -> set[str]:
        query = asking("anything", similarity_top_k=9, **kwargs)
        return set((await call(facts, "query", query)).ids)

    assert await found(node_ids=["au", "bee"]) == {"au", "bee"}
    assert await found(doc_ids=["doc-sea", "doc-unknown"]) == {"sea"}
    assert await found(node_ids=[], doc_ids=[]) == set(FACTS)
    below = MetadataFilters(filters=[MetadataFilter(key="n", operator=FilterOperator.LT, value=2)])
    assert await found(node_ids=["bee", "sea"], filters=below) == {"bee"}


async def test_a_query_names_any_number_of_nodes_and_documents(facts, call):
    others = [f"none-{n}" for n in range(10_001)]
    of_nodes = await call(facts, "query", asking("honey", node_ids=[*others, "sea"]))
    assert of_nodes.ids == ["sea"]
    of_documents = await call(facts, "query", asking("honey", doc_ids=[*others, "doc-bee"]))
    assert of_documents.ids == ["bee"]


@pytest.mark.parametrize(
    ("mode", "name"),
    [("default", "similarity_top_k"), ("sparse", "sparse_top_k"), ("hybrid", "hybrid_top_k")],
)
async def test_no_nodes_at_all_are_not_asked_for(facts, call, mode, name):
    with pytest.raises(ValueError, match=f"{name}: 0 given, at least 1 is needed"):
        await call(facts, "query", asking("honey", mode, **{name: 0}))


async def test_what_a_search_says_is_hidden_from_models(facts, call):
    found = await call(facts, "query", asking("capital"))
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert METADATA_KEY not in found.nodes[0].get_content(mode)


async def test_what_a_search_says_is_not_stored_again(facts, call):
    found = (await call(facts, "query", asking("capital"))).nodes
    await call(facts, "add", found)
    (again,) = await call(facts, "get_nodes", [found[0].node_id])
    assert METADATA_KEY not in again.metadata


@pytest.mark.parametrize("mode", ["mmr", "svm", "linear_regression", "logistic_regression"])
async def test_a_mode_that_no_search_answers_is_refused(store, call, mode):
    with pytest.raises(ValueError, match=f"mode: '{mode}' given, one of default, text_search"):
        await call(store, "query", asking("x", mode))


@pytest.mark.parametrize("mode", ["default", "sparse", "hybrid", "semantic_hybrid"])
async def test_a_query_of_nothing_is_refused(store, call, mode):
    with pytest.raises(ValueError, match="query_str: none given"):
        await call(store, "query", asking(None, mode))


async def test_an_answer_too_large_for_one_message_is_completed(target, name, call, node):
    with Client(target, max_message_bytes=8_000) as client:
        store = TwopassVectorStore(name, client=client)
        texts = {str(n): f"{n} " * 1_500 for n in range(4)}
        for id_, text in texts.items():
            await call(store, "add", [node(id_, text, 1.0)])
        found = await call(store, "query", asking(None, query_embedding=[1.0], similarity_top_k=2))
        assert len(found.nodes) == 2
        assert {each.node_id: each.text for each in found.nodes}.items() <= texts.items()


# --- documents that were written by other means


async def test_documents_of_other_writers_are_text_nodes(facts, call, client):
    client.upsert(
        facts.collection,
        [{"id": "other", "title": "Cheese", "text": "It is made of milk.", "metadata": {"n": 9}}],
    )
    (found,) = await call(facts, "get_nodes", ["other"])
    assert isinstance(found, TextNode)
    assert (found.text, found.metadata) == ("It is made of milk.", {"n": 9, "title": "Cheese"})


async def test_metadata_that_was_changed_in_the_collection_is_the_nodes(facts, call, client):
    client.update_metadata(facts.collection, ["au"], merge={"n": None, "checked": True})
    (found,) = await call(facts, "get_nodes", ["au"])
    assert found.metadata == {"checked": True}
    assert found.ref_doc_id == "doc-au"
