"""Where the server's time went."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from twopass.client._values import seconds
from twopass.v1 import timings_pb2

_Stage: TypeAlias = Literal[
    "total", "tokenize", "queue", "embed", "retrieve", "load", "rerank", "spans", "arrange"
]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the server spent the time of one request, in milliseconds.

    None for a stage that did not run. Stages may overlap and some work belongs to no stage, so they
    need not add up to the total. None of them includes the network.

    Attributes:
        total_ms: From the request's last byte decoded to the answer ready to encode.
        tokenize_ms: Turning texts into token ids.
        queue_ms: Waiting for an engine.
        embed_ms: Embedding the query.
        retrieve_ms: Searching the index, dense and lexical, and fusing.
        load_ms: Loading the candidates' stored token ids.
        rerank_ms: Scoring: the batches that held this request's pairs, from first to last.
        spans_ms: Cutting the best hits' texts into sentences and scoring these.
        arrange_ms: Comparing candidates with each other, for `collapse` and `diversity`.
    """

    total_ms: float | None
    tokenize_ms: float | None
    queue_ms: float | None
    embed_ms: float | None
    retrieve_ms: float | None
    load_ms: float | None
    rerank_ms: float | None
    spans_ms: float | None = None
    arrange_ms: float | None = None


def timings(message: timings_pb2.Timings) -> Timings:
    """Reads the timings of an answer."""

    def milliseconds(stage: _Stage) -> float | None:
        return seconds(getattr(message, stage)) * 1000 if message.HasField(stage) else None

    return Timings(
        total_ms=milliseconds("total"),
        tokenize_ms=milliseconds("tokenize"),
        queue_ms=milliseconds("queue"),
        embed_ms=milliseconds("embed"),
        retrieve_ms=milliseconds("retrieve"),
        load_ms=milliseconds("load"),
        rerank_ms=milliseconds("rerank"),
        spans_ms=milliseconds("spans"),
        arrange_ms=milliseconds("arrange"),
    )
