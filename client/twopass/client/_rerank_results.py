"""What reranking answers: the best passages of a set, or why there are none."""

from dataclasses import dataclass

from twopass.client._documents import Span, span
from twopass.client._enums import SpansStatus
from twopass.client._errors import status_error
from twopass.client._spans import ScoredSpan, scored_spans, spans_status
from twopass.client._timings import Timings, timings
from twopass.client.errors import TwopassError
from twopass.v1 import rerank_pb2


@dataclass(frozen=True, slots=True)
class RerankHit:
    """A scored passage.

    Attributes:
        index: Its position among the passages given, from 0.
        id: Its id as given.
        score: Relevance in [0, 1]: the logit, calibrated.
        logit: The model's raw output. Higher is more relevant; scales differ between models.
        truncated: Whether the model did not read the passage's end.
        window: The best window, with "max_window" only: characters of title, space and text
            together.
        title: Its title, with `return_text` only.
        text: Its text, with `return_text` only.
        spans: The sentences that answer the query, best first, if `spans` were asked for.
        pruned_text: The text without what does not answer, if asked for: the parts that are left,
            with " … " between two that are apart.
        highlighted_text: The text with tags around `spans`, if asked for.
    """

    index: int
    id: str
    score: float
    logit: float
    truncated: bool
    window: Span | None
    title: str
    text: str
    spans: tuple[ScoredSpan, ...] = ()
    pruned_text: str = ""
    highlighted_text: str = ""


@dataclass(frozen=True, slots=True)
class RerankResult:
    """The best passages.

    Attributes:
        hits: At most `top_n`, best first, ordered by the blend if there was one, else by logit.
        model: The reranker that scored them.
        blend: The weight of the first pass that was applied; 0 when the reranker alone decided.
        num_below_min_score: Passages left out because their score is below `min_score`.
        num_tokens: Tokens that the model read, padding not counted.
        timings: Where the time went.
        query_truncated: Whether the model did not read the query's end.
        spans_status: What became of the spans asked for; None where none were.
        num_cached: Passages whose scores the server had computed before.
    """

    hits: tuple[RerankHit, ...]
    model: str
    blend: float
    num_below_min_score: int
    num_tokens: int
    timings: Timings
    query_truncated: bool = False
    spans_status: SpansStatus | None = None
    num_cached: int = 0


@dataclass(frozen=True, slots=True)
class SetResult:
    """An answer to one set of a stream. A set with `running` gets several, other sets get one.

    Attributes:
        set_id: The set this answers.
        outcome: The best passages, or why there are none.
        is_last: Whether this is the set's final answer. If not, its hits are the best of the
            passages scored so far, and more answers to the set follow.
    """

    set_id: str
    outcome: RerankResult | TwopassError
    is_last: bool = True

    @property
    def error(self) -> TwopassError | None:
        """Why there is no result; None when there is one."""
        return self.outcome if isinstance(self.outcome, TwopassError) else None

    def result(self) -> RerankResult:
        """The best passages.

        Raises:
            TwopassError: The set failed; the class is the one that `rerank` would have raised.
        """
        if isinstance(self.outcome, TwopassError):
            raise self.outcome
        return self.outcome


def set_result(response: rerank_pb2.RerankStreamResponse) -> SetResult:
    """Reads an answer to one set."""
    match response.WhichOneof("outcome"):
        case "result":
            return SetResult(response.set_id, result_of(response.result))
        case "running":
            return SetResult(response.set_id, result_of(response.running), is_last=False)
    return SetResult(response.set_id, status_error(response.error))


def result_of(response: rerank_pb2.RerankResponse) -> RerankResult:
    """Reads the best passages."""
    return RerankResult(
        hits=tuple(map(_hit, response.hits)),
        model=response.model,
        blend=response.blend,
        num_below_min_score=response.num_below_min_score,
        num_tokens=response.num_tokens,
        timings=timings(response.timings),
        query_truncated=response.query_truncated,
        spans_status=spans_status(response),
        num_cached=response.num_cached,
    )


def _hit(message: rerank_pb2.RerankHit) -> RerankHit:
    return RerankHit(
        index=message.index,
        id=message.id,
        score=message.score,
        logit=message.logit,
        truncated=message.truncated,
        window=span(message.window) if message.HasField("window") else None,
        title=message.title,
        text=message.text,
        spans=scored_spans(message.spans),
        pruned_text=message.pruned_text,
        highlighted_text=message.highlighted_text,
    )
