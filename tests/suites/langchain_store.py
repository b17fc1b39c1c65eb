"""LangChain's `VectorStore` and `BaseRetriever` over the client."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore

from twopass import client
from twopass.client import AsyncClient, Client


class TwopassVectorStore(VectorStore):
    """A collection whose embeddings the application makes."""

    def __init__(self, target: str, collection: str, embedding: Embeddings) -> None:
        self._target = target
        self._client = Client(target)
        self._collection = collection
        self._embedding = embedding
        dimension = len(embedding.embed_query("how long is a vector"))
        schema = client.Schema(dimension=dimension, client_vectors=True)
        self._client.create_collection(collection, schema)

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **_: Any,
    ) -> list[str]:
        texts = list(texts)
        vectors = self._embedding.embed_documents(texts)
        documents = _written(texts, metadatas, ids, vectors)
        self._client.upsert(self._collection, documents)
        return [document.id for document in documents]

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **_: Any,
    ) -> list[str]:
        texts = list(texts)
        vectors = await self._embedding.aembed_documents(texts)
        documents = _written(texts, metadatas, ids, vectors)
        async with AsyncClient(self._target) as asynchronous:
            await asynchronous.upsert(self._collection, documents)
        return [document.id for document in documents]

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        self._client.delete(self._collection, ids or ())
        return True

    async def adelete(self, ids: list[str] | None = None, **_: Any) -> bool:
        async with AsyncClient(self._target) as asynchronous:
            await asynchronous.delete(self._collection, ids or ())
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        found = self._client.get(self._collection, ids, allow_missing=True)
        return [_read(document) for document in found]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        async with AsyncClient(self._target) as asynchronous:
            found = await asynchronous.get(self._collection, ids, allow_missing=True)
        return [_read(document) for document in found]

    def similarity_search(self, query: str, k: int = 4, **_: Any) -> list[Document]:
        vector = self._embedding.embed_query(query)
        result = self._client.search(self._collection, vector=vector, top_n=k, rerank=False)
        return [_read(hit) for hit in result.hits]

    async def asimilarity_search(self, query: str, k: int = 4, **_: Any) -> list[Document]:
        vector = await self._embedding.aembed_query(query)
        async with AsyncClient(self._target) as asynchronous:
            result = await asynchronous.search(
                self._collection, vector=vector, top_n=k, rerank=False
            )
        return [_read(hit) for hit in result.hits]

    @classmethod
    def from_texts(cls, texts: list[str], embedding: Embeddings, **settings: Any) -> Any:
        store = cls(settings["target"], settings["collection"], embedding)
        store.add_texts(texts, settings.get("metadatas"), ids=settings.get("ids"))
        return store

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()


class TwopassRetriever(BaseRetriever):
    """Both passes over a collection that the server embeds."""

    target: str
    collection: str
    k: int = 4

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # the base class's
        k: int | None = None,
    ) -> list[Document]:
        with Client(self.target) as connected:
            result = connected.search(self.collection, query, top_n=k or self.k)
        return [_read(hit) for hit in result.hits]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
    ) -> list[Document]:
        async with AsyncClient(self.target) as connected:
            result = await connected.search(self.collection, query, top_n=k or self.k)
        return [_read(hit) for hit in result.hits]


def _written(
    texts: Sequence[str],
    metadatas: Sequence[dict[str, Any]] | None,
    ids: Sequence[str | None] | None,
    vectors: Sequence[Sequence[float]],
) -> list[client.Document]:
    """Documents to write; those without an id are given one."""
    return [
        client.Document(
            id=(ids[i] if ids else None) or uuid.uuid4().hex,
            text=text,
            metadata=metadatas[i] if metadatas else {},
            vector=vectors[i],
        )
        for i, text in enumerate(texts)
    ]


def _read(found: client.Document | client.SearchHit) -> Document:
    return Document(page_content=found.text or "", metadata=dict(found.metadata or {}), id=found.id)
