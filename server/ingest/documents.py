"""The way of a document into a collection: checked, tokenised, embedded, written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from twopass.engines.base.model import LoadedEncoder
from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.engines.base.tokenizer import TextTokenizer
from twopass.index.base.collection import Collection
from twopass.index.document_checks import check_distinct
from twopass.index.documents import IndexedDocument, OnConflict, SplitPassage
from twopass.index.errors import DocumentsExistError
from twopass.index.lanes import Lane
from twopass.index.schema import Chunking
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.models.cutting import (
    MAX_PASSAGE_TOKENS,
    MAX_WINDOWS,
    CutPassages,
    cut,
    max_head_tokens,
    num_windows,
)
from twopass.server.models.embedding import Embedding
from twopass.server.models.passages import passage_of
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter

# More tokens than a passage can have, whatever `max_passage_bytes` is.
_ALL_TOKENS = 2**31 - 1
_NO_TOKENS = Ragged.from_rows([])
_NO_EMBEDDINGS = np.empty((0, 0), np.float32)
# Passages or windows that wait for the encoder at once: the windows of long documents leave most of
# the queue's places to others, and a call that ends is noticed in between.
_EMBEDDED_AT_ONCE = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class NewDocument:
    """A document as received, its texts within the limits.

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
        """Title and text as the models read them."""
        return passage_of(self.title, self.text)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDocuments:
    """Documents with their token ids and embeddings, and the collection they are written to.

    Attributes:
        documents: Those to write: all but those that were skipped beforehand.
        places: Where each stands in the request.
        num_skipped: How many were skipped beforehand, since their ids were known.
        on_conflict: What becomes of those whose ids are known when they are written.
        token_ids: Token ids of the passages, a row for each document.
        embedded: Embeddings of the documents that came without a vector, or of all their `windows`,
            in order; float32 `[num_embeddings, dimension]`.
        windows: Windows of the passages of documents that came without a vector; None where each
            is whole.
        num_bytes: Bytes reserved for windows beside those of the request's message.
    """

    collection: Collection
    documents: Sequence[NewDocument]
    places: Sequence[int]
    num_skipped: int
    on_conflict: OnConflict
    token_ids: Ragged
    embedded: Float32s
    windows: CutPassages | None
    num_bytes: int = 0

    def indexed(self) -> list[IndexedDocument]:
        """The documents as the collection takes them; of many, too slow for the event loop."""
        vectors = self._vectors()
        return [
            _indexed(document, self.token_ids[i], vectors[i])
            for i, document in enumerate(self.documents)
        ]

    def _vectors(self) -> Sequence[Float32s | SplitPassage]:
        """The vector of each document: its own, or the embedding computed for it."""
        windows, embedded = self.windows, self.embedded
        computed = iter(embedded if windows is None else _split(windows, embedded))
        return [next(computed) if d.vector is None else d.vector for d in self.documents]


