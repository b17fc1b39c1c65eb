"""The embedding model: queries and texts, in batches, for threads and for asyncio."""

import asyncio
import math
import pickle
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.kvstore import SimpleKVStore

from llama_index.embeddings.twopass import TwopassEmbedding
from twopass.client import (
    AsyncClient,
    Client,
    InvalidArgumentError,
    NotFoundError,
    OverloadedError,
    UnauthenticatedError,
)

TEXTS = ["Bees make honey from nectar.", "The moon pulls at the sea.", "Glass is made of sand."]


def without_room(kind: type, left: dict[type, int]) -> Callable[..., Any]:
    """A method `embed` that finds no room as often as is left."""
    embed = kind.embed

    def tried(client: Any, *args: Any, **kwargs: Any) -> Any:
        if left[kind]:
            left[kind] -= 1
            raise OverloadedError("queue full", retry_after=0.01)
        return embed(client, *args, **kwargs)

    return tried


@pytest.fixture
def model(client: Any) -> TwopassEmbedding:
    return TwopassEmbedding(client=client)


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a method, or its twin in an event loop of its own."""

    def called(model: TwopassEmbedding, method: str, *args: Any) -> Any:
        if request.param == "sync":
            return getattr(model, method)(*args)
        return asyncio.run(getattr(model, f"a{method}")(*args))

    return called


async def test_batches_wait_for_room_and_a_query_does_not(client, monkeypatch):
    expected = TwopassEmbedding(client=client).get_text_embedding_batch(TEXTS)
    left = {Client: 2, AsyncClient: 2}
    for kind in left:
        monkeypatch.setattr(kind, "embed", without_room(kind, left))
    model = TwopassEmbedding(client=client, embed_batch_size=2)
    assert model.get_text_embedding_batch(TEXTS) == expected
    assert await model.aget_text_embedding_batch(TEXTS) == expected
    assert set(left.values()) == {0}
    left[Client] = 1
    with pytest.raises(OverloadedError):
        model.get_query_embedding("x")


async def test_many_texts_are_sent_few_batches_at_a_time(client):
    under_way = [0, 0]  # now, and at most

    class Counted(TwopassEmbedding):
        async def _aget_text_embeddings(self, texts):
            under_way[0] += 1
            under_way[1] = max(under_way)
            vectors = await super()._aget_text_embeddings(texts)
            under_way[0] -= 1
            return vectors

    texts = [f"Fact number {number}." for number in range(60)]
    model = Counted(client=client, embed_batch_size=3)
    vectors = await model.aget_text_embedding_batch(texts)
    assert under_way == [0, 2]
    assert vectors == model.get_text_embedding_batch(texts)


def test_the_class_is_one_of_embeddings_and_llama_hub_finds_it():
    assert BaseEmbedding.__name__ in [b.__name__ for b in TwopassEmbedding.__mro__]
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    hub = project["tool"]["llamahub"]
    module = import_module(hub["import_path"])
    assert all(hasattr(module, name) for name in hub["class_authors"])


def test_queries_and_texts_are_embedded_in_their_roles(model, call, client):
    query = call(model, "get_query_embedding", TEXTS[0])
    text = call(model, "get_text_embedding", TEXTS[0])
    assert query == list(client.embed([TEXTS[0]], role="query").vectors[0])
    assert text == list(client.embed([TEXTS[0]], role="passage").vectors[0])
    assert math.fsum(x * x for x in text) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batches_are_in_the_order_of_their_texts(client, call, batch_size):
    model = TwopassEmbedding(client=client, embed_batch_size=batch_size)
    alone = [model.get_text_embedding(text) for text in TEXTS]
    assert call(model, "get_text_embedding_batch", TEXTS) == alone


def test_no_texts_are_no_call(model, call):
    assert call(model, "get_text_embedding_batch", []) == []


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), max_size=6))
def test_the_embedding_of_a_text_never_depends_on_its_batch(model, texts):
    together = model.get_text_embedding_batch(texts)
    assert together == [model.get_text_embedding(text) for text in texts]


def test_what_is_alike_in_meaning_is_near(model):
    query = model.get_query_embedding("Which insect feeds on nectar?")
    near, *far = (model.similarity(query, e) for e in model.get_text_embedding_batch(TEXTS))
    assert near > max(far)


def test_several_queries_have_one_embedding(model, call):
    both = call(model, "get_agg_embedding_from_queries", TEXTS[:2])
    each = [model.get_query_embedding(text) for text in TEXTS[:2]]
    assert both == pytest.approx([sum(pair) / 2 for pair in zip(*each, strict=True)])


def test_the_first_dimensions_have_length_one(client, call):
    model = TwopassEmbedding(client=client, dimensions=64)
    found = call(model, "get_query_embedding", TEXTS[0])
    assert len(found) == 64
    assert math.fsum(x * x for x in found) == pytest.approx(1, abs=1e-5)


def test_a_model_is_asked_for_by_its_name(client, call):
    (name,) = (m.id for m in client.models() if m.kind == "encoder")
    named = TwopassEmbedding(name, client=client)
    assert call(named, "get_text_embedding", "x") == TwopassEmbedding(
        client=client
    ).get_text_embedding("x")
    with pytest.raises(NotFoundError, match="no-such-model"):
        call(TwopassEmbedding("no-such-model", client=client), "get_text_embedding", "x")


def test_an_empty_text_is_refused_by_its_position(model, call):
    with pytest.raises(InvalidArgumentError, match=r"texts\[1\]"):
        call(model, "get_text_embedding_batch", ["x", ""])


def test_an_instruction_is_for_encoders_that_take_one(client, call):
    model = TwopassEmbedding(client=client, instruction="Find what refutes the claim")
    assert call(model, "get_text_embedding", "x")
    with pytest.raises(InvalidArgumentError, match="instruction"):
        call(model, "get_query_embedding", "x")


def test_a_cache_keeps_embeddings(client, call):
    model = TwopassEmbedding(client=client, embeddings_cache=SimpleKVStore())
    first = call(model, "get_text_embedding_batch", TEXTS)
    model._client = None  # whatever is asked for now is in the cache
    model._async_clients = None
    assert call(model, "get_text_embedding_batch", TEXTS) == first


def test_an_index_finds_by_it(model):
    documents = [Document(text=text) for text in TEXTS]
    index = VectorStoreIndex.from_documents(documents, embed_model=model)
    retriever = index.as_retriever(similarity_top_k=1)
    assert retriever.retrieve("Which insect feeds on nectar?")[0].text == TEXTS[0]
    assert asyncio.run(retriever.aretrieve("What is glass?"))[0].text == TEXTS[2]


def test_an_index_is_built_in_its_own_event_loop(model):
    documents = [Document(text=text) for text in TEXTS]
    index = VectorStoreIndex.from_documents(documents, embed_model=model, use_async=True)
    assert index.as_retriever(similarity_top_k=1).retrieve("nectar")[0].text == TEXTS[0]


def test_it_may_be_the_default_of_all_indexes(model):
    before = Settings._embed_model
    Settings.embed_model = model
    try:
        index = VectorStoreIndex.from_documents([Document(text=text) for text in TEXTS])
        assert index.as_retriever(similarity_top_k=1).retrieve("nectar")[0].text == TEXTS[0]
    finally:
        Settings._embed_model = before


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_pipeline_embeds_by_it(model, is_async):
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), model])
    documents = [Document(text=text) for text in TEXTS]
    if is_async:
        nodes = asyncio.run(pipeline.arun(documents=documents))
    else:
        nodes = pipeline.run(documents=documents)
    assert [node.embedding for node in nodes] == model.get_text_embedding_batch(TEXTS)


def test_settings_survive_serialisation_and_pickling_and_the_key_stays_out_of_json(target):
    model = TwopassEmbedding(target=target, api_key="secret", dimensions=64)
    assert "secret" not in model.to_json() + repr(model)
    read = TwopassEmbedding.from_json(model.to_json())
    assert (read.target, read.dimensions) == (target, 64)
    again = pickle.loads(pickle.dumps(model))
    assert again.api_key == "secret"
    assert len(again.get_query_embedding("x")) == 64
    for each in (model, read, again):
        each.close()


def test_a_model_over_a_live_client_can_not_be_pickled(model):
    with pytest.raises(TypeError, match="client: a live connection can't be pickled"):
        pickle.dumps(model)


def test_a_server_with_tls_asks_for_a_key(secure_server, call):
    connection = {"target": secure_server.target, "ca": str(secure_server.certificate)}
    own = TwopassEmbedding(api_key=secure_server.api_key, **connection)
    assert call(own, "get_query_embedding", "x")
    own.close()
    without = TwopassEmbedding(**connection)
    with pytest.raises(UnauthenticatedError):
        call(without, "get_query_embedding", "x")
    without.close()


async def test_closing_ends_own_connections_alone(target, client):
    own = TwopassEmbedding(target=target)
    assert await own.aget_query_embedding("x")
    await own.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        own.get_query_embedding("x")
    TwopassEmbedding(client=client).close()
    assert client.is_ready()
