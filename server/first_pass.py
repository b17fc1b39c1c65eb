"""The first pass: candidates by nearest embeddings, by words, or by both, fused."""

import asyncio
import logging
from dataclasses import dataclass, replace

from twopass.engines.base import Float32s, Int32s, Ragged
from twopass.engines.errors import EngineError
from twopass.index.collection import Collection
from twopass.index.ranked_list import RankedList
from twopass.index.schema import Metric
from twopass.server.batcher import Batcher
from twopass.server.embedding import Embedding
from twopass.server.errors import LateError, OverloadedError
from twopass.server.models import Models
from twopass.server.search import (
    PlacedScore,
    RetrieveMode,
    RetrieveStatus,
    SearchQuery,
    StageTimings,
)
from twopass.server.stopwatch import Stopwatch

_LOG = logging.getLogger("twopass.server")

# Why there is no dense list, where the request allows the lexical one alone.
_FALLBACKS: dict[type[Exception], RetrieveStatus] = {
    LateError: RetrieveStatus.LEXICAL_DEADLINE,
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
        encoder: Id of the encoder that embedded the query; "" where none did.
    """

    best: RankedList
    sequence: str
    dense: RankedList | None = None
    lexical: RankedList | None = None
    fused: bool = False
    status: RetrieveStatus = RetrieveStatus.COMPLETE
    encoder: str = ""


class FirstPass:
    """Finds candidates in a collection."""

    def __init__(self, models: Models, batcher: Batcher, embedding: Embedding) -> None:
        self._models = models
        self._batcher = batcher
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
        match query.retrieve.mode:
            case RetrieveMode.DENSE:
                return await self._nearest(query, collection, query_ids, timings)
            case RetrieveMode.LEXICAL:
                return await _with_words(query, collection, timings)
            case RetrieveMode.HYBRID:
                return await self._both(query, collection, query_ids, timings)

    async def _both(
        self,
        query: SearchQuery,
        collection: Collection,
        query_ids: dict[str, Int32s],
        timings: StageTimings,
    ) -> Found:
        """Both lists, looked for side by side; the lexical one alone where it has to do."""
        lexical_timings = StageTimings()
        searching = asyncio.create_task(_with_words(query, collection, lexical_timings))
        try:
            nearest = await self._nearest(query, collection, query_ids, timings)
        except tuple(_FALLBACKS) as error:
            if not query.allow_fallback or query.is_past_deadline():
                searching.cancel()
                raise
            status = next(s for kind, s in _FALLBACKS.items() if isinstance(error, kind))
            _LOG.warning("no dense candidates: %s", error, extra={"collection": collection.name})
            words = await searching
            timings.retrieve = lexical_timings.retrieve
            return replace(words, status=status)
        except BaseException:
            searching.cancel()
            raise
        words = await searching
        watch = Stopwatch()
        fused = query.retrieve.fusion.fuse(
            nearest.best, words.best, dense_minimum=_MINIMUM[collection.schema.metric]
        )
        k = query.retrieve.k
        slower = max(timings.retrieve or 0.0, lexical_timings.retrieve or 0.0)
        timings.retrieve = slower + watch.lap()
        return replace(
            nearest,
            best=RankedList(fused.keys[:k], fused.scores[:k]),
            lexical=words.lexical,
            fused=True,
            sequence=words.sequence,  # sampled first: neither list is of an earlier state
        )

    async def _nearest(
        self,
        query: SearchQuery,
        collection: Collection,
        query_ids: dict[str, Int32s],
        timings: StageTimings,
    ) -> Found:
        """The dense list alone."""
        vector, encoder = query.vector, ""
        if vector is None:
            vector = await self._embedded(query, collection, query_ids, timings)
            encoder = collection.schema.encoder
        watch = Stopwatch()
        neighbours = await asyncio.wrap_future(collection.search(vector[None, :], query.retrieve.k))
        timings.retrieve = watch.lap()
        dense = RankedList(neighbours.keys[0], neighbours.scores[0])
        return Found(best=dense, dense=dense, sequence=str(neighbours.sequence), encoder=encoder)

    async def _embedded(
        self,
        query: SearchQuery,
        collection: Collection,
        query_ids: dict[str, Int32s],
        timings: StageTimings,
    ) -> Float32s:
        encoder = self._models.encoder_of(collection.schema)
        ids = Ragged.from_rows([query_ids[encoder.tokenizer.fingerprint]])
        with self._batcher.admitted(1):
            embedded = await self._embedding.queries(encoder, ids, deadline=query.end)
        timings.embed, timings.queue = embedded.engine_seconds, embedded.queue_seconds
        vector: Float32s = embedded.vectors[0]
        return vector


async def _with_words(query: SearchQuery, collection: Collection, timings: StageTimings) -> Found:
    """The lexical list alone; SQLite works in a thread, without the GIL."""
    sequence = str(collection.sequence)
    watch = Stopwatch()
    lexical = await asyncio.to_thread(collection.search_words, query.text, query.retrieve.k)
    timings.retrieve = watch.lap()
    return Found(best=lexical, lexical=lexical, sequence=sequence)


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
