"""Rerank: the second pass alone, for one set of candidates or a stream of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._channel import STREAMED_MESSAGE_BYTES
from twopass.client._enums import QueryTruncation, Truncation, number_of
from twopass.client._rerank_results import RerankResult, result_of
from twopass.client._spans import Spans, spans_message
from twopass.client._values import int32, real, refuse_single, text
from twopass.client.errors import InvalidArgumentError
from twopass.v1 import rerank_pb2


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage to score. Where there is only its text, a plain str is enough.

    Attributes:
        text: The passage; not empty unless a title is given.
        title: Put before the text, with a space between. Empty for none.
        id: Returned with the hit. Empty: the hit is known by its index alone.
        first_pass_score: The score that the caller's first pass gave it, any scale, higher is
            better. Read only by `blend`.
    """

    text: str
    title: str = ""
    id: str = ""
    first_pass_score: float | None = None


# The server has the same limit: it does not repeat longer ids in its answers.
_MAX_SET_ID_BYTES = 128


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """A query and the passages to order; one item of `rerank_stream`.

    It is checked when it is created, so that a bad set fails there and not in mid-stream.

    Attributes:
        set_id: Returned with the answer; the caller's choice, 1 to 128 bytes, unique among the sets
            of a call that are not answered yet.
        query: The question; for one that is too long see `query_truncation`.
        passages: 1 to the server's limit (10,000 by default), each a str or a `Passage`.
        top_n: How many of the best to return. 0: all.
        model: The reranker's id, as in `models()`. None: the server's default.
        blend: Weight w in [0, 1] of the first pass in the order:
            w * z(first_pass_score) + (1 - w) * z(logit). Above 0, every passage must carry
            `first_pass_score`. None: the model's own default where every passage carries one, 0
            elsewhere.
        truncation: What happens to a passage that is too long for the model: "truncate",
            "max_window" or "reject". None: "truncate".
        min_score: Leaves out hits whose `score` is lower. None: no hit is left out.
        return_text: Whether hits repeat their title and text.
        running: Whether the best passages so far are answered too, as pieces of `piece_size`
            passages are scored, each time another eighth of the set has been; see
            `SetResult.is_last`.
        instruction: What makes a passage relevant, in words, for a model that is told so, as
            decoders are: "Given a claim, find passages that refute it". None: the model's own.
        query_truncation: What happens to a query that is too long for the model: "truncate" or
            "reject". None: "truncate", which the result tells by `query_truncated`.
        spans: Whether the best passages tell which of their sentences answer, and how; not in
            running answers. True: all defaults.

    Raises:
        InvalidArgumentError: A message can't carry one of its fields, or the id is empty or too
            long.
        TypeError: A field is of the wrong type, such as one str for all passages.
    """

    set_id: str
    query: str
    passages: Sequence[str | Passage]
    top_n: int = 0
    model: str | None = None
    blend: float | None = None
    truncation: Truncation | None = None
    min_score: float | None = None
    return_text: bool = False
    running: bool = False
    instruction: str | None = None
    query_truncation: QueryTruncation | None = None
    spans: Spans | bool = False

    def __post_init__(self) -> None:
        """Checks every field by building what is sent."""
        size = len(text(self.set_id, "set_id").encode())
        if not 1 <= size <= _MAX_SET_ID_BYTES:
            raise InvalidArgumentError(
                f"set_id: {size:,} bytes given, 1 to {_MAX_SET_ID_BYTES} are needed",
                metadata={"field": "set_id"},
            )
        refuse_single(self.passages, "passages", str, Passage)
        object.__setattr__(self, "passages", tuple(self.passages))
        rerank_pb2.RerankSet(running=self.running, **_options_of(self))
        for _ in _candidates(self.passages):
            pass


