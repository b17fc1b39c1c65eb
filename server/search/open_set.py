"""A candidate set that comes in pieces: scored piece by piece, ordered as a whole."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Float32s, Int32s, Side
from twopass.index.errors import StoppedError
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError, LateError
from twopass.server.models.passages import Cutting, Overlong, Truncation, num_chars
from twopass.server.models.tokenizing import Tokenizing, passage_limit
from twopass.server.request import Request
from twopass.server.scheduling.admission import Admission
from twopass.server.scheduling.service_time import TokenDensity
from twopass.server.search.second_pass import (
    Policy,
    ScoredPairs,
    SecondPass,
    best_first,
    room_beside,
)
from twopass.server.search.spans.scoring import NOT_ASKED, FoundSpans, SpanQuery, SpanScoring
from twopass.server.search.spans.settings import SpanSettings
from twopass.server.search.spans.units import SpanText
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch

# Running answers are sent each time the number of scored candidates has grown by 1 / this.
_SHARE_WORTH_TELLING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOptions:
    """A candidate set without its candidates.

    Attributes:
        query: The question.
        num_candidates: How many will come.
        passage_chars: Length of each passage that has already come, in characters.
        top_n: How many of the best to return; 0 for all.
        model: The reranker's id; "" for the default.
        truncation: What happens to a passage that is too long.
        blend: Weight of the first pass in the order; None for the model's own where every candidate
            carries a score, 0 elsewhere.
        min_score: Hits below this are left out; None leaves out none.
        instruction: What makes a passage relevant; "" for the model's own.
        query_truncation: What happens to a query that is too long.
        cut_side: Where a query and passages are cut.
        to_cut: How the request says that its query is to be cut, for a message that refuses it.
        spans: Which sentences of the hits are looked for; None for none.
    """

    query: str
    num_candidates: int
    passage_chars: Sequence[int] = ()
    top_n: int = 0
    model: str = ""
    truncation: Truncation = Truncation.TRUNCATE
    blend: float | None = None
    min_score: float | None = None
    instruction: str = ""
    query_truncation: Overlong = Overlong.CUT
    cut_side: Side = Side.END
    to_cut: str = ""
    spans: SpanSettings | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RankedSet:
    """A candidate set in order.

    Attributes:
        order: Positions of the best, best first.
        logits: Logits of the candidates in the order received, up to the last one scored, float32
            `[num_candidates]`; 0 for one that is not scored yet.
        scores: The calibrated logits, float32 `[num_candidates]`; 0 for one not scored yet.
        truncated: Whether a side of the passage was not read, bool `[num_candidates]`.
        query_truncated: Whether a side of the query was not read.
        model: Id of the reranker.
        blend: The weight of the first pass that was applied.
        num_below_min_score: Candidates left out of `order` for their score.
        num_tokens: Tokens of the pairs, those whose scores had been computed before included.
        num_cached: Candidates whose scores had been computed before.
        windows: The best window of each hit, in the order of `order`: its first character in the
            passage and one past its last; None where passages were not read in windows.
        spans: The sentences of the first hits, in the order of `order`.
    """

    order: Int32s
    logits: Float32s
    scores: Float32s
    truncated: NDArray[np.bool_]
    query_truncated: bool
    model: str
    blend: float
    num_below_min_score: int
    num_tokens: int
    num_cached: int
    timings: StageTimings
    windows: list[tuple[int, int]] | None = None
    spans: FoundSpans = NOT_ASKED


@dataclass(frozen=True, slots=True)
class _Piece:
    """Candidates that came together: the position of the first, and their scoring."""

    start: int
    scoring: asyncio.Task[ScoredPairs]

    @property
    def has_failed(self) -> bool:
        """Whether the scoring ended without scores."""
        return self.scoring.cancelled() or self.scoring.exception() is not None

    def positions(self) -> Int32s:
        """Positions of the piece's candidates in the set; to be called once it is scored."""
        return np.arange(self.start, self.start + len(self.scoring.result().logits), dtype=np.int32)


@dataclass(frozen=True, slots=True)
class SetScorer:
    """What scores the pieces of a set.

    Attributes:
        reranker: The model.
        tokenizing: Tokenises the passages.
        second_pass: Scores the passages.
        density: Learns how many tokens a character has.
        span_scoring: Finds the sentences of hits that answer.
    """

    reranker: LoadedReranker
    tokenizing: Tokenizing
    second_pass: SecondPass
    density: TokenDensity
    span_scoring: SpanScoring


