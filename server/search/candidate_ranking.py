"""The second pass of one search: places for its candidates, what is read of them, their order."""

import numpy as np

from twopass.engines.base.model import LoadedReranker, PairQuery
from twopass.engines.base.sequences import Int32s, Ragged
from twopass.index.documents import DocumentFields
from twopass.index.errors import StoppedError
from twopass.server.errors import InvalidRequestError, NeverInTimeError
from twopass.server.models.passages import Truncation, texts_of
from twopass.server.request import Request
from twopass.server.scheduling.admission import Admission
from twopass.server.search.candidates import Candidates
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.ends import CollectionPace, Reading, late
from twopass.server.search.found import Searched
from twopass.server.search.parts import SearchParts
from twopass.server.search.passage_reading import PassageReading
from twopass.server.search.ranking import Ranking, ranked
from twopass.server.search.second_pass import Policy, ScoredPairs, room_beside
from twopass.server.search.types import RerankStatus, SearchQuery

# Status of an answer in first-pass order, by why the second pass did not happen.
_SKIPPED = {
    Cause.DEADLINE: RerankStatus.SKIPPED_DEADLINE,
    Cause.OVERLOAD: RerankStatus.SKIPPED_OVERLOAD,
    Cause.FAILED: RerankStatus.FAILED,
}
_TEXT = DocumentFields(text=True, metadata=False)


class CandidateRanking:
    """Ranks the candidates of one search: `reserve`, then `rank`, then `release`.

    Attributes:
        blend: Weight of the first pass in the order.
        first_suffice: Whether as many candidates are scored as the budget allows.
    """

    def __init__(
        self,
        parts: SearchParts,
        query: SearchQuery,
        searched: Searched,
        request: Request,
        pace: CollectionPace,
        end: float | None,
        reranker: LoadedReranker | None,
    ) -> None:
        """Reserves nothing yet.

        Args:
            parts: The parts of the server.
            query: What is asked for, its defaults filled in.
            searched: What is searched.
            request: The call; sets `rerank` of its `timings`, and adds to `queue`.
            pace: How long searches of the collection took lately.
            end: When the order must be known, seconds of `time.perf_counter`; None for never.
            reranker: The model; None for the order of the first pass.
        """
        self._parts = parts
        self._query = query
        self._searched = searched
        self._request = request
        self._pace = pace
        self._end = end
        self._reranker = reranker
        self.blend = _blend(query, reranker)
        self.first_suffice = request.budget_end is not None and query.allow_fallback
        # The places for the second pass, or why there is none.
        self._admission: Admission | RerankStatus = RerankStatus.DISABLED
        self._is_skipped = False

    @property
    def is_expected(self) -> bool:
        """Whether there is to be a second pass, as far as is known."""
        return self._reranker is not None and not self._is_skipped

    def reserve(self) -> None:
        """Reserves places for all candidates, before any work.

        Raises:
            RequestError: There is no room or no time.
        """
        if self._reranker is not None:
            self._admission = self._places(self._reranker)

    def do_without(self, error: Exception) -> None:
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

    async def rank(self, candidates: Candidates, asked: PairQuery | None) -> Ranking:
        """Runs the second pass in the places reserved for it.

        Args:
            candidates: What the first pass found.
            asked: The query as the model reads it; None where there is no model.

        Raises:
            RequestError: There was no time, and first-pass order may not be answered; or a
                candidate is too long, and the query rejects that.
            EngineError: The engine failed, and first-pass order may not be answered.
            CollectionError: The candidates can't be read, likewise.
        """
        admission = self._admission
        if self._reranker is None or not isinstance(admission, Admission):
            assert isinstance(admission, RerankStatus)
            return Ranking.of_first_pass(len(candidates), admission)
        assert asked is not None
        depth = min(self._query.rerank.depth or len(candidates), len(candidates))
        admission.shrink(depth)
        policy = Policy(
            self._query.rerank.long_passages,
            self._end,
            first_suffice=self.first_suffice,
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
        self._pace.scored(self._way(self._reranker), len(scored.logits), scored.num_tokens)
        timings = self._request.timings
        timings.rerank = scored.engine_seconds
        timings.queue = (timings.queue or 0.0) + scored.queue_seconds
        if self._query.rerank.long_passages is Truncation.REJECT:
            _refuse_truncated(scored, positions, room_beside(self._reranker, asked))
        return ranked(
            scored, positions, candidates.scores, self.blend, self._query.rerank.min_score
        )

    def _places(self, reranker: LoadedReranker) -> Admission:
        """The places for the second pass."""
        rerank, k = self._query.rerank, self._query.retrieve.k
        most, num_documents = min(rerank.depth or k, k), self._searched.collection.num_documents
        if num_documents is not None:
            most = min(most, num_documents)
        # A second pass that scores as many as it can in its time has no known length.
        num_expected = min(1, most) if self.first_suffice else most
        way = self._way(reranker)
        try:
            return self._parts.arbiter.admitted(
                most,
                engine=reranker.engine,
                num_tokens=self._pace.num_tokens(way, num_expected),
                deadline=self._end,
            )
        except NeverInTimeError:
            self._pace.refused(way)
            raise

    def _way(self, reranker: LoadedReranker) -> Reading:
        return reranker.spec.id, self._query.rerank.long_passages is Truncation.MAX_WINDOW

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

    async def _passages(
        self, candidates: Candidates, reranker: LoadedReranker, positions: Int32s
    ) -> Ragged:
        """Token ids of candidates' passages."""
        collection, models = self._searched.collection, self._parts.models
        reading = PassageReading(
            candidates,
            positions,
            reranker,
            self._query.rerank.long_passages,
            collection.schema,
            models.tokenizer_of(collection.name, collection.schema),
        )
        if (stored := reading.stored()) is not None:
            return stored
        with self._request.stop_by(self._end) as stop:
            keys = candidates.keys[positions]
            documents = await self._searched.retrieval.fetch(keys, _TEXT, stop)
            return await reading.of_texts(texts_of(documents, keys), self._parts.tokenizing, stop)


def _blend(query: SearchQuery, reranker: LoadedReranker | None) -> float:
    if query.rerank.blend is not None:
        return query.rerank.blend
    return reranker.spec.blend if reranker else 0.0


def _refuse_truncated(scored: ScoredPairs, positions: Int32s, room: int) -> None:
    """Raises where a candidate was cut."""
    if scored.truncated.any():
        raise InvalidRequestError(
            f"rerank.truncation: REJECT, and candidate {positions[np.argmax(scored.truncated)]} of "
            f"the first pass is longer than the {room} tokens read of a passage beside this query"
        )
