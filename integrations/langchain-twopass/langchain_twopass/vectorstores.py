"""The vector store: a collection that LangChain writes and searches."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from langchain_twopass.connection import TwopassConnection
from langchain_twopass.diversity import diverse, texts_without_vector
from langchain_twopass.documents import Shape, documents_of, stored_document
from langchain_twopass.embeddings import TwopassEmbeddings
from langchain_twopass.filters import TwopassFilter
from langchain_twopass.retrievers import TwopassRetriever
from langchain_twopass.search_options import SearchOptions
from langchain_twopass.store_collection import StoreCollection
from langchain_twopass.writing import WrittenTexts, selections
from twopass.client import (
    Collection,
    Metric,
    NotFoundError,
    OnConflict,
    Schema,
    SearchHit,
    SearchResult,
)
from twopass.client.reading import (
    documents_by_id,
    documents_by_id_async,
    with_contents,
    with_contents_async,
)


class TwopassVectorStore(VectorStore):
    """A collection as LangChain's vector store.

    Without `embedding` the server embeds documents and queries by its own encoder, and vectors
    never cross the network. Searches are those of the first pass, by meaning alone, as LangChain
    expects of a vector store, unless a call says `rerank=True` or `mode="hybrid"`; every field of
    `SearchOptions` is an argument of every search. `as_twopass_retriever` runs both passes.

    ```python
    store = TwopassVectorStore(collection_name="docs")
    store.add_texts(["strptime parses a date."], metadatas=[{"year": 2026}])
    store.similarity_search("How do I parse a date?", k=1, filter={"year": {"$gte": 2020}})
    ```
    """

    def __init__(
        self,
        embedding: Embeddings | None = None,
        *,
        collection_name: str,
        create_collection: bool = True,
        schema: Schema | None = None,
        title_key: str | None = None,
        details_key: str | None = None,
        relevance_score_fn: Callable[[float], float] | None = None,
        **connection: Any,
    ) -> None:
        """Prepares the store; the first call connects.

        Args:
            embedding: Embeds documents and queries. None: the server does.
            collection_name: The collection's name, or an alias.
            create_collection: Whether the first call creates a collection that does not exist.
                False: the first call raises NotFoundError then.
            schema: What a new collection is like: metric, index, language, fields to index. None:
                all defaults.
            title_key: The metadata key of a title, which models read before the text. None:
                documents are written without; titles of others come back under "title".
            details_key: The metadata key of what a search says of its hits; see `TwopassRetriever`.
                None: metadata comes back as it is stored, and equal to what was written.
            relevance_score_fn: Makes relevance in [0, 1] of the first pass's similarity. None:
                (1 + similarity) / 2 where the metric is cosine.
            connection: Fields of `TwopassConnection`, such as `target` and `api_key`.

        Raises:
            ValidationError: A field of the connection is wrong or unknown.
        """
        self._embedding = embedding
        self._name = collection_name
        self._title_key = title_key
        self._shape = Shape(details_key, title_key or "title")
        self._relevance_score_fn = relevance_score_fn
        self._connection = TwopassConnection(**connection)
        self._options = SearchOptions(mode="dense", rerank=False)
        self._collection = StoreCollection(
            self._connection,
            collection_name,
            embedding,
            schema=(schema or Schema()) if create_collection else None,
        )

    @property
    def embeddings(self) -> Embeddings | None:
        """What embeds documents and queries; None where the server does."""
        return self._embedding

    @property
    def collection_name(self) -> str:
        """The collection's name, or an alias."""
        return self._name

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        batch_size: int = 256,
        on_conflict: OnConflict | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Writes texts, and returns their ids once they are on the server's disk.

        Args:
            texts: The texts, none empty.
            metadatas: One for each text: values of JSON. None: none.
            ids: One for each text, or None for one to be made up. None: all are made up.
            batch_size: Texts in one message, and embedded at a time, 1 to the server's limit (1,000
                by default).
            on_conflict: What becomes of a text whose id is known: "replace", "skip" or "fail".
                None: "replace".
            kwargs: Nothing else is taken.

        Raises:
            ValueError: There are not as many metadatas or ids as texts.
            InvalidArgumentError: A text is refused; the message names it.
            TypeError: A value of metadata is none of JSON's; the message names it.
        """
        _refuse(kwargs, "add_texts")
        written = WrittenTexts(texts, metadatas, ids, self._title_key)
        if not written.texts:
            return []

        def write() -> None:
            self._collection.opened(written.texts[0])
            self._connection.connected().upsert(
                self._name,
                written.embedded(self._embedding, batch_size),
                chunk_size=batch_size,
                on_conflict=on_conflict,
            )

        try:
            write()
        except NotFoundError:  # deleted by somebody else since this store has found it
            self._collection.forget()
            write()
        return written.ids

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        batch_size: int = 256,
        on_conflict: OnConflict | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """As `add_texts`, by the client for asyncio."""
        _refuse(kwargs, "aadd_texts")
        written = WrittenTexts(texts, metadatas, ids, self._title_key)
        if not written.texts:
            return []

        async def write() -> None:
            await self._collection.opened_async(written.texts[0])
            await self._connection.connected_async().upsert(
                self._name,
                written.embedded_async(self._embedding, batch_size),
                chunk_size=batch_size,
                on_conflict=on_conflict,
            )

        try:
            await write()
        except NotFoundError:  # deleted by somebody else since this store has found it
            self._collection.forget()
            await write()
        return written.ids

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store with these texts in it; further arguments are those of the constructor."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """As `from_texts`, by the client for asyncio."""
        store = cls(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    def delete(
        self,
        ids: list[str] | None = None,
        *,
        filter: TwopassFilter | None = None,  # noqa: A002  # LangChain's word
        **kwargs: Any,
    ) -> bool:
        """Deletes documents; unknown ids are ignored.

        Args:
            ids: Which documents. None, without `filter`: all, as LangChain has it.
            filter: Which documents, by their metadata.
            kwargs: Nothing else is taken.

        Returns:
            True; what could not be deleted is raised.

        Raises:
            ValueError: Both `ids` and `filter` are given.
        """
        _refuse(kwargs, "delete")
        self._collection.opened()
        connected = self._connection.connected()
        for selected in selections(ids, filter):
            connected.delete(self._name, **selected)
        return True

    async def adelete(
        self,
        ids: list[str] | None = None,
        *,
        filter: TwopassFilter | None = None,  # noqa: A002  # LangChain's word
        **kwargs: Any,
    ) -> bool:
        """As `delete`, by the client for asyncio."""
        _refuse(kwargs, "adelete")
        await self._collection.opened_async()
        connected = self._connection.connected_async()
        for selected in selections(ids, filter):
            await connected.delete(self._name, **selected)
        return True

    def delete_collection(self) -> None:
        """Deletes the collection and everything in it; a no-op where there is none."""
        self._collection.forget()
        with suppress(NotFoundError):
            self._connection.connected().delete_collection(self._name)

    async def adelete_collection(self) -> None:
        """As `delete_collection`, by the client for asyncio."""
        self._collection.forget()
        with suppress(NotFoundError):
            await self._connection.connected_async().delete_collection(self._name)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of these ids, in their order; unknown ids are left out."""
        self._collection.opened()
        found = documents_by_id(self._connection.connected(), self._name, ids)
        return [stored_document(document, self._shape.title_key) for document in found]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """As `get_by_ids`, by the client for asyncio."""
        await self._collection.opened_async()
        connected = self._connection.connected_async()
        found = await documents_by_id_async(connected, self._name, ids)
        return [stored_document(document, self._shape.title_key) for document in found]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The documents most similar to a query, best first.

        Args:
            query: The question.
            k: How many documents to return.
            kwargs: Options of this search: `filter` and every other field of `SearchOptions`.
        """
        options = self._options.merged(kwargs | {"k": k})
        return self._documents(*self._found(query, self._vector(query, options), options))

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """As `similarity_search`, by the client for asyncio."""
        options = self._options.merged(kwargs | {"k": k})
        vector = await self._vector_async(query, options)
        return self._documents(*await self._found_async(query, vector, options))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The documents most similar to an embedding; options as of `similarity_search`."""
        options = self._options.merged(kwargs | {"k": k})
        return self._documents(*self._found("", embedding, options))

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """As `similarity_search_by_vector`, by the client for asyncio."""
        options = self._options.merged(kwargs | {"k": k})
        return self._documents(*await self._found_async("", embedding, options))

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The documents most similar to a query with the score of what ordered them, higher first.

        With `rerank=True` that is the calibrated relevance in [0, 1]; else the similarity of the
        embeddings, BM25 of "lexical", or the joined score of "hybrid". Scores of two kinds are
        never mixed: where the second pass, or a list of "hybrid", can't be had, that is raised.
        """
        options = self._scored(kwargs | {"k": k})
        result, request_id = self._found(query, self._vector(query, options), options)
        return self._with_scores(result, request_id, options)

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search_with_score`, by the client for asyncio."""
        options = self._scored(kwargs | {"k": k})
        vector = await self._vector_async(query, options)
        result, request_id = await self._found_async(query, vector, options)
        return self._with_scores(result, request_id, options)

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """Documents similar to a query and unlike each other (Carbonell and Goldstein 1998).

        Args:
            query: The question.
            k: How many documents to return.
            fetch_k: How many of the most similar to choose from.
            lambda_mult: 1 for similarity alone, 0 for diversity alone.
            kwargs: Options as of `similarity_search`.
        """
        options = self._options.merged(kwargs | {"k": max(k, fetch_k)})
        vector = self._query_vector(query)
        found = self._found(query, vector, options, with_vectors=True)
        return self._diverse(*found, vector, k, lambda_mult)

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, by the client for asyncio."""
        options = self._options.merged(kwargs | {"k": max(k, fetch_k)})
        vector = await self._query_vector_async(query)
        found = await self._found_async(query, vector, options, with_vectors=True)
        return await self._diverse_async(*found, vector, k, lambda_mult)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, of an embedding."""
        options = self._options.merged(kwargs | {"k": max(k, fetch_k)})
        found = self._found("", embedding, options, with_vectors=True)
        return self._diverse(*found, embedding, k, lambda_mult)

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search_by_vector`, by the client for asyncio."""
        options = self._options.merged(kwargs | {"k": max(k, fetch_k)})
        found = await self._found_async("", embedding, options, with_vectors=True)
        return await self._diverse_async(*found, embedding, k, lambda_mult)

    def as_twopass_retriever(self, **fields: Any) -> TwopassRetriever:
        """A retriever of both passes over this collection; `fields` are those of the retriever.

        `as_retriever` gives LangChain's own, which runs the first pass unless `search_kwargs` say
        more.
        """
        connection = {
            name: getattr(self._connection, name) for name in TwopassConnection.model_fields
        }
        ours = {"collection_name": self._name, "embedding": self._embedding} | connection
        return TwopassRetriever(**ours | fields)

    def close(self) -> None:
        """Closes the connection for synchronous calls; the next call opens another."""
        self._connection.close()

    async def aclose(self) -> None:
        """Closes the connections for synchronous calls and for those of this event loop."""
        await self._connection.aclose()

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return self._relevance_of(self._collection.opened())

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        relevance = self._relevance(self._collection.opened(), kwargs)
        found = self.similarity_search_with_score(query, k, **kwargs)
        return [(document, relevance(score)) for document, score in found]

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        relevance = self._relevance(await self._collection.opened_async(), kwargs)
        found = await self.asimilarity_search_with_score(query, k, **kwargs)
        return [(document, relevance(score)) for document, score in found]

    def _vector(self, query: str, options: SearchOptions) -> Sequence[float] | None:
        if self._embedding is None or options.mode == "lexical":
            return None
        return self._embedding.embed_query(query)

    async def _vector_async(self, query: str, options: SearchOptions) -> Sequence[float] | None:
        if self._embedding is None or options.mode == "lexical":
            return None
        return await self._embedding.aembed_query(query)

    def _query_vector(self, query: str) -> Sequence[float]:
        """The query's embedding, by the model that embedded the documents."""
        if self._embedding is not None:
            return self._embedding.embed_query(query)
        encoder = self._collection.opened().schema.encoder
        embedded = self._connection.connected().embed([query], role="query", model=encoder)
        return embedded.vectors[0]

    async def _query_vector_async(self, query: str) -> Sequence[float]:
        if self._embedding is not None:
            return await self._embedding.aembed_query(query)
        encoder = (await self._collection.opened_async()).schema.encoder
        connected = self._connection.connected_async()
        return (await connected.embed([query], role="query", model=encoder)).vectors[0]

    def _found(
        self,
        query: str,
        vector: Sequence[float] | None,
        options: SearchOptions,
        *,
        with_vectors: bool = False,
    ) -> tuple[SearchResult, str]:
        """The hits, and what the search was called by."""
        self._collection.opened()
        connected, request_id = self._connection.connected(), str(uuid.uuid4())
        arguments = options.arguments(query, vector=vector, with_vectors=with_vectors)
        result = connected.search(self._name, **arguments, request_id=request_id)
        result = with_contents(connected, self._name, result, fields=arguments["fields"])
        return result, request_id

    async def _found_async(
        self,
        query: str,
        vector: Sequence[float] | None,
        options: SearchOptions,
        *,
        with_vectors: bool = False,
    ) -> tuple[SearchResult, str]:
        await self._collection.opened_async()
        connected, request_id = self._connection.connected_async(), str(uuid.uuid4())
        arguments = options.arguments(query, vector=vector, with_vectors=with_vectors)
        result = await connected.search(self._name, **arguments, request_id=request_id)
        result = await with_contents_async(
            connected, self._name, result, fields=arguments["fields"]
        )
        return result, request_id

    def _documents(self, result: SearchResult, request_id: str) -> list[Document]:
        return documents_of(result, self._shape, request_id)

    def _scored(self, overrides: dict[str, Any]) -> SearchOptions:
        """Options under which every hit has the score that ordered it."""
        options = self._options.merged(overrides)
        if options.rerank and options.rerank_depth is not None:
            raise ValueError(
                f"rerank_depth: {options.rerank_depth} given, but documents that the second pass "
                "does not read have no score of it; leave it out, or set fetch_k"
            )
        return options.model_copy(update={"allow_fallback": False})

    def _with_scores(
        self, result: SearchResult, request_id: str, options: SearchOptions
    ) -> list[tuple[Document, float]]:
        documents = self._documents(result, request_id)
        scores = [_score(hit, is_reranked=options.rerank) for hit in result.hits]
        return list(zip(documents, scores, strict=True))

    def _relevance(
        self, collection: Collection, overrides: dict[str, Any]
    ) -> Callable[[float], float]:
        options = self._options.merged(overrides)
        if options.rerank:
            return float
        if options.mode != "dense":
            raise ValueError(
                f"mode: {options.mode!r} given, whose scores are no relevance in [0, 1]; set "
                'rerank=True, or mode="dense"'
            )
        return self._relevance_of(collection)

    def _relevance_of(self, collection: Collection) -> Callable[[float], float]:
        if self._relevance_score_fn is not None:
            return self._relevance_score_fn
        if collection.schema.metric == Metric.COSINE:
            return _of_cosine
        raise ValueError(
            f"relevance_score_fn: unset, and the metric of collection {collection.name!r} is "
            f"{collection.schema.metric}, which has no bounds; give one, or search with rerank=True"
        )

    def _diverse(
        self,
        result: SearchResult,
        request_id: str,
        vector: Sequence[float],
        k: int,
        lambda_mult: float,
    ) -> list[Document]:
        texts = texts_without_vector(result)
        model = self._collection.opened().schema.encoder
        embeddings = TwopassEmbeddings(model=model, client=self._connection.connected())
        embedded = zip(texts, embeddings.embed_documents(list(texts.values())), strict=True)
        documents = self._documents(result, request_id)
        return diverse(result, documents, dict(embedded), vector, k=k, lambda_mult=lambda_mult)

    async def _diverse_async(
        self,
        result: SearchResult,
        request_id: str,
        vector: Sequence[float],
        k: int,
        lambda_mult: float,
    ) -> list[Document]:
        texts = texts_without_vector(result)
        model = (await self._collection.opened_async()).schema.encoder
        connected = self._connection.connected_async()
        embeddings = TwopassEmbeddings(model=model, async_client=connected)
        vectors = await embeddings.aembed_documents(list(texts.values()))
        embedded = dict(zip(texts, vectors, strict=True))
        documents = self._documents(result, request_id)
        return diverse(result, documents, embedded, vector, k=k, lambda_mult=lambda_mult)


def _refuse(kwargs: dict[str, Any], method: str) -> None:
    if kwargs:
        raise TypeError(f"{method}() got an unexpected argument {next(iter(kwargs))!r}")


def _score(hit: SearchHit, *, is_reranked: bool) -> float:
    """The score that ordered a hit."""
    scores = (hit.score,) if is_reranked else (hit.fused_score, hit.dense_score, hit.lexical_score)
    return next(score for score in scores if score is not None)  # there is one without fallback


def _of_cosine(similarity: float) -> float:
    """Relevance in [0, 1] of a similarity in [-1, 1], which rounding may leave by a little."""
    return min(1.0, max(0.0, (1.0 + similarity) / 2.0))