def rerank(
    query: str,
    passages: Sequence[str | Passage],
    *,
    top_n: int = 0,
    model: str | None = None,
    blend: float | None = None,
    truncation: Truncation | None = None,
    min_score: float | None = None,
    return_text: bool = False,
    instruction: str | None = None,
    query_truncation: QueryTruncation | None = None,
    spans: Spans | bool = False,
    timeout: float | None = None,
    request_id: str | None = None,
) -> Call[RerankResult]:
    """Scores passages against a query and returns the best of them.

    Args:
        query: The question; for one that is too long see `query_truncation`.
        passages: 1 to the server's limit (10,000 by default), each a str or a `Passage`. For more,
            send several sets through `rerank_stream`.
        top_n: How many of the best to return. 0: all, best first.
        model: The reranker's id, as in `models()`. None: the server's default.
        blend: Weight of the first pass in the order, as in `CandidateSet`.
        truncation: What happens to a passage that is too long for the model: "truncate",
            "max_window" or "reject". None: "truncate".
        min_score: Leaves out hits whose `score` is lower. None: no hit is left out.
        return_text: Whether hits repeat their title and text.
        instruction: What makes a passage relevant, in words, for a model that is told so, as in
            `CandidateSet`. None: the model's own.
        query_truncation: What happens to a query that is too long for the model: "truncate" or
            "reject". None: "truncate", which the result tells by `query_truncated`.
        spans: Whether the best passages tell which of their sentences answer, and how. True: all
            defaults. Where there is no time or room for them, passages come without, as
            `spans_status` tells.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.
        request_id: What the server's log and traces call this request by: 1 to 64 of a-z, A-Z, 0-9,
            '.', '_' and '-', such as a UUID. None: the server makes one up.

    Raises:
        InvalidArgumentError: Among others, an instruction for a model that takes none, or a query
            that is too long and not to be cut.
        NotFoundError: No such model.
        OverloadedError: The queue has no room for all passages; nothing was scored.
        DeadlineExceededError: Not all passages could be scored in time.
        TypeError: An argument is of the wrong type, such as one str for all passages.
    """
    refuse_single(passages, "passages", str, Passage)
    options = _options(
        query=query,
        top_n=top_n,
        model=model,
        blend=blend,
        truncation=truncation,
        min_score=min_score,
        return_text=return_text,
        instruction=instruction,
        query_truncation=query_truncation,
        spans=spans,
    )
    request = rerank_pb2.RerankRequest(candidates=_candidates(passages), **options)
    return Call(_rpcs.RERANK, request, result_of, timeout, request_id=request_id)


def pieces(candidates: CandidateSet, piece_size: int) -> Iterator[rerank_pb2.RerankStreamRequest]:
    """Cuts a set into messages of at most `piece_size` candidates and of moderate size.

    Raises:
        TypeError: `candidates` is not a `CandidateSet`.
    """
    if not isinstance(candidates, CandidateSet):
        raise TypeError(f"sets: a CandidateSet is needed, {type(candidates).__name__} given")
    piece = rerank_pb2.RerankStreamRequest(
        set_id=candidates.set_id,
        set=rerank_pb2.RerankSet(
            num_candidates=len(candidates.passages),
            running=candidates.running,
            **_options_of(candidates),
        ),
    )
    num_bytes = 0
    for candidate in _candidates(candidates.passages):
        size = candidate.ByteSize()
        is_full = num_bytes + size > STREAMED_MESSAGE_BYTES or len(piece.candidates) == piece_size
        if piece.candidates and is_full:
            yield piece
            piece = rerank_pb2.RerankStreamRequest(set_id=candidates.set_id)
            num_bytes = 0
        piece.candidates.append(candidate)
        num_bytes += size
    yield piece


def _options_of(candidates: CandidateSet) -> dict[str, Any]:
    return _options(
        query=candidates.query,
        top_n=candidates.top_n,
        model=candidates.model,
        blend=candidates.blend,
        truncation=candidates.truncation,
        min_score=candidates.min_score,
        return_text=candidates.return_text,
        instruction=candidates.instruction,
        query_truncation=candidates.query_truncation,
        spans=candidates.spans,
    )


def _options(
    *,
    query: str,
    top_n: int,
    model: str | None,
    blend: float | None,
    truncation: Truncation | None,
    min_score: float | None,
    return_text: bool,
    instruction: str | None,
    query_truncation: QueryTruncation | None,
    spans: Spans | bool,
) -> dict[str, Any]:
    """The fields that RerankRequest and RerankSet share."""
    return {
        "query": text(query, "query"),
        "top_n": int32(top_n, "top_n"),
        "model": text(model or "", "model"),
        "truncation": number_of(rerank_pb2.Truncation, truncation, "truncation"),
        "blend": real(blend, "blend"),
        "min_score": real(min_score, "min_score"),
        "return_text": return_text,
        "instruction": text(instruction or "", "instruction"),
        "query_truncation": number_of(
            rerank_pb2.QueryTruncation, query_truncation, "query_truncation"
        ),
        "spans": spans_message(spans),
    }


def _candidates(passages: Iterable[str | Passage]) -> Iterator[rerank_pb2.Candidate]:
    for index, passage in enumerate(passages):
        where = f"passages[{index}]"
        if isinstance(passage, Passage):
            yield rerank_pb2.Candidate(
                text=text(passage.text, f"{where}.text"),
                title=text(passage.title, f"{where}.title"),
                id=text(passage.id, f"{where}.id"),
                first_pass_score=real(passage.first_pass_score, f"{where}.first_pass_score"),
            )
        else:
            yield rerank_pb2.Candidate(text=text(passage, where))
