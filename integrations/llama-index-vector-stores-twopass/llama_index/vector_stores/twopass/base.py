"""The vector store: a collection of a twopass server."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index.vector_stores.twopass.filters import condition_of, tests_emptiness
from llama_index.vector_stores.twopass.nodes import document_of, node_of
from llama_index.vector_stores.twopass.queries import arguments_of, result_of
from twopass.client import (
    AlreadyExistsError,
    AsyncClients,
    Client,
    Document,
    Fields,
    NotFoundError,
    Rerank,
    Schema,
    connect,
    document_ids,
    field,
)
from twopass.client.reading import documents_by_id, documents_by_id_async

_REF_DOC_ID = "ref_doc_id"
_EVERYTHING = Fields(vector=True)
_NOTHING = Fields(text=False, metadata=False)  # ids alone
_MOST_READ = 1_000  # ids of one `get`
_MOST_DELETED = 10_000  # ids of one `delete`
_ALL = field(_REF_DOC_ID).exists() | field(_REF_DOC_ID).is_missing()


class TwopassVectorStore(BasePydanticVectorStore):
    """Nodes in a collection of a twopass server, which keeps their texts too.

    The collection is made by the first `add`, unless it is there. With `is_embedding_query`, nodes
    and queries bring LlamaIndex's embeddings; without it, the server embeds both.

    ```python
    store = TwopassVectorStore("notes")
    pipeline = IngestionPipeline(transformations=[splitter, embed_model], vector_store=store)
    pipeline.run(documents=documents)
    index = VectorStoreIndex.from_vector_store(store, embed_model)
    engine = index.as_query_engine(vector_store_query_mode="semantic_hybrid")  # both passes
    ```
    """

    stores_text: bool = True
    collection: str = Field(description="The collection's name or alias.")
    target: str | None = Field(description="Where the server is, host:port. None: TWOPASS_TARGET.")
    api_key: str | None = Field(exclude=True, repr=False, description="None: TWOPASS_API_KEY.")
    ca: str | None = Field(description='PEM file of authorities, or "system". None: TWOPASS_CA.')
    timeout: float | None = Field(description="Seconds that a call may take. None: no deadline.")
    collection_schema: Schema | None = Field(description="What the collection is made with.")
    rerank: Rerank | None = Field(description="The second pass of the mode semantic_hybrid.")
    time_budget: float | None = Field(description="Seconds for both passes, soft.")
    allow_fallback: bool = Field(description="Whether a pass may be missing where it has to.")

    _client: Client = PrivateAttr()
    _is_own: bool = PrivateAttr()
    _async_clients: AsyncClients = PrivateAttr()

    def __init__(
        self,
        collection: str,
        target: str | None = None,
        *,
        api_key: str | None = None,
        ca: str | None = None,
        timeout: float | None = 30.0,
        client: Client | None = None,
        is_embedding_query: bool = True,
        collection_schema: Schema | None = None,
        rerank: Rerank | None = None,
        time_budget: float | None = None,
        allow_fallback: bool = True,
        **kwargs: Any,
    ) -> None:
        """Opens the store; the connection itself is made by the first call.

        Args:
            collection: The collection's name or alias.
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or this machine.
            api_key: Sent with every call. None: `TWOPASS_API_KEY`, or none.
            ca: For TLS: a PEM file of authorities, or "system". None: `TWOPASS_CA`, or plain text.
            timeout: Seconds that a call may take; writing nodes has no deadline. None: no deadline.
            client: A client that is there, to be closed by the caller, in place of the four above.
            is_embedding_query: Whether LlamaIndex's model embeds nodes and queries. False: the
                server does, and embeddings that nodes bring are not sent.
            collection_schema: What the collection is made with. None: client vectors of the first
                node's dimension, or the server's defaults without `is_embedding_query`; and
                `ref_doc_id` indexed.
            rerank: The second pass of the mode "semantic_hybrid": depth, model, min_score and more.
                None: the server's defaults.
            time_budget: Seconds for both passes, soft: the search answers in first-pass order when
                they are up. None: only `timeout` counts.
            allow_fallback: Whether a search may answer in first-pass order when the second pass is
                late, overloaded or failing, and with one list of "hybrid" when the other is; nodes
                say so by `rerank_status` and `retrieve_status`. False: the cause is raised.
            kwargs: Fields of the base class.

        Raises:
            InvalidArgumentError: The target is none, or a file can't be used.
        """
        fields: dict[str, Any] = {  # pydantic's, which the base class's signature leaves out
            "collection": collection,
            "target": target,
            "api_key": api_key,
            "ca": ca,
            "timeout": timeout,
            "is_embedding_query": is_embedding_query,
            "collection_schema": collection_schema,
            "rerank": rerank,
            "time_budget": time_budget,
            "allow_fallback": allow_fallback,
        }
        super().__init__(**fields, **kwargs)
        self._is_own = client is None
        self._client = client or connect(target, api_key=api_key, ca=ca, timeout=timeout)
        self._async_clients = AsyncClients(self._client)

    @classmethod
    def class_name(cls) -> str:
        """The name that the class has in what is serialised."""
        return "TwopassVectorStore"

    @property
    def client(self) -> Client:
        """The client, for all that LlamaIndex has no word for."""
        return self._client

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Writes nodes and returns their ids; a node whose id is known replaces the earlier one.

        Args:
            nodes: The nodes; none may lack a text, nor an embedding with `is_embedding_query`.
            kwargs: Arguments of the client's `upsert`, such as `chunk_size` and `timeout`.

        Raises:
            InvalidArgumentError: A node is refused; `metadata["position"]` says which.
        """
        documents = self._documents(nodes)
        if documents:
            try:
                self._client.upsert(self.collection, documents, **kwargs)
            except NotFoundError:
                schema = self._schema_for(documents)
                with suppress(AlreadyExistsError):  # made meanwhile, by another writer
                    self._client.create_collection(self.collection, schema)
                self._client.upsert(self.collection, documents, **kwargs)
        return [document.id for document in documents]

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Writes nodes, as `add` does."""
        documents = self._documents(nodes)
        if documents:
            client = self._async_clients.current()
            try:
                await client.upsert(self.collection, documents, **kwargs)
            except NotFoundError:
                schema = self._schema_for(documents)
                with suppress(AlreadyExistsError):  # made meanwhile, by another writer
                    await client.create_collection(self.collection, schema)
                await client.upsert(self.collection, documents, **kwargs)
        return [document.id for document in documents]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Deletes the nodes of a source document; without any it is a no-op."""
        of_document = field(_REF_DOC_ID).equals(ref_doc_id)
        self._client.delete(self.collection, filter=of_document, **delete_kwargs)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Deletes the nodes of a source document, as `delete` does."""
        of_document = field(_REF_DOC_ID).equals(ref_doc_id)
        client = self._async_clients.current()
        await client.delete(self.collection, filter=of_document, **delete_kwargs)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Deletes nodes: those of the ids, those that pass the filters, or those that do both.

        Raises:
            ValueError: Neither is given; `clear` deletes all nodes.
        """
        for each in self._deletions(node_ids, filters, self._declared(filters)):
            self._client.delete(self.collection, **each, **delete_kwargs)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Deletes nodes, as `delete_nodes` does."""
        client = self._async_clients.current()
        for each in self._deletions(node_ids, filters, await self._adeclared(filters)):
            await client.delete(self.collection, **each, **delete_kwargs)

    def clear(self) -> None:
        """Deletes all nodes; the collection stays, with its schema and its aliases."""
        self._client.delete(self.collection, filter=_ALL)

    async def aclear(self) -> None:
        """Deletes all nodes, as `clear` does."""
        await self._async_clients.current().delete(self.collection, filter=_ALL)

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """Returns nodes with their embeddings; unknown ids are left out.

        Args:
            node_ids: Whose nodes, in this order. None: all.
            filters: What they must pass. None: nothing.
        """
        condition = condition_of(filters, self._declared(filters))
        if node_ids is None:
            listed = self._client.documents(
                self.collection, page_size=_MOST_READ, filter=condition, fields=_EVERYTHING
            )
            return [node_of(document) for document in listed]
        found: list[Document] = []
        for ids in _cut(node_ids, _MOST_READ):
            documents = documents_by_id(self._client, self.collection, ids, fields=_EVERYTHING)
            if condition is not None and documents:
                passing = self._client.documents(
                    self.collection,
                    page_size=_MOST_READ,
                    filter=document_ids(ids) & condition,
                    fields=_NOTHING,
                )
                kept = {document.id for document in passing}
                documents = [document for document in documents if document.id in kept]
            found += documents
        return [node_of(document) for document in found]

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """Returns nodes, as `get_nodes` does."""
        client = self._async_clients.current()
        condition = condition_of(filters, await self._adeclared(filters))
        if node_ids is None:
            listed = client.documents(
                self.collection, page_size=_MOST_READ, filter=condition, fields=_EVERYTHING
            )
            return [node_of(document) async for document in listed]
        found: list[Document] = []
        for ids in _cut(node_ids, _MOST_READ):
            documents = await documents_by_id_async(
                client, self.collection, ids, fields=_EVERYTHING
            )
            if condition is not None and documents:
                passing = client.documents(
                    self.collection,
                    page_size=_MOST_READ,
                    filter=document_ids(ids) & condition,
                    fields=_NOTHING,
                )
                kept = {document.id async for document in passing}
                documents = [document for document in documents if document.id in kept]
            found += documents
        return [node_of(document) for document in found]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Finds the nodes that answer a query, best first.

        | mode | what runs | similarities |
        |---|---|---|
        | default | nearest embeddings | of the embeddings |
        | text_search, sparse | BM25 over the words | BM25 |
        | hybrid | both, fused; `alpha` 1 is embeddings alone | the fused scores |
        | semantic_hybrid | both, fused, then the reranker | relevance in [0, 1] |

        Where the second pass did not score every node, all similarities are the fused scores; what
        each pass said of a node is in its metadata under "twopass".

        Args:
            query: The query. Without an embedding the server embeds `query_str`, where the
                collection has an encoder.
            kwargs: Arguments of the client's `search`, in place of those that the query stands for.

        Raises:
            ValueError: No search answers the mode, or a filter can't be answered.
        """
        arguments = self._arguments(query, self._declared(query.filters)) | kwargs
        result = self._client.search(self.collection, **arguments)
        omitted = [hit.id for hit in result.hits if hit.content_omitted]
        left = documents_by_id(self._client, self.collection, omitted)
        return result_of(query.mode, result, left)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Finds the nodes that answer a query, as `query` does."""
        client = self._async_clients.current()
        arguments = self._arguments(query, await self._adeclared(query.filters)) | kwargs
        result = await client.search(self.collection, **arguments)
        omitted = [hit.id for hit in result.hits if hit.content_omitted]
        left = await documents_by_id_async(client, self.collection, omitted)
        return result_of(query.mode, result, left)

    def close(self) -> None:
        """Ends the connection for threads, unless the client was given."""
        if self._is_own:
            self._client.close()

    async def aclose(self) -> None:
        """Ends the connections for threads and for the running event loop, as `close` does."""
        await self._async_clients.close()
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        if not self._is_own:
            raise TypeError("client: a live connection can't be pickled; give target in its place")
        return super().__getstate__()

    def _documents(self, nodes: Sequence[BaseNode]) -> list[Document]:
        return [document_of(node, with_vector=self.is_embedding_query) for node in nodes]

    def _schema_for(self, documents: list[Document]) -> Schema:
        if self.collection_schema is not None:
            return self.collection_schema
        if not self.is_embedding_query:
            return Schema(indexed_fields={_REF_DOC_ID: "text"})
        vector = documents[0].vector
        if vector is None:
            raise ValueError(
                f"nodes[0]: the node {documents[0].id!r} has no embedding; embed it, or let the "
                "server embed by is_embedding_query=False"
            )
        return Schema(
            dimension=len(vector), client_vectors=True, indexed_fields={_REF_DOC_ID: "text"}
        )

    def _arguments(self, query: VectorStoreQuery, declared: dict[str, str]) -> dict[str, Any]:
        arguments = arguments_of(query, self.rerank, declared)
        return arguments | {"time_budget": self.time_budget, "allow_fallback": self.allow_fallback}

    def _declared(self, filters: MetadataFilters | None) -> dict[str, str]:
        """The collection's declared fields, where the filters need to know them."""
        if not tests_emptiness(filters):
            return {}
        return dict(self._client.get_collection(self.collection).schema.indexed_fields)

    async def _adeclared(self, filters: MetadataFilters | None) -> dict[str, str]:
        if not tests_emptiness(filters):
            return {}
        collection = await self._async_clients.current().get_collection(self.collection)
        return dict(collection.schema.indexed_fields)

    def _deletions(
        self,
        node_ids: list[str] | None,
        filters: MetadataFilters | None,
        declared: dict[str, str],
    ) -> list[dict[str, Any]]:
        """The arguments of each call that deletes."""
        condition = condition_of(filters, declared)
        if node_ids is None:
            if condition is None:
                raise ValueError(
                    "node_ids, filters: none given, at least one is needed; clear() deletes all"
                )
            return [{"filter": condition}]
        return [
            {"ids": ids} if condition is None else {"filter": document_ids(ids) & condition}
            for ids in _cut(node_ids, _MOST_DELETED)
        ]


def _cut(ids: list[str], most: int) -> list[list[str]]:
    return [ids[i : i + most] for i in range(0, len(ids), most)]
