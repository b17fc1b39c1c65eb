"""The second pass: one query against many passages, scored and put in order."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twopass._core import top_k
from twopass.engines.base.model import LoadedReranker, PairQuery
from twopass.engines.base.sequences import Float32s, Int32s, Ragged, Side, TokenBatch
from twopass.server.errors import LateError, WouldBeLateError
from twopass.server.models.cutting import MAX_PASSAGE_TOKENS, CutPassages, cut
from twopass.server.models.passages import Truncation
from twopass.server.scheduling.admission import Admission
from twopass.server.scheduling.arbiter import Arbiter, Computed, Priority
from twopass.server.search.score_cache import KnownPairs, ScoreCache

_NOTHING = Computed(np.zeros(0, np.float32), 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """The reranker's scores of passages, in the order of the passages.

    Attributes:
        logits: The reranker's outputs, float32 `[num_passages]`.
        scores: The calibrated logits, in [0, 1], float32 `[num_passages]`.
        truncated: Whether a side of the passage was not read, bool `[num_passages]`.
        num_tokens: Tokens of the pairs, those whose logits were known included.
        queue_seconds: Time in which none of the pairs was in the engine.
        engine_seconds: Time in which at least one was.
        is_cached: Whether nothing of the passage had to be computed, since all its logits were
            known, bool `[num_passages]`.
        windows: The first token of each passage's best window and one past its last, int32
            `[num_passages, 2]`; None where passages were not read in windows.
    """

    logits: Float32s
    scores: Float32s
    truncated: NDArray[np.bool_]
    num_tokens: int
    queue_seconds: float
    engine_seconds: float
    is_cached: NDArray[np.bool_]
    windows: Int32s | None = None

    @property
    def num_cached(self) -> int:
        """How many passages did not have to be computed."""
        return int(np.count_nonzero(self.is_cached))

    def at(self, places: NDArray[np.intp]) -> "ScoredPairs":
        """The scores of all passages in another order."""
        return replace(
            self,
            logits=self.logits[places],
            scores=self.scores[places],
            truncated=self.truncated[places],
            windows=None if self.windows is None else self.windows[places],
            is_cached=self.is_cached[places],
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """How passages are to be scored.

    Attributes:
        truncation: What happens to a passage that is too long; `REJECT` is for the caller to act
            on, by `ScoredPairs.truncated`.
        deadline: When nobody waits any more, seconds of `time.perf_counter`; None for never.
        first_suffice: Whether to score the first passages alone where there is no time for all.
        side: Where a passage is cut.
        pool: Which logits computed before may be used and are added to; see `ScoreCache.look_up`.
    """

    truncation: Truncation = Truncation.TRUNCATE
    deadline: float | None = None
    first_suffice: bool = False
    side: Side = Side.END
    pool: str | None = ""


class SecondPass:
    """Scores pairs through the arbiter, those that are not in the cache."""

    def __init__(
        self,
        arbiter: Arbiter,
        cache: ScoreCache | None = None,
        *,
        priority: Priority = Priority.RERANK,
    ) -> None:
        """Scores through an arbiter.

        Args:
            arbiter: Feeds the engines.
            cache: Logits computed before; None to compute every pair.
            priority: What the pairs are computed before.
        """
        self._arbiter = arbiter
        self._cache = ScoreCache(0) if cache is None else cache
        self._priority = priority

    async def score(
        self,
        reranker: LoadedReranker,
        query: PairQuery,
        passages: Ragged,
        policy: Policy,
        admission: Admission | None = None,
    ) -> ScoredPairs:
        """Scores passages: each cut after the last token the model reads, or by its best window.

        The caller reserves a place for each passage; those of pairs that need not be computed are
        released. This method reserves more where passages have further windows to be computed.

        Args:
            reranker: The model.
            query: The query as the model reads it.
            passages: Token ids of the passages, a row for each.
            policy: How to score them.
            admission: The caller's places, which may be more than there are passages here; None
                not to release any early.

        Returns:
            The scores of all passages; if the first suffice, of at least the first one.

        Raises:
            OverloadedError: There is no room for so many tokens or windows.
            WouldBeLateError: They would be late for what waits before them.
            LateError: The deadline came first, or would come first even on an idle engine.
            EngineError: The engine failed.
        """
        if policy.truncation is not Truncation.MAX_WINDOW:
            pairs, truncated = _assemble(reranker, query, passages, policy.side)
            return await self._scored(reranker, pairs, truncated, policy, len(passages), admission)
        room = room_beside(reranker, query)
        readable = Ragged.from_rows(
            [passages[i][:MAX_PASSAGE_TOKENS] for i in range(len(passages))]
        )
        cut_passages = cut(readable, room, room // 4)
        pairs, truncated = _assemble(reranker, query, cut_passages.token_ids, policy.side)
        scored = await self._scored(reranker, pairs, truncated, policy, len(passages), admission)
        best = _by_best_window(scored, cut_passages, passages)
        if len(passages) and not len(best.logits):
            raise LateError("the deadline ran out before all windows of one passage were read")
        return best

    async def _scored(
        self,
        reranker: LoadedReranker,
        pairs: TokenBatch,
        truncated: NDArray[np.bool_],
        policy: Policy,
        num_places: int,
        admission: Admission | None,
    ) -> ScoredPairs:
        """Scores the pairs of passages or of windows, of which the caller has so many places."""
        known = self._cache.look_up(reranker, pairs, policy.pool)
        num_missing = len(known.missing)
        if admission is not None:
            admission.give_back(num_places - num_missing)
        computed = _NOTHING
        if num_missing:
            with self._arbiter.admitted(max(0, num_missing - num_places)):
                computed = await self._computed(reranker, known, policy)
            self._cache.keep(known, computed.output, reranker, policy.pool)
        logits = known.leading(computed.output)
        count = len(logits)
        return ScoredPairs(
            logits=logits,
            scores=reranker.spec.calibration.score(logits),
            truncated=truncated[:count],
            num_tokens=int(pairs.offsets[count]),
            queue_seconds=computed.queue_seconds,
            engine_seconds=computed.engine_seconds,
            is_cached=known.is_known[:count],
        )

    async def _computed(
        self, reranker: LoadedReranker, known: KnownPairs, policy: Policy
    ) -> Computed:
        """Computes the pairs that are not known; none where known ones come first and suffice."""
        try:
            return await self._arbiter.compute(
                reranker.engine,
                known.missing_pairs(),
                self._priority,
                deadline=policy.deadline,
                first_suffice=policy.first_suffice,
            )
        except (LateError, WouldBeLateError):
            if not policy.first_suffice or not known.is_known[0]:
                raise
            return _NOTHING


def room_beside(reranker: LoadedReranker, query: PairQuery) -> int:
    """Most tokens of a passage that are read in one pair with a query."""
    return max_pair_tokens(reranker, query) - query.num_tokens


def best_first(
    logits: Float32s, first_pass_scores: Float32s | None, blend: float, count: int
) -> Int32s:
    """The positions of the best, best first; ties keep their order.

    Args:
        logits: float32 `[n]`.
        first_pass_scores: float32 `[n]`; read only where `blend` is above 0.
        blend: Weight w of the first pass: `w * z(first_pass_scores) + (1 - w) * z(logits)`.
        count: How many; 0 for all.

    Returns:
        int32 `[min(count, n)]`.
    """
    return top_k(blended_scores(logits, first_pass_scores, blend), count or len(logits))


def blended_scores(logits: Float32s, first_pass_scores: Float32s | None, blend: float) -> Float32s:
    """What `best_first` orders by, float32 `[n]`: the logits where nothing is blended in."""
    if blend == 0 or first_pass_scores is None:
        return logits
    blended = blend * z_scores(first_pass_scores) + (1 - blend) * z_scores(logits)
    return blended.astype(np.float32)


def z_scores(values: Float32s) -> NDArray[np.float64]:
    """Standard scores within the set; zeros where all values are equal."""
    wide = values.astype(np.float64)
    deviation = wide.std() if len(wide) else 0.0
    return (wide - wide.mean()) / deviation if deviation > 0 else np.zeros_like(wide)


def _assemble(
    reranker: LoadedReranker, query: PairQuery, passages: Ragged, side: Side
) -> tuple[TokenBatch, NDArray[np.bool_]]:
    """The pairs of a query with each passage, and which of them were cut."""
    most = max_pair_tokens(reranker, query)
    if side is Side.END:
        return query.template.assemble(query.token_ids, passages, most)
    room = room_beside(reranker, query)
    pairs, _ = query.template.assemble(query.token_ids, passages.cut(room, side), most)
    return pairs, passages.lengths > room


def _by_best_window(
    scored: ScoredPairs, cut_passages: CutPassages, passages: Ragged
) -> ScoredPairs:
    """The best window's scores, of each passage whose windows have all been scored."""
    best = cut_passages.best(scored.logits)
    return replace(
        scored,
        logits=scored.logits[best],
        scores=scored.scores[best],
        truncated=passages.lengths[: len(best)] >= MAX_PASSAGE_TOKENS,
        windows=cut_passages.ranges(best),
        is_cached=_all_of_each(scored.is_cached, cut_passages.offsets[: len(best) + 1]),
    )


def _all_of_each(values: NDArray[np.bool_], offsets: Int32s) -> NDArray[np.bool_]:
    """Whether all values of a stretch are true; row `i` is `values[offsets[i]:offsets[i + 1]]`."""
    num_true = np.concatenate([[0], np.cumsum(values)])[offsets]
    is_all: NDArray[np.bool_] = np.diff(num_true) == np.diff(offsets)
    return is_all


def max_pair_tokens(reranker: LoadedReranker, query: PairQuery) -> int:
    """Longest pair of a query with a passage, special tokens included."""
    spec = reranker.spec
    possible = min(spec.max_seq_len, reranker.engine.info.max_seq_len)
    if spec.max_passage_tokens is None:
        return possible
    return min(possible, query.num_tokens + spec.max_passage_tokens)
