"""The path of a search: tokenise, embed, retrieve, load, rerank, order, cut.

Blocking work runs in lanes; this module waits and decides. A time budget covers every step: each is
waited for until the end that `ends.py` sets it.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Int32s
from twopass.index.base.collection import Collection
from twopass.index.errors import StoppedError
from twopass.index.retrieved import Expected
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_instruction
from twopass.server.request import Request
from twopass.server.search.arranging import arranged
from twopass.server.search.candidate_ranking import CandidateRanking
from twopass.server.search.candidates import Candidates
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.defaults import resolved
from twopass.server.search.effect import effect_of
from twopass.server.search.ends import Ends, Paces, in_time, late
from twopass.server.search.found import Ahead, Found, Searched
from twopass.server.search.hits import HitReader
from twopass.server.search.observing import Answered
from twopass.server.search.parts import SearchParts
from twopass.server.search.query_tokens import NO_TOKENS, query_tokens
from twopass.server.search.ranking import Ranking
from twopass.server.search.spans.of_hits import with_spans
from twopass.server.search.spans.scoring import SpanQuery
from twopass.server.search.stored_defaults import usable_defaults
from twopass.server.search.types import SearchHit, SearchQuery, SearchResult
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch

_LOG = logging.getLogger("twopass.server")


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
            search.ranking.reserve()
        except Exception as error:
            search.ranking.do_without(error)
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
    """One search of one collection: `ranking.reserve`, then `result`.

    Attributes:
        query: What is asked for, its defaults filled in.
        collection: The collection.
        ends: When its parts must be done.
        ranking: The second pass.
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
        self._retrieval = collection.retrieval(self._expected(), query.min_sequence)
        self._searched = Searched(collection, self._retrieval)
        self._tokens = NO_TOKENS
        self.ranking = CandidateRanking(
            parts, query, self._searched, request, self._pace, self.ends.passes, self._reranker
        )

    async def result(self, ahead: Ahead | None = None) -> SearchResult:
        """Runs both passes, the second in the places that are reserved, and releases these.

        Args:
            ahead: What is done for it together with other searches.
        """
        query, timings = self.query, self._request.timings
        try:
            await self.tokenize()
            found = await self._parts.first_pass.find(
                query,
                self._searched,
                self.query_ids,
                self._request,
                self.ends.passes,
                ahead or Ahead(),
            )
            candidates = await self._load(found)
            began = time.perf_counter()
            ranking = await self.ranking.rank(candidates, self._tokens.pair_query)
            effect = effect_of(query, candidates, ranking, time.perf_counter() - began)
        finally:
            self.ranking.release()
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
            blend=self.ranking.blend if reranked else 0.0,
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
                blend=self.ranking.blend,
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

    def _chosen_threshold(self) -> float | None:
        if self.query.rerank.answer_threshold is not None:
            return self.query.rerank.answer_threshold
        own = self._reranker.spec.answer_threshold if self._reranker else None
        return None if own is None else float(np.float32(own))  # as scores are

    @property
    def query_ids(self) -> Mapping[str, Int32s]:
        """The query's token ids, by tokenizer; empty before `tokenize`."""
        return self._tokens.ids

    @property
    def timings(self) -> StageTimings:
        """How long its stages took."""
        return self._request.timings

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
        if cause is None or not may_fall_back or (is_late and not self.ranking.first_suffice):
            if is_late:
                raise late(self._request, "the candidates were not read") from None
            raise error
        if cause is Cause.FAILED and self.ranking.is_expected:
            _LOG.warning(
                "candidates are not reranked, since they could not be read: %s",
                error,
                extra={"collection": self.collection.name, "call": self._request.id},
            )
        return Candidates.unread(found, error)

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
            ids_suffice=self.ranking.first_suffice,
        )
        watch = Stopwatch()
        hits = await reader.hits(self.query, found, candidates, ranking)
        self._pace.answered(watch.lap("read hits"))
        return hits
