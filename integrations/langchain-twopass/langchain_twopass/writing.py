"""What a vector store writes and deletes, as the client takes it."""

import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from langchain_core.embeddings import Embeddings

from langchain_twopass.documents import batches
from langchain_twopass.filters import TwopassFilter, condition_of
from twopass import client

# The server's limit of ids in one call.
_MAX_DELETED = 10_000
_EVERY_DOCUMENT = client.field("id").exists() | client.field("id").is_missing()


class WrittenTexts:
    """Texts to write, with their metadata and ids.

    Attributes:
        texts: The texts.
        ids: Their ids, made up where none was given.
    """

    def __init__(
        self,
        texts: Iterable[str],
        metadatas: Sequence[dict[str, Any]] | None,
        ids: Sequence[str | None] | None,
        title_key: str | None,
    ) -> None:
        if isinstance(texts, str):
            raise TypeError("texts: one str given, a list of them is needed")
        self.texts = list(texts)
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(self.texts):
                raise ValueError(
                    f"{name}: {len(given)} given for {len(self.texts)} texts, as many are needed"
                )
        self._metadatas = metadatas
        self.ids = [each or str(uuid.uuid4()) for each in ids or [None] * len(self.texts)]
        self._title_key = title_key

    def embedded(self, embedding: Embeddings | None, batch_size: int) -> Iterator[client.Document]:
        """Documents to write, embedded a batch at a time as they are sent."""
        for start in range(0, len(self.texts), batch_size):
            texts = self.texts[start : start + batch_size]
            vectors = None
            if embedding is not None:
                vectors = embedding.embed_documents(texts)
            yield from self._documents(start, vectors, len(texts))

    async def embedded_async(
        self, embedding: Embeddings | None, batch_size: int
    ) -> AsyncIterator[client.Document]:
        """As `embedded`, without blocking the event loop."""
        for start in range(0, len(self.texts), batch_size):
            texts = self.texts[start : start + batch_size]
            vectors = None
            if embedding is not None:
                vectors = await embedding.aembed_documents(texts)
            for document in self._documents(start, vectors, len(texts)):
                yield document

    def _documents(
        self, start: int, vectors: Sequence[Sequence[float]] | None, count: int
    ) -> Iterator[client.Document]:
        for index in range(start, start + count):
            metadata = self._metadatas[index] if self._metadatas else {}
            title = metadata.get(self._title_key, "") if self._title_key is not None else ""
            yield client.Document(
                id=self.ids[index],
                text=self.texts[index],
                title=title if isinstance(title, str) else "",
                metadata=metadata,
                vector=None if vectors is None else vectors[index - start],
            )


def selections(ids: Sequence[str] | None, given: TwopassFilter | None) -> Iterator[dict[str, Any]]:
    """The arguments of each call that deletes."""
    if ids is not None:
        if given is not None:
            raise ValueError("ids, filter: both given, one is needed")
        for part in batches(ids, _MAX_DELETED):
            yield {"ids": part}
    else:
        condition = _EVERY_DOCUMENT if given is None else condition_of(given)
        if condition is None:
            raise ValueError(
                "filter: an empty one given, which all documents pass; delete() without arguments "
                "deletes all"
            )
        yield {"filter": condition}
