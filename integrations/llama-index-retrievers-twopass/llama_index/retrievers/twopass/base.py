"""The retriever: both passes, on the server, in one call."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import mean_agg
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.constants import DEFAULT_SIMILARITY_TOP_K
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters

from llama_index.vector_stores.twopass import condition_of, found_nodes, tests_emptiness
from twopass.client import (
    AsyncClients,
    Client,
    Condition,
    Document,
    QueryTruncation,
    Rerank,
    Retrieve,
    RetrieveMode,
    SearchResult,
    connect,
)
from twopass.client.reading import documents_by_id, documents_by_id_async


class TwopassRetriever(BaseRetriever):
    """Finds nodes by both passes of a twopass server: vectors and words, then a cross-encoder.

    The collection is one that the server embeds: written by `twopass index`, by the client, or by a
    `TwopassVectorStore` with `is_embedding_query=False`.

    ```python
    retriever = TwopassRetriever("docs", similarity_top_k=5)
    for node in retriever.retrieve("How do I parse a date?"):
        print(node.score, node.text, node.metadata["twopass"]["rerank_status"])
    ```
    """

    def __init__(
        self,
        collection: str,
        target: str | None = None,
        *,
        api_key: str | None = None,
        ca: str | None = None,
        timeout: float | None = 30.0,
        client: Client | None = None,
        similarity_top_k: int = DEFAULT_SIMILARITY_TOP_K,
        filters: MetadataFilters | Condition | None = None,
        retrieve: Retrieve | RetrieveMode | None = None,
        rerank: Rerank | bool = True,
        time_budget: float | None = None,
        allow_fallback: bool = True,
        query_truncation: QueryTruncation | None = None,
        spans: bool = False,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: Sequence[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        """Opens the retriever; the connection itself is made by the first call.

        Args:
            collection: The collection's name or alias.
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or this machine.
            api_key: Sent with every call. None: `TWOPASS_API_KEY`, or none.
            ca: For TLS: a PEM file of authorities, or "system". None: `TWOPASS_CA`, or plain text.
            timeout: Seconds that a call may take. None: no deadline.
            client: A client that is there, to be closed by the caller, in place of the four above.
            similarity_top_k: How many nodes to return.
            filters: Which documents are considered: LlamaIndex's filters, or a condition of the
                client, as in `field("year") >= 1990`.
            retrieve: The first pass: "dense", "lexical" or "hybrid", or all of its options. None:
                the server's defaults.
            rerank: The second pass: its options, True for the server's defaults, or False for none.
            time_budget: Seconds for both passes, soft: first-pass order when they are up. None:
                only `timeout` counts.
            allow_fallback: Whether the answer may be in first-pass order when the second pass is
                late, overloaded or failing, and of one list of "hybrid" when the other is; nodes
                say so by `rerank_status` and `retrieve_status`. False: the cause is raised.
            query_truncation: What happens to a query that is too long: "truncate" or "reject".
                None: "truncate", which nodes tell by `query_truncated`.
            spans: Whether a node's text is only the part of its document that matched best, where
                the document is longer than the encoder reads.
            callback_manager: As for every retriever of LlamaIndex.
            object_map: As for every retriever of LlamaIndex.
            objects: As for every retriever of LlamaIndex.
            verbose: As for every retriever of LlamaIndex.

        Raises:
            InvalidArgumentError: The target is none, or a file can't be used.
        """
        super().__init__(
            callback_manager=callback_manager,
            object_map=object_map,
            objects=None if objects is None else list(objects),
            verbose=verbose,
        )
        self.collection = collection
        self.similarity_top_k = similarity_top_k
        self.filters = filters
        self.spans = spans
        self._mode = retrieve.mode if isinstance(retrieve, Retrieve) else retrieve
        self._options: dict[str, Any] = {
            "retrieve": retrieve,
            "rerank": rerank,
            "time_budget": time_budget,
            "allow_fallback": allow_fallback,
            "query_truncation": query_truncation,
        }
        self._is_own = client is None
        self._client = client or connect(target, api_key=api_key, ca=ca, timeout=timeout)
        self._async_clients = AsyncClients(self._client)

    @property
    def client(self) -> Client:
        """The client, for all that LlamaIndex has no word for."""
        return self._client

    def close(self) -> None:
        """Ends the connection for threads, unless the client was given."""
        if self._is_own:
            self._client.close()

    async def aclose(self) -> None:
        """Ends the connections for threads and for the running event loop, as `close` does."""
        await self._async_clients.close()
        self.close()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        client = self._client
        vector = query_bundle.embedding
        if texts := self._texts_to_embed(query_bundle):
            encoder = client.get_collection(self.collection).schema.encoder
            vector = mean_agg(_lists(client.embed(texts, role="query", model=encoder).vectors))
        condition = self.filters
        if isinstance(condition, MetadataFilters):
            declared = {}
            if tests_emptiness(condition):
                declared = dict(client.get_collection(self.collection).schema.indexed_fields)
            condition = condition_of(condition, declared)
        result = client.search(self.collection, **self._arguments(query_bundle, vector, condition))
        omitted = [hit.id for hit in result.hits if hit.content_omitted]
        return self._nodes(result, documents_by_id(client, self.collection, omitted))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        client = self._async_clients.current()
        vector = query_bundle.embedding
        if texts := self._texts_to_embed(query_bundle):
            encoder = (await client.get_collection(self.collection)).schema.encoder
            embedded = await client.embed(texts, role="query", model=encoder)
            vector = mean_agg(_lists(embedded.vectors))
        condition = self.filters
        if isinstance(condition, MetadataFilters):
            declared = {}
            if tests_emptiness(condition):
                collection = await client.get_collection(self.collection)
                declared = dict(collection.schema.indexed_fields)
            condition = condition_of(condition, declared)
        result = await client.search(
            self.collection, **self._arguments(query_bundle, vector, condition)
        )
        omitted = [hit.id for hit in result.hits if hit.content_omitted]
        left = await documents_by_id_async(client, self.collection, omitted)
        return self._nodes(result, left)

    def _texts_to_embed(self, query_bundle: QueryBundle) -> list[str]:
        """Texts that are embedded in place of the query, as of hypothetical documents (HyDE)."""
        texts = query_bundle.custom_embedding_strs
        if query_bundle.embedding is not None or not texts or self._mode == "lexical":
            return []
        return [] if texts == [query_bundle.query_str] else texts

    def _arguments(
        self,
        query_bundle: QueryBundle,
        vector: list[float] | None,
        condition: Condition | None,
    ) -> dict[str, Any]:
        if self.similarity_top_k < 1:  # the server takes 0 for its default
            raise ValueError(
                f"similarity_top_k: {self.similarity_top_k} given, at least 1 is needed"
            )
        return {
            "query": query_bundle.query_str,
            "vector": None if self._mode == "lexical" else vector,
            "top_n": self.similarity_top_k,
            "filter": condition,
            **self._options,
        }

    def _nodes(self, result: SearchResult, contents: Sequence[Document]) -> list[NodeWithScore]:
        """The nodes found, their scores all of one scale.

        A score is the second pass's where that ran, and None then for nodes that it did not read;
        where it did not run, it is the score of the first pass.
        """
        is_reranked = any(hit.score is not None for hit in result.hits)
        nodes = []
        for hit, node in found_nodes(result, contents, spans=self.spans):
            first = (hit.fused_score, hit.dense_score, hit.lexical_score)
            score = hit.score if is_reranked else next((s for s in first if s is not None), None)
            nodes.append(NodeWithScore(node=node, score=score))
        return nodes


def _lists(vectors: Sequence[Sequence[float]]) -> list[list[float]]:
    return [list(vector) for vector in vectors]
