"""The way of a document into a collection: checked, tokenised, embedded, written."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from twopass.engines.base import Float32s, Int32s, LoadedEncoder, Ragged
from twopass.index.collection import Collection
from twopass.index.documents import IndexedDocument
from twopass.index.writer import UpsertResult
from twopass.server.batcher import Batcher
from twopass.server.embedding import Embedding
from twopass.server.errors import InvalidRequestError
from twopass.server.models import Models
from twopass.server.passages import passage_of
from twopass.server.tokenizing import Tokenizing
from twopass.server.windows import MAX_PASSAGE_TOKENS


@dataclass(frozen=True, slots=True, eq=False)
class NewDocument:
    """A document as it came in, its texts within the limits.

    Attributes:
        vector: The client's embedding, float32; None to have the passage embedded.
    """

    id: str
    title: str
    text: str
    metadata: dict[str, object]
    vector: Float32s | None

    @property
    def passage(self) -> str:
        """What the models read."""
        return passage_of(self.title, self.text)


class Ingest:
    """Writes documents to collections."""

    def __init__(
        self, models: Models, batcher: Batcher, tokenizing: Tokenizing, embedding: Embedding
    ) -> None:
        self._models = models
        self._batcher = batcher
        self._tokenizing = tokenizing
        self._embedding = embedding

    async def upsert(
        self, collection: Collection, documents: Sequence[NewDocument], deadline: float | None
    ) -> UpsertResult:
        """Writes documents, all or none, and returns when they are on disk and can be found.

        Args:
            collection: Where to.
            documents: At least one, ids distinct.
            deadline: Seconds of `time.perf_counter` after which nobody waits; None for never.

        Raises:
            RequestError: A document lacks a vector where there is no encoder; or no time, no room.
            CollectionError: A document breaks a rule, or the disk failed.
            EngineError: The encoder failed.
        """
        encoder = self._encoder(collection, documents)
        tokenizer = self._models.tokenizer_of(collection.schema)
        if tokenizer is None:
            token_ids = Ragged.from_rows([[]] * len(documents))
        else:
            passages = [document.passage for document in documents]
            token_ids = await self._tokenizing.encode(tokenizer, passages, MAX_PASSAGE_TOKENS)
        missing = [i for i, document in enumerate(documents) if document.vector is None]
        embedded = await self._embed(encoder, token_ids, missing, deadline)
        indexed = [
            _indexed(document, token_ids[i], embedded.get(i))
            for i, document in enumerate(documents)
        ]
        write = await asyncio.to_thread(collection.upsert, indexed)
        return await asyncio.wrap_future(write)

    def _encoder(
        self, collection: Collection, documents: Sequence[NewDocument]
    ) -> LoadedEncoder | None:
        if not collection.schema.client_vectors:
            return self._models.encoder_of(collection.schema)
        for i, document in enumerate(documents):
            if document.vector is None:
                raise InvalidRequestError(
                    f"documents[{i}].vector: unset, but collection {collection.name!r} has no "
                    "encoder: its clients bring the vectors"
                )
        return None

    async def _embed(
        self,
        encoder: LoadedEncoder | None,
        token_ids: Ragged,
        missing: Sequence[int],
        deadline: float | None,
    ) -> dict[int, Float32s]:
        """Embeddings of the documents that brought none, by position."""
        if encoder is None or not missing:
            return {}
        passages = Ragged.from_rows([token_ids[i] for i in missing])
        with self._batcher.admitted(len(missing)):
            embedded = await self._embedding.passages(encoder, passages, deadline=deadline)
        return dict(zip(missing, embedded.vectors, strict=True))


def _indexed(
    document: NewDocument, token_ids: Int32s, embedding: Float32s | None
) -> IndexedDocument:
    vector = document.vector if document.vector is not None else embedding
    assert vector is not None
    return IndexedDocument(
        id=document.id,
        title=document.title,
        text=document.text,
        metadata=document.metadata,
        vector=vector,
        token_ids=token_ids,
    )
