"""The path of a search: tokenise, embed, retrieve, load, rerank, order, cut.

Blocking work runs in lanes; this module waits and decides. A time budget covers every step: each is
waited for until the end that `ends.py` sets it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np

from twopass.engines.base import Int32s, LoadedReranker, Ragged, Tokenizer
from twopass.index.arrays import Int64s
from twopass.index.collection.collection import Collection
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import StoppedError
from twopass.index.lanes import Lanes
from twopass.index.stopping import Stop
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError, NeverInTimeError
from twopass.server.models.passages import Truncation, passage_of
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.admission import Admission
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.candidates import Candidates
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.ends import Ends, Paces, Reading, late, seconds_until
from twopass.server.search.first_pass import FirstPass, Found, placed
from twopass.server.search.second_pass import (
    Policy,
    ScoredPairs,
    SecondPass,
    best_first,
    room_beside,
)
from twopass.server.search.types import RerankStatus, SearchHit, SearchQuery, SearchResult
from twopass.server.telemetry.stopwatch import Stopwatch

# Status of an answer in first-pass order, by why the second pass did not happen.
_SKIPPED = {
    Cause.DEADLINE: RerankStatus.SKIPPED_DEADLINE,
    Cause.OVERLOAD: RerankStatus.SKIPPED_OVERLOAD,
    Cause.FAILED: RerankStatus.FAILED,
}
_TEXT = DocumentFields(text=True, metadata=False)
# Most bytes of documents read for one answer, where nothing else bounds them.
_MAX_READ_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """The order after the second pass.

    Attributes:
        order: Positions among the candidates, best first.
        scored: Scores of the first candidates; None without a second pass.
        status: Whether the second pass happened, and why not.
        num_below_min_score: Reranked candidates left out of `order`.
    """

    order: Int32s
    scored: ScoredPairs | None
    status: RerankStatus
    num_below_min_score: int = 0

    @property
    def num_reranked(self) -> int:
        """How many of the first candidates the second pass scored."""
        return len(self.scored.logits) if self.scored else 0


@dataclass(frozen=True, slots=True, eq=False)
class SearchParts:
    """The parts of the server that a search works with."""

    models: Models
    arbiter: Arbiter
    tokenizing: Tokenizing
    lanes: Lanes
    first_pass: FirstPass
    second_pass: SecondPass


class SearchPipeline:
    """Runs both passes over collections."""

    def __init__(self, collections: Collections, parts: SearchParts) -> None:
        self._collections = collections
        self._parts = parts
        self._paces = Paces()

    async def search(self, query: SearchQuery, request: Request) -> SearchResult:
        """Answers a query.

        Steps that are not done when the request's time budget ends are left out where the query
        allows it, and the result says so. A search that has found nothing by then is an error: an
        empty result always means that nothing matches.

        Raises:
            RequestError: The query breaks a rule, or there is no time or room and the query does
                not allow to fall back.
            CollectionError: The collection is unknown, or can't be read.
            EngineError: An engine failed, and nothing may be answered instead.
        """
        async with _in_time(request, request.end, "the collection was not open"):
            collection = await self._collections.acquire(query.collection, request)
        if query.min_sequence:
            collection.ensure_reached(query.min_sequence)
        search = _Search(self._parts, query, collection, request, self._paces)
        return await search.result()


class _Search:
    """One search of one collection."""

    def __init__(
        self,
        parts: SearchParts,
        query: SearchQuery,
        collection: Collection,
        request: Request,
        paces: Paces,
    ) -> None:
        self._parts = parts
        self._query = query
        self._collection = collection
        self._request = request
        self._pace = paces.of(collection)
        self._ends: Ends = self._pace.ends(request)
        self._reranker = self._chosen_reranker()
        self._blend = self._chosen_blend()
        self._query_ids: dict[str, Int32s] = {}

    async def result(self) -> SearchResult:
        """Runs both passes."""
        query, timings = self._query, self._request.timings
        admission = self._reserve()
        try:
            await self._tokenize()
            found = await self._parts.first_pass.find(
                query, self._collection, self._query_ids, self._request, self._ends.passes
            )
            candidates = await self._load(found)
            ranking = await self._rank(candidates, admission)
        finally:
            if isinstance(admission, Admission):
                admission.release()
        hits = await self._hits(found, candidates, ranking)
        timings.total = time.perf_counter() - self._request.received
        reranked = ranking.scored is not None
        return SearchResult(
            hits=hits,
            retrieve_status=found.status,
            rerank_status=ranking.status,
            num_candidates=len(candidates),
            num_reranked=ranking.num_reranked,
            num_below_min_score=ranking.num_below_min_score,
            num_words_dropped=found.num_words_dropped,
            blend=self._blend if reranked else 0.0,
            encoder=found.encoder,
            reranker=self._reranker.spec.id if self._reranker and reranked else "",
            sequence=found.sequence,
            timings=timings,
        )

    def _chosen_reranker(self) -> LoadedReranker | None:
        if not self._query.rerank.enabled:
            return None
        if not self._query.text:
            raise InvalidRequestError(
                "query: empty, but the second pass reads it; give one, or disable the second pass"
            )
        return self._parts.models.reranker(self._query.rerank.model)

    def _chosen_blend(self) -> float:
        if self._query.rerank.blend is not None:
            return self._query.rerank.blend
        return self._reranker.spec.blend if self._reranker else 0.0

    @property
    def _takes_the_first(self) -> bool:
        """Whether the second pass scores as many candidates as the budget allows."""
        return self._request.budget_end is not None and self._query.allow_fallback

    def _reserve(self) -> Admission | RerankStatus:
        """Reserves places for all candidates of the second pass, before any work.

        Returns:
            The places; or the status of a search without a second pass.

        Raises:
            RequestError: There is no room or no time, and the second pass may not be left out.
        """
        if self._reranker is None:
            return RerankStatus.DISABLED
        rerank, k = self._query.rerank, self._query.retrieve.k
        most = min(rerank.depth or k, k, self._collection.num_documents)
        # A second pass that scores as many as it can in its time has no known length.
        num_expected = min(1, most) if self._takes_the_first else most
        reading = self._reading(self._reranker)
        try:
            return self._parts.arbiter.admitted(
                most,
                engine=self._reranker.engine,
                num_tokens=self._pace.num_tokens(reading, num_expected),
                deadline=self._ends.passes,
            )
        except Exception as error:
            if isinstance(error, NeverInTimeError):
                self._pace.refused(reading)
            return self._skipped(error)

    def _reading(self, reranker: LoadedReranker) -> Reading:
        return reranker.spec.id, self._query.rerank.truncation is Truncation.MAX_WINDOW

    def _skipped(self, error: Exception) -> RerankStatus:
        """The status of an answer in first-pass order, where an error kept the second pass away.

        Raises:
            Exception: The error, where first-pass order may not be answered.
        """
        cause = cause_of(error)
        if cause is None or not self._query.allow_fallback or self._request.is_past_deadline():
            if isinstance(error, StoppedError):
                raise late(self._request, "the candidates were not reranked") from None
            raise error
        return _SKIPPED[cause]

    async def _tokenize(self) -> None:
        """Sets the query's token ids, by tokenizer, since models may share a tokenizer."""
        query, collection, parts = self._query, self._collection, self._parts
        watch = Stopwatch()
        async with _in_time(self._request, self._ends.passes, "the query was not tokenised"):
            if query.needs_embedding:
                if collection.schema.client_vectors:
                    raise InvalidRequestError(
                        f"vector: unset, but collection {collection.name!r} has no encoder to "
                        "embed the query with; give one, or retrieve by RETRIEVE_MODE_LEXICAL"
                    )
                encoder = parts.models.encoder_of(collection.schema)
                self._query_ids[encoder.tokenizer.fingerprint] = await parts.tokenizing.query_ids(
                    encoder, query.text, self._request.stop
                )
            if (reranker := self._reranker) is not None:
                known = self._query_ids.get(reranker.tokenizer.fingerprint)
                if known is None or len(known) > reranker.spec.max_query_tokens:
                    ids = await parts.tokenizing.query_ids(reranker, query.text, self._request.stop)
                    self._query_ids[reranker.tokenizer.fingerprint] = ids
        if self._query_ids:
            self._request.timings.tokenize = watch.lap("tokenize")

    async def _load(self, found: Found) -> Candidates:
        """Reads the stored passages of the candidates; leaves them out where reading is late."""
        watch = Stopwatch()
        try:
            with self._request.stop_by(self._ends.passes) as stop:
                stored = await self._parts.lanes.reads.run(
                    self._collection.load, found.best.keys, stop, stop=stop
                )
        except StoppedError:
            if not self._takes_the_first or self._request.is_past_deadline():
                raise late(self._request, "the candidates were not read") from None
            return Candidates(found.best.keys, found.best.scores)
        self._request.timings.load = watch.lap("load candidates")
        are_split = self._collection.schema.chunking is not None
        return Candidates.of(found, stored, are_split=are_split)

    async def _rank(self, candidates: Candidates, admission: Admission | RerankStatus) -> _Ranking:
        """Runs the second pass in the places reserved for it."""
        everything = np.arange(len(candidates), dtype=np.int32)
        if self._reranker is None or not isinstance(admission, Admission):
            assert isinstance(admission, RerankStatus)
            return _Ranking(everything, None, admission)
        depth = min(self._query.rerank.depth or len(everything), len(everything))
        admission.shrink(depth)
        ids = self._query_ids[self._reranker.tokenizer.fingerprint]
        policy = Policy(
            self._query.rerank.truncation, self._ends.passes, first_suffice=self._takes_the_first
        )
        try:
            if candidates.passages is None:
                raise StoppedError
            passages = await self._passages(candidates, self._reranker, depth)
            admission.arrived()
            scored = await self._parts.second_pass.score(self._reranker, ids, passages, policy)
        except Exception as error:
            return _Ranking(everything, None, self._skipped(error))
        reading = self._reading(self._reranker)
        self._pace.scored(reading, len(scored.logits), scored.num_tokens)
        timings = self._request.timings
        timings.rerank = scored.engine_seconds
        timings.queue = (timings.queue or 0.0) + scored.queue_seconds
        self._refuse_truncated(scored)
        num_reranked = len(scored.logits)
        order = best_first(scored.logits, candidates.scores[:num_reranked], self._blend, 0)
        kept = order
        if self._query.rerank.min_score is not None:
            kept = order[scored.scores[order] >= self._query.rerank.min_score]
        return _Ranking(
            np.concatenate([kept, everything[num_reranked:]]),
            scored,
            RerankStatus.COMPLETE if num_reranked == depth else RerankStatus.PARTIAL,
            len(order) - len(kept),
        )

    async def _passages(
        self, candidates: Candidates, reranker: LoadedReranker, depth: int
    ) -> Ragged:
        """Token ids of the first candidates' passages: the stored ones where tokenizers agree."""
        assert candidates.passages is not None
        truncation = self._query.rerank.truncation
        in_windows = truncation is Truncation.MAX_WINDOW
        schema, tokenizing = self._collection.schema, self._parts.tokenizing
        if schema.tokenizer_fingerprint == reranker.tokenizer.fingerprint:
            if in_windows:
                return candidates.passages.first(depth)
            return candidates.nearest_windows(depth)
        with self._request.stop_by(self._ends.passes) as stop:
            keys = candidates.keys[:depth]
            documents = await self._parts.lanes.reads.run(
                self._collection.fetch, keys, _TEXT, stop, stop=stop
            )
            texts = _texts(documents, keys)
            tokenizer = self._parts.models.tokenizer_of(schema)
            if candidates.windows is not None and tokenizer is not None and not in_windows:
                spans = await tokenizing.spans(tokenizer, texts, candidates.windows[:depth], stop)
                texts = [text[slice(*span)] for text, span in zip(texts, spans, strict=True)]
            return await tokenizing.passage_ids(reranker, texts, truncation, stop)

    def _refuse_truncated(self, scored: ScoredPairs) -> None:
        """Raises where a candidate was cut and the query rejects that."""
        if self._query.rerank.truncation is not Truncation.REJECT or not scored.truncated.any():
            return
        assert self._reranker is not None
        ids = self._query_ids[self._reranker.tokenizer.fingerprint]
        raise InvalidRequestError(
            f"rerank.truncation: REJECT, and candidate {int(np.argmax(scored.truncated))} of the "
            f"first pass is longer than the {room_beside(self._reranker, ids)} tokens read of a "
            "passage beside this query"
        )

    async def _hits(
        self, found: Found, candidates: Candidates, ranking: _Ranking
    ) -> list[SearchHit]:
        """Reads the content of hits, and builds the hits."""
        watch = Stopwatch()
        positions = ranking.order[: self._query.top_n]
        keys = candidates.keys[positions]
        windows = self._hit_windows(candidates, ranking, positions)
        try:
            documents, bare, spans = await self._read(keys, windows)
        except StoppedError:
            documents, bare, spans = (
                self._unread(candidates, positions),
                frozenset(keys.tolist()),
                {},
            )
        self._pace.answered(watch.lap("read hits"))
        dense, lexical, scored = placed(found.dense), placed(found.lexical), ranking.scored
        hits = []
        for position, key in zip(positions.tolist(), keys.tolist(), strict=True):
            if key not in documents:  # replaced or deleted while the reranker was at work
                continue
            hit = SearchHit(
                document=documents[key],
                first_pass_rank=position + 1,
                dense=dense.get(key),
                lexical=lexical.get(key),
                fused_score=float(candidates.scores[position]) if found.fused else None,
                span=spans.get(key),
                content_omitted=key in bare,
            )
            if scored is not None and position < ranking.num_reranked:
                hit = replace(
                    hit,
                    logit=float(scored.logits[position]),
                    score=float(scored.scores[position]),
                    truncated=bool(scored.truncated[position]),
                )
            hits.append(hit)
        return hits

    def _hit_windows(
        self, candidates: Candidates, ranking: _Ranking, positions: Int32s
    ) -> "_HitWindows | None":
        """The best window of each hit that has one, by the tokenizer that made its tokens."""
        if self._reranker and ranking.scored and ranking.scored.windows is not None:
            windows, tokenizer = ranking.scored.windows, self._reranker.tokenizer
            positions = positions[positions < len(windows)]
        elif candidates.windows is not None:
            windows = candidates.windows
            found = self._parts.models.tokenizer_of(self._collection.schema)
            if found is None:
                return None
            tokenizer = found
        else:
            return None
        return _HitWindows(tokenizer, candidates.keys[positions], windows[positions])

    def _unread(self, candidates: Candidates, positions: Int32s) -> dict[int, StoredDocument]:
        """The documents of hits whose content was not read in time: with their ids alone.

        Raises:
            LateError: The ids were not read either, or the query does not allow to fall back.
        """
        has_ids = len(candidates.ids) == len(candidates)
        if not has_ids or not self._takes_the_first or self._request.is_past_deadline():
            raise late(self._request, "what the hits carry was not read")
        nothing = {"title": None, "text": None, "metadata": None, "vector": None}
        return {
            key: StoredDocument(key=key, id=candidates.ids[position], **nothing)
            for position, key in zip(
                positions.tolist(), candidates.keys[positions].tolist(), strict=True
            )
        }

    async def _read(
        self, keys: Int64s, windows: "_HitWindows | None"
    ) -> tuple[dict[int, StoredDocument], frozenset[int], dict[int, tuple[int, int]]]:
        """Reads the content of hits, as much as fits into an answer.

        Returns:
            Documents by key; the keys of the documents of which only the id was read; and the
            characters of the best windows, by key.
        """
        fields = self._query.fields
        wanted = fields if windows is None else replace(fields, text=True)
        # Texts that are read only to find the places of windows are not in the answer.
        fits_anyway = self._query.max_answer_bytes is None or wanted != fields
        max_bytes = _MAX_READ_BYTES if fits_anyway else self._query.max_answer_bytes
        with self._request.stop_by(self._ends.answer) as stop:
            documents, bare = await self._parts.lanes.reads.run(
                self._collection.fetch_first, keys, wanted, max_bytes, stop, stop=stop
            )
            if windows is None:
                return documents, bare, {}
            spans = await self._spans(windows.without(bare), documents, stop)
        if not fields.text:
            documents = {
                key: replace(document, title=None, text=None) for key, document in documents.items()
            }
        return documents, bare, spans

    async def _spans(
        self, windows: "_HitWindows", documents: Mapping[int, StoredDocument], stop: Stop
    ) -> dict[int, tuple[int, int]]:
        """Where windows stand in their passages, by key; nothing where the budget ends first."""
        texts = _texts(documents, windows.keys)
        try:
            spans = await self._parts.tokenizing.spans(
                windows.tokenizer, texts, windows.windows, stop
            )
        except StoppedError:
            if self._request.is_past_deadline():
                raise
            return {}
        return dict(zip(windows.keys.tolist(), spans, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _HitWindows:
    """The best windows of hits.

    Attributes:
        tokenizer: The tokenizer whose tokens are counted.
        keys: The hits' documents, int64 `[num_hits]`.
        windows: The first token of each in its passage and one past its last, int32
            `[num_hits, 2]`.
    """

    tokenizer: Tokenizer
    keys: Int64s
    windows: Int32s

    def without(self, keys: frozenset[int]) -> "_HitWindows":
        """The windows of all documents but those with these keys."""
        if not keys:
            return self
        others = ~np.isin(self.keys, list(keys))
        return replace(self, keys=self.keys[others], windows=self.windows[others])


def _texts(documents: Mapping[int, StoredDocument], keys: Int64s) -> list[str]:
    """Passages in the order of `keys`; "" for a document that no longer exists."""
    return [
        passage_of(documents[key].title, documents[key].text) if key in documents else ""
        for key in keys.tolist()
    ]


@asynccontextmanager
async def _in_time(request: Request, end: float | None, what: str) -> AsyncIterator[None]:
    """Cancels the block when its time is over.

    Args:
        request: The request that the block works for.
        end: When the time is over, seconds of `time.perf_counter`; None for never.
        what: What was not done, for the error message.

    Raises:
        LateError: The time is over.
    """
    try:
        async with asyncio.timeout(seconds_until(end)):
            yield
    except (TimeoutError, StoppedError):
        raise late(request, what) from None