class Ingest:
    """Tokenises and embeds documents, so that they can be written."""

    def __init__(
        self,
        models: Models,
        arbiter: Arbiter,
        tokenizing: Tokenizing,
        embedding: Embedding,
        lane: Lane,
    ) -> None:
        """Takes what it works with.

        Args:
            models: The models.
            arbiter: The arbiter of the device.
            tokenizing: Tokenises passages.
            embedding: Embeds them.
            lane: Threads for long work in Python.
        """
        self._models = models
        self._arbiter = arbiter
        self._tokenizing = tokenizing
        self._embedding = embedding
        self._lane = lane

    async def prepare(
        self,
        collection: Collection,
        documents: Sequence[NewDocument],
        request: Request,
        on_conflict: OnConflict = OnConflict.REPLACE,
    ) -> PreparedDocuments:
        """Tokenises documents, and embeds those that brought no vector.

        Args:
            collection: Where they will be written.
            documents: At least one.
            request: The request that sent them; `num_bytes` of what is returned are reserved for
                it.
            on_conflict: What becomes of documents whose ids are known: what is known already is
                not prepared in vain.

        Raises:
            RequestError: A document lacks a vector where there is no encoder or has too many
                windows, or there is no time or no room to embed them.
            InvalidDocumentError: Ids are given twice.
            DocumentsExistError: Ids are known that may not be.
            EngineError: The encoder failed.
        """
        encoder = self._encoder(collection, documents)
        places = await self._places_of_new(collection, documents, on_conflict, request.stop)
        num_skipped = len(documents) - len(places)
        documents = [documents[place] for place in places]
        if not documents:
            nothing = (_NO_TOKENS, _NO_EMBEDDINGS, None)
            return PreparedDocuments(collection, (), (), num_skipped, on_conflict, *nothing)
        tokenizer = self._models.tokenizer_of(collection.name, collection.schema)
        if tokenizer is None:
            token_ids = Ragged.from_rows([[]] * len(documents))
        else:
            passages = [document.passage for document in documents]
            # A split document is found by its last words too, so all of its tokens are needed.
            limit = _ALL_TOKENS if collection.schema.chunking else MAX_PASSAGE_TOKENS
            token_ids = await self._tokenizing.encode(tokenizer, passages, limit, request.stop)
        windows, num_bytes, embedded = None, 0, _NO_EMBEDDINGS
        if encoder is not None:
            missing = [i for i, document in enumerate(documents) if document.vector is None]
            unembedded = (
                token_ids
                if len(missing) == len(documents)
                else Ragged.from_rows([token_ids[i] for i in missing])
            )
            if (chunking := collection.schema.chunking) is not None:
                assert tokenizer is not None
                is_long = unembedded.lengths > chunking.window_tokens
                heads = await self._heads(
                    encoder.passage_tokenizer,
                    [documents[i].title if is_long[row] else "" for row, i in enumerate(missing)],
                    max_head_tokens(chunking.window_tokens),
                    request.stop,
                )
                counts = _window_counts(
                    chunking, unembedded.lengths, heads, [places[i] for i in missing]
                )
                if (count := int(counts.sum())) > len(missing):
                    width = encoder.engine.output_width + chunking.window_tokens
                    num_bytes = count * width * np.dtype(np.float32).itemsize
                    request.reserve_bytes(num_bytes)
                    windows = await self._lane.run(
                        cut,
                        unembedded,
                        chunking.window_tokens,
                        chunking.overlap_tokens,
                        heads,
                        request.stop,
                        stop=request.stop,
                    )
                    unembedded = windows.token_ids
            embedded = await self._embed(encoder, unembedded, request)
        return PreparedDocuments(
            collection,
            documents,
            places,
            num_skipped,
            on_conflict,
            token_ids,
            embedded,
            windows,
            num_bytes,
        )

    async def _heads(
        self, tokenizer: TextTokenizer, titles: Sequence[str], max_tokens: int, stop: Stop
    ) -> Int32s:
        """How many tokens of each passage are read before its windows, int32 `[num_titles]`.

        Those of its title, and those of the encoder's prefix that stand in the passage's row.
        """
        lengths = np.zeros(len(titles), np.int32)
        if any(titles):
            lengths = (await self._tokenizing.encode(tokenizer, titles, max_tokens, stop)).lengths
        has_title = np.array([bool(title) for title in titles])
        return np.where(has_title, lengths, tokenizer.num_prefix_tokens).astype(np.int32)

    async def _places_of_new(
        self,
        collection: Collection,
        documents: Sequence[NewDocument],
        on_conflict: OnConflict,
        stop: Stop,
    ) -> Sequence[int]:
        """Where the documents stand that are to be written, as far as is known beforehand."""
        if on_conflict is OnConflict.REPLACE:
            return range(len(documents))
        ids = [document.id for document in documents]
        check_distinct(ids)
        known = await collection.known_ids(ids, stop)
        if known and on_conflict is OnConflict.FAIL:
            raise DocumentsExistError(collection.name, [one for one in ids if one in known])
        return [place for place, one in enumerate(ids) if one not in known]

    def _encoder(
        self, collection: Collection, documents: Sequence[NewDocument]
    ) -> LoadedEncoder | None:
        if not collection.schema.client_vectors:
            return self._models.encoder_of(collection.name, collection.schema)
        for i, document in enumerate(documents):
            if document.vector is None:
                raise InvalidRequestError(
                    f"documents[{i}].vector: unset, but collection {collection.name!r} has no "
                    "encoder: its clients bring the vectors"
                )
        return None

    async def _embed(self, encoder: LoadedEncoder, passages: Ragged, request: Request) -> Float32s:
        parts = [np.empty((0, encoder.engine.output_width), np.float32)]
        for start in range(0, len(passages), _EMBEDDED_AT_ONCE):
            some = passages.rows(start, start + _EMBEDDED_AT_ONCE)
            with self._arbiter.admitted(len(some)):
                embedded = await self._embedding.passages(encoder, some, request)
            parts.append(embedded.vectors)
        return parts[1] if len(parts) == 2 else np.concatenate(parts)


def _window_counts(
    chunking: Chunking, lengths: Int32s, heads: Int32s, places: Sequence[int]
) -> Int32s:
    """How many windows each passage has, int32 `[num_passages]`, given their places in a request.

    Raises:
        InvalidRequestError: One has too many.
    """
    counts = num_windows(lengths, chunking.window_tokens, chunking.overlap_tokens, heads)
    if (too_many := np.flatnonzero(counts > MAX_WINDOWS)).size:
        row = int(too_many[0])
        raise InvalidRequestError(
            f"documents[{places[row]}].text: {counts[row]:,} windows of {chunking.window_tokens:,} "
            f"tokens that share {chunking.overlap_tokens:,}, at most {MAX_WINDOWS:,} in a "
            "document; make several documents of it, or a collection with larger windows",
            limit=MAX_WINDOWS,
            value=counts[row],
        )
    return counts


def _split(windows: CutPassages, vectors: Float32s) -> Iterator[Float32s | SplitPassage]:
    """The vector of each passage that is whole, and all vectors of those that have several."""
    offsets = windows.offsets.tolist()
    for passage, (start, end) in enumerate(pairwise(offsets)):
        if end - start == 1:
            yield vectors[start]
        else:
            yield SplitPassage(windows.of(passage), vectors[start:end])


def _indexed(
    document: NewDocument, token_ids: Int32s, vector: Float32s | SplitPassage
) -> IndexedDocument:
    return IndexedDocument(
        id=document.id,
        title=document.title,
        text=document.text,
        metadata=document.metadata,
        vector=vector,
        token_ids=token_ids,
    )
