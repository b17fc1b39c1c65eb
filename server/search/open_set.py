"""A candidate set whose pieces are still coming: scored one by one, ordered together."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s, Int32s, LoadedReranker
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import Tokenizing, passage_limit
from twopass.server.scheduling.admission import Admission
from twopass.server.scheduling.service_time import TokenDensity
from twopass.server.search.second_pass import ScoredPairs, SecondPass, best_first, room_beside
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch

# A running set is told of when this part of what was scored has been scored on top.
_SHARE_WORTH_TELLING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOptions:
    """A candidate set without its candidates.

    Attributes:
        query: The question.
        num_candidates: How many will come.
        passage_chars: Characters of each that has come already.
        top_n: How many of the best are wanted; 0 for all.
        model: The reranker's id; "" for the default.
        truncation: What happens to a passage that is too long.
        blend: Weight of the first pass in the order; None for the model's own where every candidate
            carries a score, 0 elsewhere.
        min_score: Hits below this are left out; None leaves out none.
        deadline: Seconds of `time.perf_counter` after which nobody waits; None for never.
    """

    query: str
    num_candidates: int
    passage_chars: Sequence[int] = ()
    top_n: int = 0
    model: str = ""
    truncation: Truncation = Truncation.TRUNCATE
    blend: float | None = None
    min_score: float | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RankedSet:
    """A candidate set in order.

    Attributes:
        order: Positions of the best, best first.
        logits: Of every candidate up to the last that is scored, in the order they came, float32
            `[num_candidates]`; 0 for one before it that is not scored yet.
        scores: Likewise, calibrated.
        truncated: Likewise, bool.
        model: The reranker.
        blend: The weight of the first pass that was applied.
        num_below_min_score: Candidates left out of `order` for their score.
        num_tokens: Tokens the model read.
        spans: The best window of each hit, in the order of `order`: its first character in the
            passage and one past its last; None where passages were not read in windows.
    """

    order: Int32s
    logits: Float32s
    scores: Float32s
    truncated: NDArray[np.bool_]
    model: str
    blend: float
    num_below_min_score: int
    num_tokens: int
    timings: StageTimings
    spans: list[tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    """Candidates that came together: the position of the first, and their scoring."""

    start: int
    scoring: asyncio.Task[ScoredPairs]

    @property
    def has_failed(self) -> bool:
        """Whether it ended without scores."""
        return self.scoring.cancelled() or self.scoring.exception() is not None

    def positions(self) -> Int32s:
        """Positions in the set, once scored."""
        return np.arange(self.start, self.start + len(self.scoring.result().logits), dtype=np.int32)


class OpenSet:
    """A candidate set whose pieces are still coming; each is scored as soon as it is here."""

    def __init__(
        self,
        options: SetOptions,
        reranker: LoadedReranker,
        tokenizing: Tokenizing,
        second_pass: SecondPass,
        density: TokenDensity,
        admission: Admission,
    ) -> None:
        self._options = options
        self._density = density
        self._admission = admission
        self._reranker = reranker
        self._tokenizing = tokenizing
        self._second_pass = second_pass
        self._began = time.perf_counter()
        self._tokenize_seconds = 0.0
        self._query_ids = asyncio.ensure_future(tokenizing.query_ids(reranker, options.query))
        self._pieces: list[_Piece] = []
        self._scored = asyncio.Event()  # another piece has been
        self._passages: list[str] = []
        self._first_pass_scores: list[float | None] = []

    @property
    def is_complete(self) -> bool:
        """Whether all candidates have come."""
        return len(self._first_pass_scores) == self._options.num_candidates

    def add(self, passages: Sequence[str], first_pass_scores: Sequence[float | None]) -> None:
        """Begins to score a piece.

        Raises:
            InvalidRequestError: More candidates came than were declared.
        """
        start = len(self._first_pass_scores)
        self._first_pass_scores += first_pass_scores
        if (count := len(self._first_pass_scores)) > self._options.num_candidates:
            raise InvalidRequestError(
                f"candidates: {count:,} have come, set.num_candidates declared "
                f"{self._options.num_candidates:,}"
            )
        if self._options.truncation is Truncation.MAX_WINDOW:
            self._passages += passages
        if passages:
            scoring = asyncio.create_task(self._score(passages))
            scoring.add_done_callback(lambda _: self._scored.set())
            self._pieces.append(_Piece(start, scoring))

    async def ranked(self) -> RankedSet:
        """Waits for every piece, and orders the whole.

        Raises:
            InvalidRequestError: The query or a candidate breaks a rule.
            LateError: The deadline came first.
            EngineError: The engine failed.
        """
        await asyncio.gather(*(piece.scoring for piece in self._pieces))
        return await self._ordered(self._pieces)

    async def so_far(self) -> AsyncIterator[RankedSet]:
        """Yields the order of what has been scored, while some has not.

        Not for every piece: ordering all again and again would take time that grows with their
        square. Ends where `ranked` has all to tell, or what is wrong.
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
            except InvalidRequestError:
                return

    async def _ordered(self, parts: Sequence["_Piece"]) -> RankedSet:
        """Orders the candidates of pieces that have been scored."""
        pieces = [part.scoring.result() for part in parts]
        keys = np.concatenate([part.positions() for part in parts])
        options, spec = self._options, self._reranker.spec
        logits = np.concatenate([piece.logits for piece in pieces])
        scores = np.concatenate([piece.scores for piece in pieces])
        truncated = np.concatenate([piece.truncated for piece in pieces])
        if options.truncation is Truncation.REJECT and truncated.any():
            raise InvalidRequestError(
                f"candidates[{int(np.argmax(truncated))}]: longer than the "
                f"{room_beside(self._reranker, await self._query_ids)} tokens that {spec.id} reads "
                "of a passage beside this query, and truncation is REJECT"
            )
        blend, first_pass = self._blend(keys)
        order = best_first(logits, first_pass, blend, 0)
        kept = order if options.min_score is None else order[scores[order] >= options.min_score]
        best = kept[: options.top_n or None]
        return RankedSet(
            order=keys[best],
            logits=_spread(logits, keys),
            scores=_spread(scores, keys),
            truncated=_spread(truncated, keys),
            model=spec.id,
            blend=blend,
            num_below_min_score=len(order) - len(kept),
            num_tokens=sum(piece.num_tokens for piece in pieces),
            timings=StageTimings(
                total=time.perf_counter() - self._began,
                tokenize=self._tokenize_seconds,
                queue=max(piece.queue_seconds for piece in pieces),
                rerank=max(piece.engine_seconds for piece in pieces),
            ),
            spans=await self._spans(pieces, best, keys[best]),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Drops what is not finished, and gives its places back."""
        self._query_ids.cancel()
        for piece in self._pieces:
            piece.scoring.cancel()
        self._admission.release()

    async def _score(self, passages: Sequence[str]) -> ScoredPairs:
        watch = Stopwatch()
        query_ids = await self._query_ids
        truncation = self._options.truncation
        passage_ids = await self._tokenizing.passage_ids(self._reranker, passages, truncation)
        self._tokenize_seconds += watch.lap("tokenize")
        num_chars, num_tokens = list(map(len, passages)), passage_ids.lengths.tolist()
        self._density.measured(num_chars, num_tokens, passage_limit(self._reranker, truncation))
        self._admission.arrived()
        return await self._second_pass.read(
            self._reranker, query_ids, passage_ids, truncation, deadline=self._options.deadline
        )

    async def _spans(
        self, pieces: Sequence[ScoredPairs], best: Int32s, positions: Int32s
    ) -> list[tuple[int, int]] | None:
        """Where the best windows of the best passages stand, `best` among those of the pieces."""
        windows = [piece.windows for piece in pieces if piece.windows is not None]
        if not windows:
            return None
        return await self._tokenizing.spans(
            self._reranker.tokenizer,
            [self._passages[position] for position in positions.tolist()],
            np.concatenate(windows)[best],
        )

    def _blend(self, keys: Int32s) -> tuple[float, Float32s | None]:
        """The weight of the first pass, and its scores where every candidate carries one."""
        scores = [self._first_pass_scores[key] for key in keys.tolist()]
        missing = next(
            (key for key, score in zip(keys, scores, strict=True) if score is None), None
        )
        if missing is None:
            weight = self._options.blend
            return self._reranker.spec.blend if weight is None else weight, np.array(
                scores, np.float32
            )
        if self._options.blend:
            raise InvalidRequestError(
                f"candidates[{missing}].first_pass_score: unset, but blend is "
                f"{self._options.blend:g}; above 0 every candidate must carry one"
            )
        return 0.0, None


def _spread(values: NDArray[Any], keys: Int32s) -> NDArray[Any]:
    """Values by their key, 0 where there is none."""
    count = int(keys[-1]) + 1
    if len(keys) == count:
        return values
    spread = np.zeros(count, values.dtype)
    spread[keys] = values
    return spread
