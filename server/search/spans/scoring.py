"""Scores the sentences of hits, in places of their own in the queue, as far as time allows."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twopass.engines.base.model import LoadedReranker, PairQuery
from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.errors import StoppedError
from twopass.index.stopping import NEVER, Stop
from twopass.server.errors import LateError
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.second_pass import Policy, ScoredPairs, SecondPass
from twopass.server.search.spans.settings import (
    NO_SPANS,
    HitSpans,
    ScoredSpan,
    SpanSettings,
    SpansStatus,
    SpanUnit,
)
from twopass.server.search.spans.units import (
    SpanText,
    highlighted,
    joined,
    pruned,
    sentences_of,
)
from twopass.server.telemetry.tracing import record

# Without a min_score a span stays whose odds are at least one eighth of the best one's: chosen on
# one half of the questions of squad_heldout, where it keeps 95 % of the answers; docs/spans.md.
_LOG_ODDS_BELOW_BEST = math.log(8)
# Time before a deadline in which an answer is sent: later spans would lose the answer too.
_ANSWER_SECONDS = 0.005
_ANSWER_SHARE = 0.1
# Tags are put into so many characters, escaped, in less than a millisecond.
_FEW_CHARS = 256 * 1024
# What became of spans that are missing, by why.
SKIPPED = {
    Cause.DEADLINE: SpansStatus.SKIPPED_DEADLINE,
    Cause.OVERLOAD: SpansStatus.SKIPPED_OVERLOAD,
    Cause.FAILED: SpansStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class FoundSpans:
    """The spans of hits.

    Attributes:
        status: What became of them.
        hits: Of each text in its place; shorter where the last ones were not looked at.
        num_tokens: Tokens that the model read.
        seconds: How long it took.
    """

    status: SpansStatus
    hits: tuple[HitSpans, ...] = ()
    num_tokens: int = 0
    seconds: float | None = None

    def of(self, place: int) -> HitSpans:
        """The spans of one hit; none where it was not looked at."""
        return self.hits[place] if place < len(self.hits) else NO_SPANS


NOT_ASKED = FoundSpans(SpansStatus.NONE)


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """What sentences are scored for, and by which model.

    Attributes:
        settings: Which spans are looked for.
        reranker: The model.
        query: The query as the model reads it.
        required: Whether an error is raised where there is no time or room, rather than no spans
            found.
    """

    settings: SpanSettings
    reranker: LoadedReranker
    query: PairQuery
    required: bool = False


class SpanScoring:
    """Finds the spans of hits."""

    def __init__(self, arbiter: Arbiter, tokenizing: Tokenizing, second_pass: SecondPass) -> None:
        self._arbiter = arbiter
        self._tokenizing = tokenizing
        self._second_pass = second_pass

    async def find(
        self, asked: SpanQuery, texts: Sequence[SpanText], request: Request
    ) -> FoundSpans:
        """Scores the sentences of texts, the first text's first.

        Args:
            asked: What is looked for.
            texts: The texts of the best hits, best first.
            request: The call; spans take no more time than it has left.

        Raises:
            RequestError: There is no room or no time, and spans are required.
            EngineError: The engine failed, and spans are required.
        """
        if not texts:
            return NOT_ASKED
        began = time.perf_counter()
        try:
            found = await self._found(asked, texts, request, _end(request))
        except Exception as error:
            cause = cause_of(error)
            if cause is None or asked.required or request.is_past_deadline():
                if isinstance(error, StoppedError):
                    raise LateError("the time ran out before spans were found") from None
                raise
            return FoundSpans(SKIPPED[cause], seconds=time.perf_counter() - began)
        if asked.required and found.status is not SpansStatus.COMPLETE:
            raise LateError("the time ran out before all spans were found")
        ended = time.perf_counter()
        record("spans", began, ended)
        return FoundSpans(found.status, found.hits, found.num_tokens, ended - began)

    async def _found(
        self,
        asked: SpanQuery,
        texts: Sequence[SpanText],
        request: Request,
        end: float | None,
    ) -> FoundSpans:
        with request.stop_by(end) as stop:
            units = await self._units(asked, texts, stop)
            # The first hits suffice, so that the time of all of them says nothing.
            with self._arbiter.admitted(sum(map(len, units)), deadline=end) as admission:
                rows = await self._tokenizing.passage_ids(
                    asked.reranker, _read(texts, units), Truncation.TRUNCATE, stop
                )
                policy = Policy(
                    deadline=end,
                    first_suffice=end is not None,
                    pool=request.caller.score_pool,
                )
                scored = await self._second_pass.score(
                    asked.reranker, asked.query, rows, policy, admission
                )
        if _makes_much(asked.settings, texts):
            stop = request.stop  # what was scored in time is told
            return await self._tokenizing.lane.run(
                _of_scored, asked, texts, units, scored, stop, stop=stop
            )
        return _of_scored(asked, texts, units, scored, NEVER)

    async def _units(
        self, asked: SpanQuery, texts: Sequence[SpanText], stop: Stop
    ) -> list[list[tuple[int, int]]]:
        """Where the parts stand that are scored."""
        units = await self._tokenizing.lane.run(sentences_of, texts, stop, stop=stop)
        settings = asked.settings
        if settings.unit is SpanUnit.SENTENCE:
            return units
        plain = [
            text.passage[slice(*unit)]
            for text, of_text in zip(texts, units, strict=True)
            for unit in of_text
        ]
        rows = await self._tokenizing.passage_ids(asked.reranker, plain, Truncation.TRUNCATE, stop)
        lengths = iter(rows.lengths.tolist())
        return [
            joined(of_text, [next(lengths) for _ in of_text], settings.window_tokens)
            for of_text in units
        ]


def _read(texts: Sequence[SpanText], units: Sequence[Sequence[tuple[int, int]]]) -> list[str]:
    """What the reranker reads of each unit."""
    return [
        text.read(*unit) for text, of_text in zip(texts, units, strict=True) for unit in of_text
    ]


def _makes_much(settings: SpanSettings, texts: Sequence[SpanText]) -> bool:
    """Whether the texts that are made are so long that the event loop must not wait for them."""
    if settings.highlight is None and not settings.pruned_text:
        return False
    return sum(len(text.passage) for text in texts) > _FEW_CHARS


def _of_scored(
    asked: SpanQuery,
    texts: Sequence[SpanText],
    units: Sequence[Sequence[tuple[int, int]]],
    scored: ScoredPairs,
    stop: Stop,
) -> FoundSpans:
    """The spans of those texts whose units have all been scored."""
    hits: list[HitSpans] = []
    first = 0
    for text, of_text in zip(texts, units, strict=True):
        stop.check()
        last = first + len(of_text)
        if last > len(scored.logits):
            break
        hits.append(
            _hit_spans(asked, text, of_text, scored.logits[first:last], scored.scores[first:last])
        )
        first = last
    is_whole = len(hits) == len(texts)
    if not hits:
        raise LateError("the time ran out before the first hit's spans were found")
    status = SpansStatus.COMPLETE if is_whole else SpansStatus.PARTIAL
    return FoundSpans(status, tuple(hits), scored.num_tokens)


def _hit_spans(
    asked: SpanQuery,
    text: SpanText,
    units: Sequence[tuple[int, int]],
    logits: Float32s,
    scores: Float32s,
) -> HitSpans:
    settings = asked.settings
    best_first = np.argsort(-logits, kind="stable").astype(np.int32)
    kept = _kept(asked, best_first, logits, scores).tolist()
    spans = tuple(
        ScoredSpan(start, end, float(scores[unit]), float(logits[unit]))
        for unit in kept[: settings.max_spans]
        for start, end in units[unit : unit + 1]
    )
    pruned_text = highlighted_text = ""
    if settings.pruned_text:
        stay = kept or best_first[:1].tolist()
        pruned_text = pruned(text.passage, units, stay, settings.neighbors)
    if settings.highlight is not None:
        places = ((span.start, span.end) for span in spans)
        highlighted_text = highlighted(text, places, settings.highlight)
    return HitSpans(spans, pruned_text, highlighted_text)


def _kept(asked: SpanQuery, best_first: Int32s, logits: Float32s, scores: Float32s) -> Int32s:
    """Units that are good enough, best first."""
    if not len(best_first):
        return best_first
    if asked.settings.min_score is not None:
        is_kept = scores[best_first] >= asked.settings.min_score
    else:
        below = (logits[best_first[0]] - logits[best_first]) * asked.reranker.spec.calibration.a
        is_kept = below <= _LOG_ODDS_BELOW_BEST
    kept: Int32s = best_first[is_kept]
    return kept


def _end(request: Request) -> float | None:
    """Until when spans are worth waiting for: an answer without them must still be in time."""
    ends = [] if request.budget_end is None else [request.budget_end]
    if request.deadline is not None:
        left = max(0.0, request.deadline - time.perf_counter())
        ends.append(request.deadline - max(_ANSWER_SECONDS, _ANSWER_SHARE * left))
    return min(ends, default=None)
