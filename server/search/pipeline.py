"""The path of a search: tokenise, embed, retrieve, load, rerank, order, cut.

What blocks runs in other threads; this module waits and decides.
"""

import asyncio
import time
from dataclasses import dataclass

import numpy as np

from twopass.engines.base import Int32s, LoadedReranker, Ragged
from twopass.engines.errors import EngineError
from twopass.index.collection.collection import Collection
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError, LateError, OverloadedError, WouldBeLateError
from twopass.server.models.passages import Truncation
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.candidates import Candidates, load_candidates, load_passages
from twopass.server.search.first_pass import FirstPass, Found, placed
from twopass.server.search.second_pass import ScoredPairs, SecondPass, best_first, room_beside
from twopass.server.search.types import (
    RerankSettings,
    RerankStatus,
    SearchHit,
    SearchQuery,
    SearchResult,
)
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch

# Why the second pass did not happen, where the request allows first-pass order instead.
_FALLBACKS: dict[type[Exception], RerankStatus] = {
    LateError: RerankStatus.SKIPPED_DEADLINE,
    WouldBeLateError: RerankStatus.SKIPPED_DEADLINE,
    OverloadedError: RerankStatus.SKIPPED_OVERLOAD,
    EngineError: RerankStatus.FAILED,
}
# Of a time budget, kept for fetching and sending what the hits carry.
_ANSWER_SECONDS = 0.006


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """The order after the second pass.

    Attributes:
        order: Positions among the candidates, best first.
        scored: The reranker's judgement of the first candidates; None without a second pass.
        status: What became of the second pass.
        num_below_min_score: Reranked candidates left out of `order`.
    """

    order: Int32s
    scored: ScoredPairs | None
    status: RerankStatus
    num_below_min_score: int = 0


