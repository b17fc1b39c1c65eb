"""A collection of a twopass server as a Haystack `DocumentStore`."""

import contextlib
from typing import Any

from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.document_stores.twopass.asynchronous import AsyncMethods
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
    groups,
)

from twopass import client
from twopass.client import (
    AlreadyExistsError,
    Client,
    NotFoundError,
    Rerank,
    Retrieve,
)
from twopass.client.reading import with_contents


class TwopassDocumentStore(AsyncMethods):
    """A collection of a twopass server, which is created when it is first used.

    The server embeds documents and queries itself, unless `embedding_dim` says that the application
    does. Retrieve by `TwopassRetriever`, which runs both passes.

    ```python
    store = TwopassDocumentStore(collection="docs")
    store.write_documents([Document(content="Use strptime to parse a date.")])
    TwopassRetriever(store).run("How do I parse a date?")["documents"]
    ```

    What the server refuses is raised as `twopass.client.TwopassError`, whose message names the
    field, the limit and the value. Every method has a twin for asyncio, `..._async`.
    """

    def count_documents(self) -> int:
        """Counts the documents."""
        client = self._opened()
        return client.count(self.collection)

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Returns the documents that pass a filter, in no order to rely on.

        Args:
            filters: A filter as Haystack writes them. None or empty: all documents.

        Raises:
            FilterError: The filter is malformed, or compares what has no order.
        """
        condition = condition_of(filters)
        client = self._opened()
        documents = client.documents(
            self.collection, filter=condition, fields=self._fields, page_size=PAGE_SIZE
        )
        return [self._read(document) for document in documents]

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Writes documents, which are on disk and are found when this returns.

        They are sent in chunks, each of which is written whole or not at all: where it fails, what
        was written before stays.

        Args:
            documents: The documents, each with content or with one of `meta_fields_to_embed`.
            policy: What becomes of documents whose ids are known: NONE is FAIL.

        Returns:
            How many documents were written; those that SKIP leaves as they are are not counted.

        Raises:
            DuplicateDocumentError: Ids are known, and the policy is FAIL or NONE.
            ValueError: `documents` is no list of documents, or one lacks text or an embedding.
        """
        written = self._written(documents)
        try:
            try:
                summary = self._upsert(written, policy)
            except NotFoundError:  # deleted by somebody else since this store has found it
                self._is_there = False
                summary = self._upsert(written, policy)
        except AlreadyExistsError as error:
            raise DuplicateDocumentError(str(error)) from error
        return summary.num_documents

    def delete_documents(self, document_ids: list[str]) -> None:
        """Deletes documents by id; unknown ids are ignored."""
        client = self._opened()
        for group in groups(document_ids, MAX_IDS):
            client.delete(self.collection, group)

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        """Deletes all documents.

        Args:
            recreate_index: Whether the collection is deleted too, and created as this store is set
                to: faster, but aliases of it stand in the way.
        """
        client = self._opened()
        if recreate_index:
            client.delete_collection(self.collection)
            client.create_collection(self.collection, self._schema())
        else:
            client.delete(self.collection, filter=EVERYTHING)

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Deletes the documents that pass a filter, all for an empty one; returns how many."""
        selected = self._selected(filters)
        client = self._opened()
        deleted = client.delete(self.collection, filter=selected)
        return deleted.num_deleted

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Changes the metadata of the documents that pass a filter; returns how many they are.

        All are changed or none is, and none is embedded again: what `meta_fields_to_embed` have put
        before the text stays as it was written.

        Args:
            filters: Which documents. Empty: all.
            meta: The fields to set. None removes a field; a mapping is merged with the one that is
                there (RFC 7396).
        """
        selected = self._selected(filters)
        client = self._opened()
        updated = client.update_metadata(self.collection, filter=selected, merge=meta)
        return updated.num_updated

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """Counts the documents that pass a filter."""
        condition = condition_of(filters)
        client = self._opened()
        return client.count(self.collection, filter=condition)

    def count_unique_metadata_by_filter(
        self, filters: dict[str, Any], metadata_fields: list[str]
    ) -> dict[str, int]:
        """Counts the distinct values of fields among the documents that pass a filter.

        Here 1 and 1.0 are one value, as filters take them.

        Args:
            filters: Which documents. Empty: all.
            metadata_fields: Names of fields, with or without "meta.".

        Returns:
            The number for each field, by its name without "meta.".
        """
        condition = condition_of(filters)
        client = self._opened()
        names = {field_path(name): name.removeprefix("meta.") for name in metadata_fields}
        counts: dict[str, int] = {}
        for group in groups(list(names), MAX_FIELDS):
            facets = client.facets(self.collection, group, filter=condition, limit=0)
            counts |= {names[path]: facet.num_values for path, facet in facets.items()}
        return counts

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """Tells the fields of metadata and their types, by the names that Haystack's stores have.

        Reads the metadata of all documents.

        Returns:
            For each field `{"type": ...}`: "keyword", "long", "float", "boolean" or "object". Of a
            field with values of several types, that of the first; of a list, that of its elements.
        """
        client = self._opened()
        documents = client.documents(self.collection, fields=METADATA, page_size=PAGE_SIZE)
        info: dict[str, dict[str, str]] = {}
        for document in documents:
            note_fields(info, document.metadata)
        return info

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """Tells the least and the greatest value of a field.

        Args:
            metadata_field: The field's name, with or without "meta.".

        Returns:
            `{"min": ..., "max": ...}` of its numbers; of its texts by code points where no value is
            a number; None for both where there is neither.
        """
        path = field_path(metadata_field)
        client = self._opened()
        facets = client.facets(self.collection, [path], limit=0)
        return min_max(facets[path])

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """Returns a page of a field's distinct values, and how many there are in all.

        The most frequent come first, those as frequent in the order None, False, True, numbers,
        texts, each ascending. For a field with whole numbers, the metadata of the documents that
        have a number there are read, since only they tell 1 from 1.0.

        Args:
            metadata_field: The field's name, with or without "meta.".
            search_term: Counts only values that contain it, whatever its case. None: all.
            from_: How many values to skip.
            size: Most values to return.
            filters: Which documents. None: all.

        Raises:
            ValueError: The page, or what `search_term` is looked for in, goes beyond the 10,000
                values that the server lists.
        """
        condition = condition_of(filters)
        path = field_path(metadata_field)
        client = self._opened()
        facets = client.facets(self.collection, [path], filter=condition, limit=MAX_VALUES)
        values = UniqueValues(metadata_field, facets[path])
        doubtful = values.doubtful(condition)
        if doubtful is not None:
            documents = client.documents(
                self.collection, filter=doubtful, fields=METADATA, page_size=PAGE_SIZE
            )
            for document in documents:
                values.look_at(document.metadata)
        return values.page(search_term, from_, size)

    def search(
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
        """Searches the collection; what retrievers run.

        Args:
            query: The question. May be empty with `query_embedding` and without a second pass.
            query_embedding: The question's embedding. None: the server makes it.
            filters: Which documents are considered. None: all.
            top_k: How many documents to return.
            retrieve: The first pass.
            rerank: The second pass. True: all defaults; False: no second pass.
            time_budget: Seconds for both passes. None: the connection's `timeout` alone.
            allow_fallback: Whether the answer may lack a pass where it has to.

        Returns:
            `documents`, best first, and `meta`, as `TwopassRetriever.run` returns them.
        """
        considered = self._considered(filters, retrieve)
        client = self._opened()
        result = client.search(
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
        result = with_contents(client, self.collection, result, fields=self._fields)
        return {
            "documents": found_documents(result, keeps_title=self._keeps_title),
            "meta": about_search(result),
        }

    def warm_up(self) -> None:
        """Connects, and creates the collection if it is not there; every other method does too."""
        self._opened()

    def close(self) -> None:
        """Ends the connection; the next use opens another."""
        self._connection.close()

    def _upsert(
        self, documents: list[client.Document], policy: DuplicatePolicy
    ) -> client.UpsertSummary:
        return self._opened().upsert(self.collection, documents, on_conflict=ON_CONFLICT[policy])

    def _opened(self) -> Client:
        """The client, once the collection is known to be there; it is created if need be."""
        client = self._connection.client()
        if not self._is_there:
            try:
                found = client.get_collection(self.collection)
            except NotFoundError:
                with contextlib.suppress(AlreadyExistsError):  # by somebody else, meanwhile
                    client.create_collection(self.collection, self._schema())
                found = client.get_collection(self.collection)
            self._check(found)
            self._is_there = True
        return client
