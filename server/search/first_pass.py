"""The first pass: candidates by nearest embeddings, by words, or by both, fused."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twopass.engines.base import Float32s, Int32s, Ragged
from twopass.engines.errors import EngineError
from twopass.index.arrays import Int64s
from twopass.index.collection.collection import Collection
from twopass.index.collection.windows import NearestDocuments
from twopass.index.ranked_list import RankedList
from twopass.index.schema import Metric
from twopass.server.config import RetrieveMode
from twopass.server.errors import LateError, OverloadedError, WouldBeLateError
from twopass.server.models.embedding import Embedding
from twopass.server.models.registry import Models
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.types import PlacedScore, RetrieveStatus, SearchQuery
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch

_LOG = logging.getLogger("twopass.server")

# Why there is no dense list, where the request allows the lexical one alone.
_FALLBACKS: dict[type[Exception], RetrieveStatus] = {
    LateError: RetrieveStatus.LEXICAL_DEADLINE,
    WouldBeLateError: RetrieveStatus.LEXICAL_DEADLINE,
    OverloadedError: RetrieveStatus.LEXICAL_OVERLOAD,
    EngineError: RetrieveStatus.LEXICAL_FAILED,
}
# The least that a score can be, by metric; None where there is no bound.
_MINIMUM = {Metric.COSINE: -1.0, Metric.INNER_PRODUCT: None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What the first pass found.

    Attributes:
        best: In first-pass order, with the scores that decided it.
        sequence: A state of the collection that the search has seen.
        dense: The nearest; None where they were not looked for.
        lexical: Those with the words; None likewise.
        fused: Whether `best` is both, joined.
        status: What became of the first pass.
        vector: The query's embedding, float32 `[dimension]`; None where it was not needed.
        encoder: Id of the encoder that embedded the query; "" where none did.
        windows: Of split documents, by key, the window nearest to `vector`: first token in the
            passage, one past the last.
    """

    best: RankedList
    sequence: str
    dense: RankedList | None = None
    lexical: RankedList | None = None
    fused: bool = False
    status: RetrieveStatus = RetrieveStatus.COMPLETE
    vector: Float32s | None = None
    encoder: str = ""
    windows: Mapping[int, Sequence[int]] = field(default_factory=dict)


class FirstPass:
    """Finds candidates in a collection."""

    def __init__(self, models: Models, arbiter: Arbiter, embedding: Embedding) -> None:
        self._models = models
        self._arbiter = arbiter
        self._embedding = embedding

    async def find(
        self,
        query: SearchQuery,
        collection: Collection,
        query_ids: dict[str, Int32s],
        timings: StageTimings,
    ) -> Found:
        """Finds at most `query.retrieve.k` candidates.

        Args:
            query: What to look for.
            collection: Where.
            query_ids: The query's token ids by tokenizer, int32 `[num_tokens]`; the encoder's
                where the query needs embedding.
            timings: Gets the seconds of `queue`, `embed` and `retrieve`.

        Raises:
            RequestError: The encoder was late or had no room, and the words alone won't do.
            EngineError: The encoder failed, likewise.
            CollectionError: The collection can't be read.
        """

        async def embed() -> Float32s:
            encoder = self._models.encoder_of(collection.schema)
            ids = Ragged.from_rows([query_ids[encoder.tokenizer.fingerprint]])
            with self._arbiter.admitted(1):
                embedded = await self._embedding.queries(encoder, ids, deadline=query.end)
            timings.embed, timings.queue = embedded.engine_seconds, embedded.queue_seconds
            vector: Float32s = embedded.vectors[0]
            return vector

        # Looked up once for both retrievers, while the query is embedded.
        members = asyncio.create_task(_members(query, collection))
        search = _Search(query, collection, members, embed, timings)
        try:
            match query.retrieve.mode:
                case RetrieveMode.DENSE:
                    return await search.nearest()
                case RetrieveMode.LEXICAL:
                    return await search.with_words()
                case RetrieveMode.HYBRID:
                    return await search.both()
        finally:
            members.cancel()


