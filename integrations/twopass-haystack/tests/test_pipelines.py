"""Beside Haystack's own components, which ask of stores and retrievers what their protocols say."""

from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.caching import CacheChecker
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentSplitter, HierarchicalDocumentSplitter
from haystack.components.retrievers import (
    AutoMergingRetriever,
    FilterRetriever,
    MultiQueryTextRetriever,
    SentenceWindowRetriever,
)
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.twopass import (
    TwopassDocumentEmbedder,
    TwopassTextEmbedder,
)
from haystack_integrations.components.rankers.twopass import TwopassRanker
from haystack_integrations.components.retrievers.twopass import (
    TwopassBM25Retriever,
    TwopassRetriever,
)
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from .corpus import DOCUMENTS, QUESTION

TALE = (
    "A fox lived in the wood. It ate berries in autumn. In winter it slept in a hollow oak. "
    "The moon made the tides rise. A ship left the harbour at high water. It never came back."
)


def test_windows_of_sentences_are_read_around_what_was_found(empty: TwopassDocumentStore) -> None:
    indexing = Pipeline()
    indexing.add_component("splitter", DocumentSplitter(split_by="period", split_length=1))
    indexing.add_component("writer", DocumentWriter(empty))
    indexing.connect("splitter", "writer")
    indexing.run({"splitter": {"documents": [Document(content=TALE)]}})

    answering = Pipeline()
    answering.add_component("retriever", TwopassRetriever(empty, top_k=1))
    answering.add_component("window", SentenceWindowRetriever(empty, window_size=1))
    answering.connect("retriever.documents", "window.retrieved_documents")
    (window,) = answering.run({"retriever": {"query": "What causes tides?"}})["window"][
        "context_windows"
    ]
    assert "slept in a hollow oak" in window
    assert "left the harbour" in window
    assert "never came back" not in window


def test_parents_are_merged_of_what_was_found(empty: TwopassDocumentStore) -> None:
    splitter = HierarchicalDocumentSplitter(block_sizes={10, 3}, split_overlap=0, split_by="word")
    documents = splitter.run([Document(content="The moon pulls at the sea and makes the tides.")])
    empty.write_documents(documents["documents"])
    leaves = [each for each in empty.filter_documents() if not each.meta["__children_ids"]]
    merged = AutoMergingRetriever(empty, threshold=0.5).run(leaves)["documents"]
    assert len(merged) < len(leaves)
    assert any("tides" in (document.content or "") for document in merged)


def test_answers_of_several_retrievers_are_joined(filled: TwopassDocumentStore) -> None:
    pipeline = Pipeline()
    pipeline.add_component("both", TwopassRetriever(filled, rerank_depth=2))
    pipeline.add_component("words", TwopassBM25Retriever(filled))
    pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
    pipeline.connect("both.documents", "joiner.documents")
    pipeline.connect("words.documents", "joiner.documents")
    joined = pipeline.run({"both": {"query": QUESTION}, "words": {"query": QUESTION}})["joiner"]
    assert joined["documents"][0].id == "strptime"
    assert {document.id for document in joined["documents"]} == {each.id for each in DOCUMENTS}


def test_several_queries_are_asked_at_once(filled: TwopassDocumentStore) -> None:
    retriever = MultiQueryTextRetriever(retriever=TwopassRetriever(filled, top_k=1))
    found = retriever.run(queries=[QUESTION, "Which fruit grows on palms?"])["documents"]
    assert {document.id for document in found} == {"strptime", "palm"}


def test_filters_alone_and_what_is_known_already(filled: TwopassDocumentStore) -> None:
    year = {"field": "meta.year", "operator": ">", "value": 1900}
    assert [each.id for each in FilterRetriever(filled).run(year)["documents"]] == ["strptime"]
    checked: dict[str, Any] = CacheChecker(filled, cache_field="module").run(["time", "zoology"])
    assert [document.id for document in checked["hits"]] == ["sleep"]
    assert checked["misses"] == ["zoology"]


def test_ranker_and_embedders_serve_another_store(target: str) -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    indexing = Pipeline()
    indexing.add_component("embedder", TwopassDocumentEmbedder(progress_bar=False, target=target))
    indexing.add_component("writer", DocumentWriter(store))
    indexing.connect("embedder.documents", "writer.documents")
    indexing.run({"embedder": {"documents": DOCUMENTS}})

    answering = Pipeline()
    answering.add_component("embedder", TwopassTextEmbedder(target=target))
    answering.add_component("retriever", InMemoryEmbeddingRetriever(store))
    answering.add_component("ranker", TwopassRanker(top_k=1, target=target))
    answering.connect("embedder.embedding", "retriever.query_embedding")
    answering.connect("retriever.documents", "ranker.documents")
    answer = answering.run({"embedder": {"text": QUESTION}, "ranker": {"query": QUESTION}})
    assert [document.id for document in answer["ranker"]["documents"]] == ["strptime"]


async def test_a_pipeline_is_awaited(filled: TwopassDocumentStore, target: str) -> None:
    pipeline = Pipeline()
    pipeline.add_component("retriever", TwopassRetriever(filled))
    pipeline.add_component("ranker", TwopassRanker(target=target))
    pipeline.connect("retriever.documents", "ranker.documents")
    asked = {"retriever": {"query": QUESTION}, "ranker": {"query": QUESTION}}
    if not hasattr(pipeline, "run_async"):
        pytest.skip("pipelines of Haystack 2 are not asynchronous; AsyncPipeline is another class")
    answer = await pipeline.run_async(asked)
    assert answer["ranker"]["documents"][0].id == "strptime"
    await pipeline.close_async()