class SearchPipeline:
    """Runs both passes over collections."""

    def __init__(
        self,
        collections: Collections,
        models: Models,
        arbiter: Arbiter,
        tokenizing: Tokenizing,
        first_pass: FirstPass,
        second_pass: SecondPass,
    ) -> None:
        self._collections = collections
        self._models = models
        self._arbiter = arbiter
        self._tokenizing = tokenizing
        self._first_pass = first_pass
        self._second_pass = second_pass

    async def search(self, query: SearchQuery, request: Request) -> SearchResult:
        """Answers a query.

        Raises:
            RequestError: The query breaks a rule, or there is no time, room or permission to fall
                back.
            CollectionError: The collection is unknown, or can't be read.
            EngineError: An engine failed, and first-pass order was not allowed or not reached.
        """
        timings = StageTimings()
        began = time.perf_counter()
        collection = await self._collections.acquire(query.collection, request)
        if query.min_sequence:
            collection.ensure_reached(query.min_sequence)
        reranker = self._reranker(query)
        query_ids = await self._query_ids(query, collection, reranker, timings)
        found = await self._first_pass.find(query, collection, query_ids, timings)
        watch = Stopwatch()
        candidates = await load_candidates(collection, found)
        timings.load = watch.lap("load candidates")
        blend = _blend(query.rerank, reranker)
        ranking = await self._rank(
            query, collection, reranker, query_ids, candidates, blend, timings
        )
        spans = await self._spans(query, collection, reranker, candidates, ranking)
        hits = await _hits(query, collection, found, candidates, ranking, spans)
        timings.total = time.perf_counter() - began
        reranked = ranking.scored is not None
        return SearchResult(
            hits=hits,
            retrieve_status=found.status,
            rerank_status=ranking.status,
            num_candidates=len(candidates.keys),
            num_reranked=len(ranking.scored.logits) if ranking.scored else 0,
            num_below_min_score=ranking.num_below_min_score,
            blend=blend if reranked else 0.0,
            encoder=found.encoder,
            reranker=reranker.spec.id if reranker and reranked else "",
            sequence=found.sequence,
            timings=timings,
        )

    def _reranker(self, query: SearchQuery) -> LoadedReranker | None:
        if not query.rerank.enabled:
            return None
        if not query.text:
            raise InvalidRequestError(
                "query: empty, but the second pass reads it; give one, or disable the second pass"
            )
        return self._models.reranker(query.rerank.model)

    async def _query_ids(
        self,
        query: SearchQuery,
        collection: Collection,
        reranker: LoadedReranker | None,
        timings: StageTimings,
    ) -> dict[str, Int32s]:
        """The query's token ids by tokenizer: models that share one share them."""
        watch = Stopwatch()
        ids: dict[str, Int32s] = {}
        if query.needs_embedding:
            if collection.schema.client_vectors:
                raise InvalidRequestError(
                    f"vector: unset, but collection {collection.name!r} has no encoder to embed "
                    "the query with; give one, or retrieve by RETRIEVE_MODE_LEXICAL"
                )
            encoder = self._models.encoder_of(collection.schema)
            ids[encoder.tokenizer.fingerprint] = await self._tokenizing.query_ids(
                encoder, query.text
            )
        if reranker is not None:
            fingerprint = reranker.tokenizer.fingerprint
            known = ids.get(fingerprint)
            if known is None or len(known) > reranker.spec.max_query_tokens:
                ids[fingerprint] = await self._tokenizing.query_ids(reranker, query.text)
        timings.tokenize = watch.lap("tokenize") if ids else None
        return ids

    async def _rank(
        self,
        query: SearchQuery,
        collection: Collection,
        reranker: LoadedReranker | None,
        query_ids: dict[str, Int32s],
        candidates: Candidates,
        blend: float,
        timings: StageTimings,
    ) -> _Ranking:
        everything = np.arange(len(candidates.keys), dtype=np.int32)
        if reranker is None:
            return _Ranking(everything, None, RerankStatus.DISABLED)
        depth = min(query.rerank.depth or len(everything), len(everything))
        ids = query_ids[reranker.tokenizer.fingerprint]
        try:
            with self._arbiter.admitted(depth):
                passages = await self._passages(query, collection, reranker, candidates, depth)
                scored = await self._score(query, reranker, ids, passages)
        except tuple(_FALLBACKS) as error:
            if not query.allow_fallback or query.is_past_deadline():
                raise
            status = next(s for kind, s in _FALLBACKS.items() if isinstance(error, kind))
            return _Ranking(everything, None, status)
        timings.rerank = scored.engine_seconds
        timings.queue = (timings.queue or 0.0) + scored.queue_seconds
        if query.rerank.truncation is Truncation.REJECT and scored.truncated.any():
            position = int(np.argmax(scored.truncated))
            raise InvalidRequestError(
                f"rerank.truncation: REJECT, and candidate {position} of the first pass is longer "
                f"than the {room_beside(reranker, ids)} tokens read of a passage beside this query"
            )
        num_reranked = len(scored.logits)
        order = best_first(scored.logits, candidates.scores[:num_reranked], blend, 0)
        kept = order
        if query.rerank.min_score is not None:
            kept = order[scored.scores[order] >= query.rerank.min_score]
        return _Ranking(
            np.concatenate([kept, everything[num_reranked:]]),
            scored,
            RerankStatus.COMPLETE if num_reranked == depth else RerankStatus.PARTIAL,
            len(order) - len(kept),
        )

    async def _score(
        self, query: SearchQuery, reranker: LoadedReranker, query_ids: Int32s, passages: Ragged
    ) -> ScoredPairs:
        """Scores the candidates; where first-pass order may do, as many as the budget allows."""
        truncation = query.rerank.truncation
        if query.budget_end is None or query.end is None or not query.allow_fallback:
            return await self._second_pass.read(
                reranker, query_ids, passages, truncation, deadline=query.end
            )
        end = query.end - _ANSWER_SECONDS
        return await self._second_pass.read_first(
            reranker, query_ids, passages, truncation, deadline=end
        )

    async def _passages(
        self,
        query: SearchQuery,
        collection: Collection,
        reranker: LoadedReranker,
        candidates: Candidates,
        depth: int,
    ) -> Ragged:
        """Token ids of what is read of the first candidates: stored, where the tokenizers agree."""
        truncation = query.rerank.truncation
        in_windows = truncation is Truncation.MAX_WINDOW
        if collection.schema.tokenizer_fingerprint == reranker.tokenizer.fingerprint:
            return candidates.passages.first(depth) if in_windows else candidates.parts(depth)
        texts = await load_passages(collection, candidates.keys[:depth])
        tokenizer = self._models.tokenizer_of(collection.schema)
        if candidates.windows is not None and tokenizer is not None and not in_windows:
            spans = await self._tokenizing.spans(tokenizer, texts, candidates.windows[:depth])
            texts = [text[slice(*span)] for text, span in zip(texts, spans, strict=True)]
        return await self._tokenizing.passage_ids(reranker, texts, truncation)

    async def _spans(
        self,
        query: SearchQuery,
        collection: Collection,
        reranker: LoadedReranker | None,
        candidates: Candidates,
        ranking: _Ranking,
    ) -> dict[int, tuple[int, int]]:
        """Where the best windows of what will be answered stand in their passages, by key."""
        answered = ranking.order[: query.top_n]
        windows = candidates.windows
        tokenizer = self._models.tokenizer_of(collection.schema) if windows is not None else None
        if reranker is not None and ranking.scored and ranking.scored.windows is not None:
            windows, tokenizer = ranking.scored.windows, reranker.tokenizer
            answered = answered[answered < len(windows)]
        if windows is None or tokenizer is None:
            return {}
        keys = candidates.keys[answered]
        texts = await load_passages(collection, keys)
        spans = await self._tokenizing.spans(tokenizer, texts, windows[answered])
        return dict(zip(keys.tolist(), spans, strict=True))


async def _hits(
    query: SearchQuery,
    collection: Collection,
    found: Found,
    candidates: Candidates,
    ranking: _Ranking,
    spans: dict[int, tuple[int, int]],
) -> list[SearchHit]:
    order = ranking.order[: query.top_n]
    keys = candidates.keys[order]
    documents = await asyncio.to_thread(collection.fetch, keys, query.fields)
    dense, lexical = placed(found.dense), placed(found.lexical)
    scored = ranking.scored
    num_reranked = len(scored.logits) if scored else 0
    hits = []
    for position, key in zip(order.tolist(), keys.tolist(), strict=True):
        if key not in documents:  # replaced or deleted while the reranker was at work
            continue
        reranked = scored is not None and position < num_reranked
        hits.append(
            SearchHit(
                document=documents[key],
                first_pass_rank=position + 1,
                dense=dense.get(key),
                lexical=lexical.get(key),
                fused_score=float(candidates.scores[position]) if found.fused else None,
                logit=float(scored.logits[position]) if scored and reranked else None,
                score=float(scored.scores[position]) if scored and reranked else None,
                truncated=bool(scored.truncated[position]) if scored and reranked else False,
                span=spans.get(key),
            )
        )
    return hits


def _blend(settings: RerankSettings, reranker: LoadedReranker | None) -> float:
    if settings.blend is not None:
        return settings.blend
    return reranker.spec.blend if reranker else 0.0