async def _members(query: SearchQuery, collection: Collection) -> Int64s | None:
    """Keys of the documents that pass the query's filter; None where it has none."""
    if query.filter is None:
        return None
    return await asyncio.to_thread(collection.matching, query.filter)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """The first pass of one query.

    Attributes:
        query: What to look for.
        collection: Where.
        members: Keys of the only documents to find; None for all.
        embed: Embeds the query.
        timings: Gets the seconds of `retrieve`.
    """

    query: SearchQuery
    collection: Collection
    members: asyncio.Task[Int64s | None]
    embed: Callable[[], Awaitable[Float32s]]
    timings: StageTimings

    async def nearest(self) -> Found:
        """The dense list."""
        vector, encoder = self.query.vector, ""
        if vector is None:
            vector, encoder = await self.embed(), self.collection.schema.encoder
        watch = Stopwatch()
        if self.collection.schema.chunking is None:
            found = await self._nearest_whole(vector)
        else:
            found = await self._nearest_by_window(vector)
        self._took(watch, "nearest vectors")
        return replace(found, vector=vector, encoder=encoder)

    async def _nearest_whole(self, vector: Float32s) -> Found:
        retrieve = self.query.retrieve
        neighbours = await asyncio.wrap_future(
            self.collection.search(
                vector[None, :], retrieve.k, await self.members, breadth=retrieve.breadth
            )
        )
        dense = RankedList(neighbours.keys[0], neighbours.scores[0])
        return Found(best=dense, dense=dense, sequence=str(neighbours.sequence))

    async def _nearest_by_window(self, vector: Float32s) -> Found:
        sequence = str(self.collection.sequence)
        retrieve = self.query.retrieve
        nearest = await asyncio.to_thread(
            self.collection.nearest_by_window,
            vector,
            retrieve.k,
            await self.members,
            breadth=retrieve.breadth,
        )
        windows = dict(zip(nearest.ranked.keys.tolist(), nearest.windows.tolist(), strict=True))
        return Found(best=nearest.ranked, dense=nearest.ranked, sequence=sequence, windows=windows)

    async def with_words(self) -> Found:
        """The lexical list; SQLite works in a thread, without the GIL."""
        sequence = str(self.collection.sequence)
        watch = Stopwatch()
        members = await self.members
        lexical = await asyncio.to_thread(
            self.collection.search_words, self.query.text, self.query.retrieve.k, members
        )
        self._took(watch, "words")
        return Found(best=lexical, lexical=lexical, sequence=sequence)

    async def both(self) -> Found:
        """Both lists, looked for side by side; the lexical one alone where it has to do."""
        searching = asyncio.create_task(self.with_words())
        try:
            nearest = await self.nearest()
        except tuple(_FALLBACKS) as error:
            if not self.query.allow_fallback or self.query.is_past_deadline():
                raise
            _LOG.warning(
                "no dense candidates: %s", error, extra={"collection": self.collection.name}
            )
            status = next(s for kind, s in _FALLBACKS.items() if isinstance(error, kind))
            return replace(await searching, status=status)
        else:
            return await self._with_windows(self._fused(nearest, await searching))
        finally:
            searching.cancel()

    def _fused(self, nearest: Found, words: Found) -> Found:
        fused = self.query.retrieve.fusion.fuse(
            nearest.best, words.best, dense_minimum=_MINIMUM[self.collection.schema.metric]
        )
        k = self.query.retrieve.k
        return replace(
            nearest,
            best=RankedList(fused.keys[:k], fused.scores[:k]),
            lexical=words.lexical,
            fused=True,
            sequence=words.sequence,  # sampled first: neither list is of an earlier state
        )

    async def _with_windows(self, found: Found) -> Found:
        """Adds the nearest windows of documents that are there for their words."""
        missing = np.setdiff1d(found.best.keys, list(found.windows))
        if self.collection.schema.chunking is None or found.vector is None or not len(missing):
            return found
        nearest = await asyncio.to_thread(
            self.collection.nearest_by_window,
            found.vector,
            len(missing),
            missing,
            breadth=self.query.retrieve.breadth,
        )
        return replace(found, windows={**found.windows, **_windows(nearest)})

    def _took(self, watch: Stopwatch, stage: str) -> None:
        """Of two retrievers side by side the slower one counts."""
        self.timings.retrieve = max(self.timings.retrieve or 0.0, watch.lap(stage))


def _windows(nearest: NearestDocuments) -> dict[int, Sequence[int]]:
    return dict(zip(nearest.ranked.keys.tolist(), nearest.windows.tolist(), strict=True))


def placed(ranked: RankedList | None) -> dict[int, PlacedScore]:
    """Score and rank by key; nothing for a list that there is not."""
    if ranked is None:
        return {}
    return {
        key: PlacedScore(score, rank)
        for rank, (key, score) in enumerate(
            zip(ranked.keys.tolist(), ranked.scores.tolist(), strict=True), 1
        )
    }
