"""The store inside LlamaIndex: indexes, query engines, pipelines, and LlamaIndex's conventions."""

import asyncio
import copy
import pickle
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from llama_index.vector_stores.twopass import METADATA_KEY, TwopassVectorStore
from twopass.client import Schema, UnauthenticatedError, UnavailableError

DOCUMENTS = [
    Document(id_="au", text="Canberra is the capital of Australia.", metadata={"topic": "places"}),
    Document(id_="bee", text="Bees make honey from nectar.", metadata={"topic": "animals"}),
    Document(id_="sea", text="The moon pulls at the sea.", metadata={"topic": "places"}),
]
MOCK = MockEmbedding(embed_dim=4)  # every text is equally near


def texts(store: TwopassVectorStore) -> set[str]:
    return {node.get_content() for node in store.get_nodes()}


def index_of(store: TwopassVectorStore) -> VectorStoreIndex:
    storage = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex.from_documents(DOCUMENTS, storage_context=storage, embed_model=MOCK)


def test_the_class_is_one_of_vector_stores():
    assert BasePydanticVectorStore.__name__ in [b.__name__ for b in TwopassVectorStore.__mro__]


def test_the_distribution_names_its_module_and_class_as_llama_hub_reads_them():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    hub = project["tool"]["llamahub"]
    module = import_module(hub["import_path"])
    assert hub["import_path"].split(".") == ["llama_index", "vector_stores", "twopass"]
    assert all(hasattr(module, name) for name in hub["class_authors"])
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_index_answers_by_both_passes_from_texts_in_the_store(embedding_store, is_async):
    index_of(embedding_store)
    index = VectorStoreIndex.from_vector_store(embedding_store, embed_model=MOCK)
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=1, vector_store_query_mode="semantic_hybrid"
    )
    question = "Which insect feeds on nectar?"
    response = asyncio.run(engine.aquery(question)) if is_async else engine.query(question)
    assert [node.node.ref_doc_id for node in response.source_nodes] == ["bee"]
    passes = response.source_nodes[0].metadata[METADATA_KEY]
    assert response.source_nodes[0].score == passes["score"]
    prompt = str(response)  # a MockLLM answers what it is asked
    assert "Bees make honey" in prompt
    assert "topic: animals" in prompt
    assert METADATA_KEY not in prompt


def test_an_index_inserts_refreshes_and_deletes_documents(store):
    index = index_of(store)
    index.insert(Document(id_="glass", text="Glass is made of sand."))
    assert len(texts(store)) == 4
    index.delete_ref_doc("bee")
    index.update_ref_doc(Document(id_="glass", text="Glass is melted sand."))
    assert texts(store) == {DOCUMENTS[0].text, DOCUMENTS[2].text, "Glass is melted sand."}


def test_an_index_is_built_in_its_own_event_loop(store):
    storage = StorageContext.from_defaults(vector_store=store)
    VectorStoreIndex.from_documents(
        DOCUMENTS, storage_context=storage, embed_model=MOCK, use_async=True
    )
    assert texts(store) == {document.text for document in DOCUMENTS}


def pipeline_of(store, strategy):
    return IngestionPipeline(
        transformations=[SentenceSplitter(), MOCK],
        docstore=SimpleDocumentStore(),
        docstore_strategy=strategy,
        vector_store=store,
    )


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_pipeline_replaces_what_has_changed_and_deletes_what_is_gone(store, is_async):
    pipeline = pipeline_of(store, DocstoreStrategy.UPSERTS_AND_DELETE)

    def run(documents):
        if is_async:
            asyncio.run(pipeline.arun(documents=documents))
        else:
            pipeline.run(documents=documents)

    run(DOCUMENTS)
    before = {node.node_id for node in store.get_nodes()}
    run(DOCUMENTS)
    assert {node.node_id for node in store.get_nodes()} == before
    run([DOCUMENTS[0], Document(id_="bee", text="Bees also sting.")])
    assert texts(store) == {DOCUMENTS[0].text, "Bees also sting."}


def test_a_pipeline_with_a_store_is_built_into_an_index(embedding_store):
    pipeline_of(embedding_store, DocstoreStrategy.UPSERTS).run(documents=DOCUMENTS)
    index = VectorStoreIndex.from_vector_store(embedding_store, embed_model=MOCK)
    retriever = index.as_retriever(similarity_top_k=1, vector_store_query_mode="hybrid", alpha=0.5)
    assert retriever.retrieve("honey")[0].node.ref_doc_id == "bee"


def test_settings_survive_serialisation_and_the_key_stays_out_of_it(target):
    schema = Schema(dimension=4, client_vectors=True)
    store = TwopassVectorStore(
        "docs", target, api_key="secret", collection_schema=schema, time_budget=0.5
    )
    written = store.to_json()
    assert "secret" not in written
    assert "secret" not in repr(store)
    read = TwopassVectorStore.from_json(written)
    assert (read.target, read.time_budget) == (target, 0.5)
    assert read.collection_schema == schema
    read.close()
    store.close()


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["copy", "pickle"]
)
def test_a_copy_of_a_store_connects_anew_and_says_nothing_about_it(store, copied, caplog):
    index_of(store)
    read = copied(store)
    assert read.client is not store.client
    assert texts(read) == texts(store)
    read.close()
    assert texts(store)
    assert not caplog.records


def test_a_store_over_a_live_client_can_not_be_pickled(client):
    with pytest.raises(TypeError, match="client: a live connection can't be pickled"):
        pickle.dumps(TwopassVectorStore("docs", client=client))


def test_a_given_client_stays_open(client, name):
    TwopassVectorStore(name, client=client).close()
    assert client.is_ready()


def test_a_server_with_tls_asks_for_a_key(secure_server):
    with_key = TwopassVectorStore(
        "docs",
        secure_server.target,
        api_key=secure_server.api_key,
        ca=str(secure_server.certificate),
    )
    with_key.add(MOCK(list(DOCUMENTS)))
    assert texts(with_key) == {document.text for document in DOCUMENTS}
    assert len(asyncio.run(with_key.aget_nodes())) == 3
    with_key.client.delete_collection("docs")
    with_key.close()
    without = TwopassVectorStore("docs", secure_server.target, ca=str(secure_server.certificate))
    with pytest.raises(UnauthenticatedError):
        without.get_nodes()
    without.close()
    in_plain_text = TwopassVectorStore("docs", secure_server.target, timeout=5)
    with pytest.raises(UnavailableError, match="TLS"):
        in_plain_text.get_nodes()
    in_plain_text.close()
