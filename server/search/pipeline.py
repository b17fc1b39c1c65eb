"""The path of a search: tokenise, embed, retrieve, load, rerank, order, cut.

Blocking work runs in lanes; this module waits and decides. A time budget covers every step: each is
waited for until the end that `ends.py` sets it.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Int32s, Ragged
from twopass.index.base.collection import Collection
from twopass.index.documents import DocumentFields
from twopass.index.errors import StoppedError
from twopass.index.retrieved import Expected
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError, NeverInTimeError
from twopass.server.models.passages import Truncation, check_instruction, texts_of
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.admission import Admission
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.arranging import arranged
from twopass.server.search.candidates import Candidates
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.defaults import RetrieveDefaults, resolved
from twopass.server.search.effect import effect_of
from twopass.server.search.ends import Ends, Paces, Reading, in_time, late
from twopass.server.search.first_pass import FirstPass
from twopass.server.search.found import Ahead, Found, Searched
from twopass.server.search.hits import HitReader
from twopass.server.search.observing import Answered, NoObserver, Observer
from twopass.server.search.query_tokens import NO_TOKENS, query_tokens
from twopass.server.search.ranking import Ranking, ranked
from twopass.server.search.second_pass import Policy, ScoredPairs, SecondPass, room_beside
from twopass.server.search.spans.of_hits import with_spans
from twopass.server.search.spans.scoring import SpanQuery, SpanScoring
from twopass.server.search.stored_defaults import usable_defaults
from twopass.server.search.types import RerankStatus, SearchHit, SearchQuery, SearchResult
from twopass.server.search.window_texts import WindowCut, window_texts
from twopass.server.telemetry.relevance import Relevance
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch

_LOG = logging.getLogger("twopass.server")

# Status of an answer in first-pass order, by why the second pass did not happen.
_SKIPPED = {
    Cause.DEADLINE: RerankStatus.SKIPPED_DEADLINE,
    Cause.OVERLOAD: RerankStatus.SKIPPED_OVERLOAD,
    Cause.FAILED: RerankStatus.FAILED,
}
_TEXT = DocumentFields(text=True, metadata=False)


@dataclass(frozen=True, slots=True, eq=False)
class SearchParts:
    """The parts of the server that a search works with."""

    models: Models
    arbiter: Arbiter
    tokenizing: Tokenizing
    first_pass: FirstPass
    second_pass: SecondPass
    relevance: Relevance
    defaults: RetrieveDefaults
    observer: Observer = field(default_factory=NoObserver)

    @property
    def span_scoring(self) -> SpanScoring:
        """Finds the sentences of hits that answer, through the same arbiter."""
        return SpanScoring(self.arbiter, self.tokenizing, self.second_pass)


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
        search = await self.prepare(query, request)
        try:
            search.reserve()
        except Exception as error:
            search.do_without_second_pass(error)
        return await search.result()

    async def prepare(self, query: SearchQuery, request: Request) -> "Search":
        """Opens the collection and checks the query against it.

        Raises:
            RequestError: The query breaks a rule, or the time is over.
            CollectionError: The collection is unknown, can't be opened, or never was in the state
                that the query asks for.
        """
        async with in_time(request, request.end, "the collection was not open"):
            collection = await self._collections.acquire(query.collection, request)
        if query.min_sequence:
            async with in_time(request, request.end, "min_sequence was not reached"):
                await collection.ensure_reached(query.min_sequence, request.stop)
        parts = self._parts
        defaults = usable_defaults(collection.settings)
        query = resolved(query, defaults, parts.defaults, parts.models)
        return Search(parts, query, collection, request, self._paces)


class Search:
    """One search of one collection: `reserve`, then `result`.

    Attributes:
        query: What is asked for, its defaults filled in.
        collection: The collection.
        ends: When its parts must be done.
    """

    def __init__(
        self,
        parts: SearchParts,
        query: SearchQuery,
        collection: Collection,
        request: Request,
        paces: Paces,
    ) -> None:
        self._parts = parts
        self.query = query
        self.collection = collection
        self._request = request
        self._pace = paces.of(collection)
        self.ends: Ends = self._pace.ends(request)
        # What reads pairs, of the second pass or of spans; and where there is one, of the first.
        self._model = self._chosen_reranker()
        self._reranker = self._model if query.rerank.enabled else None
        self._blend = self._chosen_blend()
        self._retrieval = collection.retrieval(self._expected(), query.min_sequence)
        self._tokens = NO_TOKENS
        # The places for the second pass, or why there is none.
        self._admission: Admission | RerankStatus = RerankStatus.DISABLED
        self._is_skipped = False

    async def result(self, ahead: Ahead | None = None) -> SearchResult:
        """Runs both passes, in the places that `reserve` has taken, and releases them.

        Args:
            ahead: What is done for it together with other searches.
        """
        query, timings = self.query, self._request.timings
        try:
            await self.tokenize()
            found = await self._parts.first_pass.find(
                query,
                Searched(self.collection, self._retrieval),
                self.query_ids,
                self._request,
                self.ends.passes,
                ahead or Ahead(),
            )
            candidates = await self._load(found)
            began = time.perf_counter()
            ranking = await self._rank(candidates)
            effect = effect_of(query, candidates, ranking, time.perf_counter() - began)
        finally:
            self.release()
        order = await arranged(
            query,
            candidates,
            ranking,
            self._retrieval,
            self._parts.tokenizing.lane,
            self._request,
            self.ends.arranged,
        )
        hits, spans = await with_spans(
            order.told(await self._read_hits(found, candidates, order.ranking)),
            self._span_query(),
            self._parts.span_scoring,
            self._retrieval,
            self._request,
        )
        timings.arrange, timings.spans = order.seconds, spans.seconds
        timings.total = time.perf_counter() - self._request.received
        reranked = ranking.scored is not None
        threshold = self._chosen_threshold() if reranked else None
        is_read = reranked or bool(spans.hits)
        result = SearchResult(
            hits=hits,
            search_id=self._observed(candidates, ranking, hits),
            retrieve_status=found.status,
            rerank_status=ranking.status,
            num_candidates=len(candidates),
            num_reranked=ranking.num_reranked,
            num_cached=0 if ranking.scored is None else ranking.scored.num_cached,
            num_below_min_score=ranking.num_below_min_score,
            num_words_dropped=found.num_words_dropped,
            exact=found.exact,
            query_truncated=self._is_query_truncated(found, is_read),
            answerable=None if threshold is None else ranking.reaches(threshold),
            answer_threshold=threshold,
            blend=self._blend if reranked else 0.0,
            encoder=found.encoder,
            reranker=self._model.spec.id if self._model and is_read else "",
            sequence=found.sequence,
            timings=timings,
            spans_status=spans.status,
            num_collapsed=order.num_collapsed,
            arrange_status=order.status,
        )
        self._parts.relevance.searched(
            self.collection.name,
            self.collection.incarnation,
            retrieve=result.retrieve_status.value,
            rerank=result.rerank_status.value,
            seconds=timings.total,
            query_truncated=result.query_truncated,
            answerable=result.answerable,
            effect=effect,
        )
        return result

    def _expected(self) -> Expected:
        """What will be asked of the documents found, as far as is known before."""
        query, reranker = self.query, self._reranker
        stored = self.collection.schema.tokenizer_fingerprint
        return Expected(
            token_ids=reranker is not None,
            texts=reranker is not None and reranker.tokenizer.fingerprint != stored,
            fields=replace(query.fields, text=True) if query.spans else query.fields,
            num_hits=query.offset + query.top_n,
        )

    def _observed(self, candidates: Candidates, ranking: Ranking, hits: list[SearchHit]) -> str:
        """Tells the observer of the answer; returns the id that it gives."""
        return self._parts.observer.answered(
            Answered(
                query=self.query,
                collection=self.collection,
                candidates=candidates,
                ranking=ranking,
                hits=hits,
                reranker=self._reranker,
                pair_query=self._tokens.pair_query,
                blend=self._blend,
                request=self._request,
            )
        )

    def _is_query_truncated(self, found: Found, is_read: bool) -> bool:
        """Whether a model that has read the query has not read its end."""
        cut_for_reranker = self._tokens.pair_query is not None and self._tokens.pair_query.truncated
        return bool(found.encoder and self._tokens.is_cut_for_encoder) or (
            is_read and cut_for_reranker
        )

    def _span_query(self) -> SpanQuery | None:
        """What spans of the hits are looked for; None where none are asked for."""
        settings, required = self.query.spans, not self.query.allow_fallback
        if settings is None or self._model is None or self._tokens.pair_query is None:
            return None
        return SpanQuery(settings, self._model, self._tokens.pair_query, required)

    def _chosen_reranker(self) -> LoadedReranker | None:
        if not self.query.rerank.enabled and self.query.spans is None:
            return None
        if not self.query.text.strip():
            raise InvalidRequestError(
                "query: empty, but the second pass reads it; give one, or disable the second pass"
                if self.query.rerank.enabled
                else "query: empty, but spans are parts that answer it; give one, or leave spans "
                "unset"
            )
        reranker = self._parts.models.reranker(self.query.rerank.model, "rerank.model")
        check_instruction(
            "rerank.instruction",
            self.query.rerank.instruction,
            reranker,
            reranker.takes_instruction,
        )
        return reranker

    def _chosen_blend(self) -> float:
        if self.query.rerank.blend is not None:
            return self.query.rerank.blend
        return self._reranker.spec.blend if self._reranker else 0.0

    def _chosen_threshold(self) -> float | None:
        if self.query.rerank.answer_threshold is not None:
            return self.query.rerank.answer_threshold
        own = self._reranker.spec.answer_threshold if self._reranker else None
        return None if own is None else float(np.float32(own))  # as scores are

    @property
    def _takes_the_first(self) -> bool:
        """Whether the second pass scores as many candidates as the budget allows."""
        return self._request.budget_end is not None and self.query.allow_fallback

    @property
    def has_second_pass(self) -> bool:
        """Whether it is to have a second pass, as far as is known."""
        return self._reranker is not None and not self._is_skipped

    @property
    def query_ids(self) -> Mapping[str, Int32s]:
        """The query's token ids, by tokenizer; empty before `tokenize`."""
        return self._tokens.ids

    @property
    def timings(self) -> StageTimings:
        """How long its stages took."""
        return self._request.timings

    def reserve(self) -> None:
        """Reserves places for all candidates of the second pass, before any work.

        Raises:
            RequestError: There is no room or no time.
        """
        if self._reranker is not None:
            self._admission = self._places(self._reranker)

    def do_without_second_pass(self, error: Exception) -> None:
        """Keeps first-pass order, since an error keeps the second pass away.

        Raises:
            Exception: The error, where the second pass may not be left out.
        """
        self.release()
        self._admission = self._skipped(error)
        self._is_skipped = True

    def release(self) -> None:
        """Releases the places that `reserve` has taken. Idempotent."""
        if isinstance(self._admission, Admission):
            self._admission.release()

    def _places(self, reranker: LoadedReranker) -> Admission:
        """The places for the second pass."""
        rerank, k = self.query.rerank, self.query.retrieve.k
        most, num_documents = min(rerank.depth or k, k), self.collection.num_documents
        if num_documents is not None:
            most = min(most, num_documents)
        # A second pass that scores as many as it can in its time has no known length.
        num_expected = min(1, most) if self._takes_the_first else most
        reading = self._reading(reranker)
        try:
            return self._parts.arbiter.admitted(
                most,
                engine=reranker.engine,
                num_tokens=self._pace.num_tokens(reading, num_expected),
                deadline=self.ends.passes,
            )
        except NeverInTimeError:
            self._pace.refused(reading)
            raise

    def _reading(self, reranker: LoadedReranker) -> Reading:
        return reranker.spec.id, self.query.rerank.long_passages is Truncation.MAX_WINDOW

    def _skipped(self, error: Exception) -> RerankStatus:
        """The status of an answer in first-pass order, where an error kept the second pass away.

        Raises:
            Exception: The error, where first-pass order may not be answered.
        """
        cause = cause_of(error)
        if cause is None or not self.query.allow_fallback or self._request.is_past_deadline():
            if isinstance(error, StoppedError):
                raise late(self._request, "the candidates were not reranked") from None
            raise error
        return _SKIPPED[cause]

    async def tokenize(self) -> None:
        """Reads the query for all models that it needs. Idempotent."""
        if self.query_ids:
            return
        watch = Stopwatch()
        async with in_time(self._request, self.ends.passes, "the query was not tokenised"):
            self._tokens = await query_tokens(
                self.query,
                self.collection,
                self._model,
                self._parts.models,
                self._parts.tokenizing,
                self._request.stop,
            )
        if self.query_ids:
            self._request.timings.tokenize = watch.lap("tokenize")

    async def _load(self, found: Found) -> Candidates:
        """Reads the stored passages of the candidates; leaves them out where that can't be done."""
        watch = Stopwatch()
        try:
            with self._request.stop_by(self.ends.passes) as stop:
                stored = await self._retrieval.load(found.best.keys, stop)
        except Exception as error:
            return self._unread(found, error)
        self._request.timings.load = watch.lap("load candidates")
        return Candidates.of(found, stored)

    def _unread(self, found: Found, error: Exception) -> Candidates:
        """Candidates in first-pass order, where an error kept their passages from being read.

        Raises:
            Exception: The error, where first-pass order may not be answered.
        """
        cause, is_late = cause_of(error), isinstance(error, StoppedError)
        may_fall_back = self.query.allow_fallback and not self._request.is_past_deadline()
        if cause is None or not may_fall_back or (is_late and not self._takes_the_first):
            if is_late:
                raise late(self._request, "the candidates were not read") from None
            raise error
        if cause is Cause.FAILED:
            _LOG.warning(
                "candidates are not reranked, since they could not be read: %s",
                error,
                extra={"collection": self.collection.name, "call": self._request.id},
            )
        return Candidates.unread(found, error)

    async def _rank(self, candidates: Candidates) -> Ranking:
        """Runs the second pass in the places reserved for it."""
        admission = self._admission
        if self._reranker is None or not isinstance(admission, Admission):
            assert isinstance(admission, RerankStatus)
            return Ranking.of_first_pass(len(candidates), admission)
        depth = min(self.query.rerank.depth or len(candidates), len(candidates))
        admission.shrink(depth)
        asked = self._tokens.pair_query
        assert asked is not None
        policy = Policy(
            self.query.rerank.long_passages,
            self.ends.passes,
            first_suffice=self._takes_the_first,
            pool=self._request.caller.score_pool,
        )
        positions = candidates.reading_order[:depth]
        try:
            if candidates.unread_since is not None:
                raise candidates.unread_since
            passages = await self._passages(candidates, self._reranker, positions)
            admission.arrived()
            scored = await self._parts.second_pass.score(
                self._reranker, asked, passages, policy, admission
            )
        except Exception as error:
            return Ranking.of_first_pass(len(candidates), self._skipped(error))
        self._pace.scored(self._reading(self._reranker), len(scored.logits), scored.num_tokens)
        timings = self._request.timings
        timings.rerank = scored.engine_seconds
        timings.queue = (timings.queue or 0.0) + scored.queue_seconds
        self._refuse_truncated(scored, positions)
        return ranked(
            scored, positions, candidates.scores, self._blend, self.query.rerank.min_score
        )

    async def _passages(
        self, candidates: Candidates, reranker: LoadedReranker, positions: Int32s
    ) -> Ragged:
        """Token ids of candidates' passages: the stored ones where tokenizers agree."""
        truncation = self.query.rerank.long_passages
        in_windows = truncation is Truncation.MAX_WINDOW
        schema, tokenizing = self.collection.schema, self._parts.tokenizing
        if schema.tokenizer_fingerprint == reranker.tokenizer.fingerprint:
            if in_windows or schema.chunking is None:
                return candidates.passages_at(positions)
            return candidates.windows_at(positions, schema.chunking.window_tokens)
        with self._request.stop_by(self.ends.passes) as stop:
            keys = candidates.keys[positions]
            documents = await self._retrieval.fetch(keys, _TEXT, stop)
            texts = texts_of(documents, keys)
            tokenizer = self._parts.models.tokenizer_of(self.collection.name, schema)
            if schema.chunking and tokenizer is not None and not in_windows:
                window_tokens = schema.chunking.window_tokens
                cut_at = WindowCut(candidates, positions, window_tokens)
                texts = await window_texts(tokenizing, tokenizer, texts, cut_at, stop)
            return await tokenizing.passage_ids(reranker, texts, truncation, stop)

    def _refuse_truncated(self, scored: ScoredPairs, positions: Int32s) -> None:
        """Raises where a candidate was cut and the query rejects that."""
        if self.query.rerank.long_passages is not Truncation.REJECT or not scored.truncated.any():
            return
        assert self._reranker is not None
        assert self._tokens.pair_query is not None
        room = room_beside(self._reranker, self._tokens.pair_query)
        raise InvalidRequestError(
            f"rerank.truncation: REJECT, and candidate {positions[np.argmax(scored.truncated)]} of "
            f"the first pass is longer than the {room} tokens read of a passage beside this query"
        )

    async def _read_hits(
        self, found: Found, candidates: Candidates, ranking: Ranking
    ) -> list[SearchHit]:
        """Reads what the hits asked for carry."""
        reader = HitReader(
            retrieval=self._retrieval,
            tokenizing=self._parts.tokenizing,
            tokenizer=self._parts.models.tokenizer_of(self.collection.name, self.collection.schema),
            reranker=self._reranker,
            request=self._request,
            end=self.ends.answer,
            ids_suffice=self._takes_the_first,
        )
        watch = Stopwatch()
        hits = await reader.hits(self.query, found, candidates, ranking)
        self._pace.answered(watch.lap("read hits"))
        return hits
