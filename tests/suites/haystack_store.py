"""Haystack's `DocumentStore` over the client.

The application makes the embeddings. A document without one gets a vector of zeros, which no query
is near to, and a mark in its metadata.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack_filters import condition_of, field_name

from twopass import client
from twopass.client import AlreadyExistsError, AsyncClient, Client, Condition, Facet, Fields

_NO_EMBEDDING = "_no_embedding"
_WHOLE = Fields(vector=True)
_ON_CONFLICT: dict[DuplicatePolicy, client.OnConflict] = {
    DuplicatePolicy.NONE: "fail",
    DuplicatePolicy.FAIL: "fail",
    DuplicatePolicy.SKIP: "skip",
    DuplicatePolicy.OVERWRITE: "replace",
}
_EVERY_DOCUMENT = client.field(_NO_EMBEDDING).exists() | client.field(_NO_EMBEDDING).is_missing()


class TwopassDocumentStore:
    """A collection of documents with embeddings of one dimension."""

    def __init__(self, target: str, collection: str, dimension: int = 768) -> None:
        self._target = target
        self._collection = collection
        self._dimension = dimension
        self._schema = client.Schema(
            dimension=dimension, client_vectors=True, metric="inner_product"
        )
        self._client = Client(target)
        self._client.create_collection(collection, self._schema)

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def count_documents(self) -> int:
        return self._client.count(self._collection)

    async def count_documents_async(self) -> int:
        async with AsyncClient(self._target) as asynchronous:
            return await asynchronous.count(self._collection)

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        found = self._client.documents(
            self._collection, filter=condition_of(filters), fields=_WHOLE
        )
        return [_read(document) for document in found]

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        async with AsyncClient(self._target) as asynchronous:
            found = asynchronous.documents(
                self._collection, filter=condition_of(filters), fields=_WHOLE
            )
            return [_read(document) async for document in found]

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        written = self._written(documents)
        try:
            summary = self._client.upsert(
                self._collection, written, on_conflict=_ON_CONFLICT[policy]
            )
        except AlreadyExistsError as error:
            raise DuplicateDocumentError(str(error)) from error
        return summary.num_documents

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        written = self._written(documents)
        async with AsyncClient(self._target) as asynchronous:
            try:
                summary = await asynchronous.upsert(
                    self._collection, written, on_conflict=_ON_CONFLICT[policy]
                )
            except AlreadyExistsError as error:
                raise DuplicateDocumentError(str(error)) from error
        return summary.num_documents

    def delete_documents(self, document_ids: list[str]) -> None:
        if document_ids:
            self._client.delete(self._collection, document_ids)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        if document_ids:
            async with AsyncClient(self._target) as asynchronous:
                await asynchronous.delete(self._collection, document_ids)

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        if recreate_index:
            self._client.delete_collection(self._collection)
            self._client.create_collection(self._collection, self._schema)
        else:
            self._client.delete(self._collection, filter=_EVERY_DOCUMENT)

    async def delete_all_documents_async(
        self,
        recreate_index: bool = False,
    ) -> None:
        async with AsyncClient(self._target) as asynchronous:
            if recreate_index:
                await asynchronous.delete_collection(self._collection)
                await asynchronous.create_collection(self._collection, self._schema)
            else:
                await asynchronous.delete(self._collection, filter=_EVERY_DOCUMENT)

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        wanted = _wanted(filters)
        return self._client.delete(self._collection, filter=wanted).num_deleted

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        wanted = _wanted(filters)
        async with AsyncClient(self._target) as asynchronous:
            return (await asynchronous.delete(self._collection, filter=wanted)).num_deleted

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        wanted = _wanted(filters)
        return self._client.update_metadata(self._collection, filter=wanted, merge=meta).num_updated

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        async with AsyncClient(self._target) as asynchronous:
            updated = await asynchronous.update_metadata(
                self._collection, filter=_wanted(filters), merge=meta
            )
        return updated.num_updated

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        return self._client.count(self._collection, filter=condition_of(filters))

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        async with AsyncClient(self._target) as asynchronous:
            return await asynchronous.count(self._collection, filter=condition_of(filters))

    def count_unique_metadata_by_filter(
        self, filters: dict[str, Any], metadata_fields: list[str]
    ) -> dict[str, int]:
        facets = self._facets(metadata_fields, filters, 0)
        return {name: facet.num_values for name, facet in facets.items()}

    async def count_unique_metadata_by_filter_async(
        self, filters: dict[str, Any], metadata_fields: list[str]
    ) -> dict[str, int]:
        facets = await self._facets_async(metadata_fields, filters, 0)
        return {name: facet.num_values for name, facet in facets.items()}

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        (facet,) = self._facets([metadata_field], None, 0).values()
        return _min_max(facet)

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        (facet,) = (await self._facets_async([metadata_field], None, 0)).values()
        return _min_max(facet)

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        limit = 10_000 if search_term else from_ + size
        (facet,) = self._facets([metadata_field], filters, limit).values()
        return _page(facet, search_term, from_, size)

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        limit = 10_000 if search_term else from_ + size
        (facet,) = (await self._facets_async([metadata_field], filters, limit)).values()
        return _page(facet, search_term, from_, size)

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        documents = self._client.documents(self._collection, fields=Fields(text=False))
        return _fields_info(document.metadata for document in documents)

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        async with AsyncClient(self._target) as asynchronous:
            documents = asynchronous.documents(self._collection, fields=Fields(text=False))
            return _fields_info([document.metadata async for document in documents])

    def _facets(
        self, names: list[str], filters: dict[str, Any] | None, limit: int
    ) -> dict[str, Facet]:
        fields = map(field_name, names)
        wanted = condition_of(filters)
        return self._client.facets(self._collection, fields, filter=wanted, limit=limit)

    async def _facets_async(
        self, names: list[str], filters: dict[str, Any] | None, limit: int
    ) -> dict[str, Facet]:
        async with AsyncClient(self._target) as asynchronous:
            return await asynchronous.facets(
                self._collection,
                map(field_name, names),
                filter=condition_of(filters),
                limit=limit,
            )

    def _written(self, documents: object) -> list[client.Document]:
        if not isinstance(documents, list) or not all(isinstance(d, Document) for d in documents):
            raise ValueError("documents: a list of Haystack's Documents is needed")
        return [
            client.Document(
                id=document.id,
                text=document.content or "",
                metadata=document.meta
                if document.embedding
                else {**document.meta, _NO_EMBEDDING: True},
                vector=document.embedding or [0.0] * self._dimension,
            )
            for document in documents
        ]


def _wanted(filters: Mapping[str, Any]) -> Condition:
    """The condition of a write, which must have one: without filters it is for all documents."""
    condition = condition_of(filters)
    return _EVERY_DOCUMENT if condition is None else condition


def _read(document: client.Document) -> Document:
    meta = dict(document.metadata)
    has_embedding = not meta.pop(_NO_EMBEDDING, False)
    return Document(
        id=document.id,
        content=document.text,
        meta=meta,
        embedding=list(document.vector or ()) if has_embedding else None,
    )


def _min_max(facet: Facet) -> dict[str, Any]:
    least, greatest = facet.numbers or facet.texts or (None, None)
    return {"min": least, "max": greatest}


def _page(facet: Facet, search_term: str | None, from_: int, size: int) -> tuple[list[Any], int]:
    values = [one.value for one in facet.values]
    if not search_term:
        return values[from_ : from_ + size], facet.num_values
    found = [value for value in values if search_term.lower() in str(value).lower()]
    return found[from_ : from_ + size], len(found)


def _fields_info(metadata: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    info: dict[str, dict[str, str]] = {}
    for one in metadata:
        for name, value in one.items():
            if name != _NO_EMBEDDING:
                info.setdefault(name, {"type": type(value).__name__})
    return info
