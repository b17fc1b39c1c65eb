"""The store's methods for asyncio."""

import contextlib
from typing import Any

from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.document_stores.twopass.converters import about_search, found_documents
from haystack_integrations.document_stores.twopass.facets import (
    MAX_VALUES,
    UniqueValues,
    min_max,
    note_fields,
)
from haystack_integrations.document_stores.twopass.filters import (
    EVERYTHING,
    condition_of,
    field_path,
)
from haystack_integrations.document_stores.twopass.settings import (
    MAX_FIELDS,
    MAX_IDS,
    METADATA,
    ON_CONFLICT,
    PAGE_SIZE,
    StoreSettings,
    groups,
)

from twopass import client
from twopass.client import (
    AlreadyExistsError,
    AsyncClient,
    NotFoundError,
    Rerank,
    Retrieve,
)
from twopass.client.reading import with_contents_async


class AsyncMethods(StoreSettings):
    """The methods of `TwopassDocumentStore` whose names end in `_async`."""

    async def count_documents_async(self) -> int:
        """Does what `count_documents` does, for asyncio."""
        client = await self._opened_async()
        return await client.count(self.collection)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Does what `filter_documents` does, for asyncio."""
        condition = condition_of(filters)
        client = await self._opened_async()
        documents = client.documents(
            self.collection, filter=condition, fields=self._fields, page_size=PAGE_SIZE
        )
        return [self._read(document) async for document in documents]

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Does what `write_documents` does, for asyncio."""
        written = self._written(documents)
        try:
            try:
                summary = await self._upsert_async(written, policy)
            except NotFoundError:  # deleted by somebody else since this store has found it
                self._is_there = False
                summary = await self._upsert_async(written, policy)
        except AlreadyExistsError as error:
            raise DuplicateDocumentError(str(error)) from error
        return summary.num_documents

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """Does what `delete_documents` does, for asyncio."""
        client = await self._opened_async()
        for group in groups(document_ids, MAX_IDS):
            await client.delete(self.collection, group)

    async def delete_all_documents_async(self, recreate_index: bool = False) -> None:
        """Does what `delete_all_documents` does, for asyncio."""
        client = await self._opened_async()
        if recreate_index:
            await client.delete_collection(self.collection)
            await client.create_collection(self.collection, self._schema())
        else:
            await client.delete(self.collection, filter=EVERYTHING)

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Does what `delete_by_filter` does, for asyncio."""
        selected = self._selected(filters)
        client = await self._opened_async()
        deleted = await client.delete(self.collection, filter=selected)
        return deleted.num_deleted

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Does what `update_by_filter` does, for asyncio."""
        selected = self._selected(filters)
        client = await self._opened_async()
        updated = await client.update_metadata(self.collection, filter=selected, merge=meta)
        return updated.num_updated

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Does what `count_documents_by_filter` does, for asyncio."""
        condition = condition_of(filters)
        client = await self._opened_async()
        return await client.count(self.collection, filter=condition)

    async def count_unique_metadata_by_filter_async(
        self, filters: dict[str, Any], metadata_fields: list[str]
    ) -> dict[str, int]:
        """Does what `count_unique_metadata_by_filter` does, for asyncio."""
        condition = condition_of(filters)
        client = await self._opened_async()
        names = {field_path(name): name.removeprefix("meta.") for name in metadata_fields}
        counts: dict[str, int] = {}
        for group in groups(list(names), MAX_FIELDS):
            facets = await client.facets(self.collection, group, filter=condition, limit=0)
            counts |= {names[path]: facet.num_values for path, facet in facets.items()}
        return counts

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        """Does what `get_metadata_fields_info` does, for asyncio."""
        client = await self._opened_async()
        documents = client.documents(self.collection, fields=METADATA, page_size=PAGE_SIZE)
        info: dict[str, dict[str, str]] = {}
        async for document in documents:
            note_fields(info, document.metadata)
        return info

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        """Does what `get_metadata_field_min_max` does, for asyncio."""
        path = field_path(metadata_field)
        client = await self._opened_async()
        facets = await client.facets(self.collection, [path], limit=0)
        return min_max(facets[path])

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """Does what `get_metadata_field_unique_values` does, for asyncio."""
        condition = condition_of(filters)
        path = field_path(metadata_field)
        client = await self._opened_async()
        facets = await client.facets(self.collection, [path], filter=condition, limit=MAX_VALUES)
        values = UniqueValues(metadata_field, facets[path])
        doubtful = values.doubtful(condition)
        if doubtful is not None:
            documents = client.documents(
                self.collection, filter=doubtful, fields=METADATA, page_size=PAGE_SIZE
            )
            async for document in documents:
                values.look_at(document.metadata)
        return values.page(search_term, from_, size)

    async def search_async(
        self,
        query: str = "",
        *,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        retrieve: Retrieve,
        rerank: Rerank | bool,
        time_budget: float | None = None,
        allow_fallback: bool = True,
    ) -> dict[str, Any]:
        """Does what `search` does, for asyncio."""
        considered = self._considered(filters, retrieve)
        client = await self._opened_async()
        result = await client.search(
            self.collection,
            query,
            vector=query_embedding,
            top_n=top_k,
            retrieve=retrieve,
            rerank=rerank,
            filter=considered,
            fields=self._fields,
            time_budget=time_budget,
            allow_fallback=allow_fallback,
        )
        result = await with_contents_async(client, self.collection, result, fields=self._fields)
        return {
            "documents": found_documents(result, keeps_title=self._keeps_title),
            "meta": about_search(result),
        }

    async def warm_up_async(self) -> None:
        """Does what `warm_up` does, for asyncio."""
        await self._opened_async()

    async def close_async(self) -> None:
        """Ends the connection of the running event loop; the next use opens another."""
        await self._connection.close_async()

    async def _upsert_async(
        self, documents: list[client.Document], policy: DuplicatePolicy
    ) -> client.UpsertSummary:
        opened = await self._opened_async()
        return await opened.upsert(self.collection, documents, on_conflict=ON_CONFLICT[policy])

    async def _opened_async(self) -> AsyncClient:
        """The client, once the collection is known to be there; it is created if need be."""
        client = self._connection.async_client()
        if not self._is_there:
            try:
                found = await client.get_collection(self.collection)
            except NotFoundError:
                with contextlib.suppress(AlreadyExistsError):  # by somebody else, meanwhile
                    await client.create_collection(self.collection, self._schema())
                found = await client.get_collection(self.collection)
            self._check(found)
            self._is_there = True
        return client