class OpenSet:
    """A candidate set whose pieces are still coming; each is scored as soon as it has come."""

    def __init__(
        self, options: SetOptions, request: Request, scorer: SetScorer, admission: Admission
    ) -> None:
        """Begins to tokenise the query; the end of the set's `with` block stops its work.

        Args:
            options: Query and options of the set.
            request: The call that sends it.
            scorer: Scores its pieces.
            admission: The places reserved for its candidates.
        """
        self._options = options
        self._admission = admission
        self._reranker = scorer.reranker
        self._tokenizing = scorer.tokenizing
        self._second_pass = scorer.second_pass
        self._density = scorer.density
        self._span_scoring = scorer.span_scoring
        self._request = request
        self._policy = Policy(
            options.truncation,
            request.end,
            side=options.cut_side,
            pool=request.caller.score_pool,
        )
        self._stop = Stop()
        self._closing = ExitStack()
        self._closing.enter_context(request.stop.calling(self._stop.set))
        self._began = time.perf_counter()
        self._tokenize_seconds = 0.0
        self._query = self._tokenizing.begun_pair_query(
            self._reranker,
            options.query,
            options.instruction,
            Cutting(
                overlong=options.query_truncation,
                side=options.cut_side,
                to_cut=options.to_cut,
            ),
            self._stop,
        )
        self._pieces: list[_Piece] = []
        self._scored = asyncio.Event()  # set when another piece is scored
        self._passages: list[str] = []
        self._titles: list[str] = []
        self._first_pass_scores: list[float | None] = []

    @property
    def is_complete(self) -> bool:
        """Whether all candidates have come."""
        return len(self._first_pass_scores) == self._options.num_candidates

    def add(
        self,
        passages: Sequence[str],
        first_pass_scores: Sequence[float | None],
        titles: Sequence[str] | None = None,
    ) -> None:
        """Begins to score a piece.

        Args:
            passages: Title and text of each candidate.
            first_pass_scores: The caller's scores of them.
            titles: What of each candidate is its title, for spans; None where they have none.

        Raises:
            InvalidRequestError: More candidates came than were declared.
        """
        start = len(self._first_pass_scores)
        self._first_pass_scores += first_pass_scores
        if (count := len(self._first_pass_scores)) > self._options.num_candidates:
            raise InvalidRequestError(
                f"candidates: {count:,} have come, set.num_candidates declared "
                f"{self._options.num_candidates:,}",
                limit=self._options.num_candidates,
                value=count,
            )
        if self._options.truncation is Truncation.MAX_WINDOW or self._options.spans is not None:
            self._passages += passages
        if self._options.spans is not None:
            self._titles += titles or [""] * len(passages)
        if passages:
            scoring = asyncio.create_task(self._score(passages))
            scoring.add_done_callback(lambda _: self._scored.set())
            self._pieces.append(_Piece(start, scoring))

    async def ranked(self) -> RankedSet:
        """Waits for every piece, orders the whole set, and looks for spans of its first hits.

        Raises:
            InvalidRequestError: The query or a candidate breaks a rule.
            LateError: The deadline came first.
            EngineError: The engine failed.
        """
        try:
            scorings = [piece.scoring for piece in self._pieces]
            await (scorings[0] if len(scorings) == 1 else asyncio.gather(*scorings))
            ranked = await self._ordered(self._pieces)
        except StoppedError:
            raise LateError("deadline: it ran out before the set was scored") from None
        return await self._with_spans(ranked)

    async def so_far(self) -> AsyncIterator[RankedSet]:
        """Yields the order of the candidates scored so far, until the set is whole or has failed.

        Yields not after every piece, since ordering all of them each time would take time that
        grows with the square of their number. `ranked` has the final order, or the error.
        """
        worth_telling = 1
        while True:
            await self._scored.wait()
            self._scored.clear()
            scored = [piece for piece in self._pieces if piece.scoring.done()]
            is_whole = self.is_complete and len(scored) == len(self._pieces)
            if is_whole or any(piece.has_failed for piece in scored):
                return
            num_scored = sum(len(piece.scoring.result().logits) for piece in scored)
            if num_scored < worth_telling:
                continue
            worth_telling = num_scored + max(1, num_scored // _SHARE_WORTH_TELLING)
            try:
                yield await self._ordered(scored)
            except (InvalidRequestError, StoppedError):
                return

    async def _ordered(self, pieces: Sequence[_Piece]) -> RankedSet:
        """Orders the candidates of pieces that have been scored."""
        scored = [piece.scoring.result() for piece in pieces]
        positions = _end_to_end([piece.positions() for piece in pieces])
        options, spec = self._options, self._reranker.spec
        logits = _end_to_end([part.logits for part in scored])
        scores = _end_to_end([part.scores for part in scored])
        truncated = _end_to_end([part.truncated for part in scored])
        query = await self._query
        if options.truncation is Truncation.REJECT and truncated.any():
            raise InvalidRequestError(
                f"candidates[{positions[np.argmax(truncated)]}]: longer than the "
                f"{room_beside(self._reranker, query)} tokens that {spec.id} reads "
                "of a passage beside this query, and truncation is REJECT"
            )
        blend, first_pass = self._blend(positions)
        order = best_first(logits, first_pass, blend, 0)
        kept = order if options.min_score is None else order[scores[order] >= options.min_score]
        best = kept[: options.top_n or None]
        return RankedSet(
            order=positions[best],
            logits=_spread(logits, positions),
            scores=_spread(scores, positions),
            truncated=_spread(truncated, positions),
            query_truncated=query.truncated,
            model=spec.id,
            blend=blend,
            num_below_min_score=len(order) - len(kept),
            num_tokens=sum(part.num_tokens for part in scored),
            num_cached=sum(part.num_cached for part in scored),
            timings=StageTimings(
                total=time.perf_counter() - self._began,
                tokenize=self._tokenize_seconds,
                queue=max(part.queue_seconds for part in scored),
                rerank=max(part.engine_seconds for part in scored),
            ),
            windows=await self._windows(scored, best, positions[best]),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Stops unfinished work, and releases the places."""
        self._closing.close()
        self._stop.set()
        self._query.cancel()
        for piece in self._pieces:
            piece.scoring.cancel()
        self._admission.release()

    async def _score(self, passages: Sequence[str]) -> ScoredPairs:
        watch = Stopwatch()
        query = await self._query
        truncation = self._options.truncation
        passage_ids = await self._tokenizing.passage_ids(
            self._reranker, passages, truncation, self._stop, self._options.cut_side
        )
        self._tokenize_seconds += watch.lap("tokenize")
        self._density.measured(
            num_chars(passages),
            passage_ids.lengths.tolist(),
            passage_limit(self._reranker, truncation),
        )
        self._admission.arrived()
        return await self._second_pass.score(
            self._reranker, query, passage_ids, self._policy, self._admission
        )

    async def _with_spans(self, ranked: RankedSet) -> RankedSet:
        """Adds the sentences of the first hits, or why there are none."""
        settings = self._options.spans
        if settings is None:
            return ranked
        # Its candidates are scored: their places are free for the sentences.
        self._admission.release()
        windows = ranked.windows
        texts = [
            SpanText.of(
                self._titles[position], self._passages[position], windows[rank] if windows else None
            )
            for rank, position in enumerate(ranked.order[: settings.hits].tolist())
        ]
        asked = SpanQuery(settings, self._reranker, await self._query)
        found = await self._span_scoring.find(asked, texts, self._request)
        total = time.perf_counter() - self._began
        return replace(
            ranked,
            spans=found,
            num_tokens=ranked.num_tokens + found.num_tokens,
            timings=replace(ranked.timings, total=total, spans=found.seconds),
        )

    async def _windows(
        self, scored: Sequence[ScoredPairs], best: Int32s, positions: Int32s
    ) -> list[tuple[int, int]] | None:
        """Where the best windows of hits stand in their passages, in characters.

        Args:
            scored: The scored candidates, piece after piece.
            best: Which of the scored candidates are the hits.
            positions: The hits' positions in the set.
        """
        windows = [part.windows for part in scored if part.windows is not None]
        if not windows:
            return None
        return await self._tokenizing.spans(
            self._reranker.tokenizer,
            [self._passages[position] for position in positions.tolist()],
            np.concatenate(windows)[best],
            self._stop,
        )

    def _blend(self, positions: Int32s) -> tuple[float, Float32s | None]:
        """The weight of the first pass, and its scores where every candidate carries one."""
        scores = [self._first_pass_scores[position] for position in positions.tolist()]
        if None not in scores:
            weight = self._options.blend
            return self._reranker.spec.blend if weight is None else weight, np.array(
                scores, np.float32
            )
        if self._options.blend:
            without = positions[scores.index(None)]
            raise InvalidRequestError(
                f"candidates[{without}].first_pass_score: unset, but blend is "
                f"{self._options.blend:g}; above 0 every candidate must carry one"
            )
        return 0.0, None


def _end_to_end(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _spread(values: NDArray[Any], positions: Int32s) -> NDArray[Any]:
    """Puts values at their positions; the others are 0."""
    count = int(positions[-1]) + 1
    if len(positions) == count:
        return values
    spread = np.zeros(count, values.dtype)
    spread[positions] = values
    return spread
