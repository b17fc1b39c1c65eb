"""Whether what a client got is right, and what it made of errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .questions import LONG_QUERY, LONG_TEXT, PASSAGES, QUERY, TEXTS, TOP_N
from .relay import Exchange
from .servers import DEFAULT_RERANKER, RERANKER, Reference

_CLOSE = 1e-6
"""How far a number may be from gRPC's: both print the same float32, clients may convert it."""

ERRORS = {
    "key": ((401,), ("UNAUTHENTICATED",)),
    "model": ((404,), ("NOT_FOUND",)),
    "uncut": ((400, 422), ("INVALID_ARGUMENT",)),
    "load": ((429,), ("RESOURCE_EXHAUSTED",)),
    "retry": ((429,), ("RESOURCE_EXHAUSTED",)),
}
"""For each check that must be refused: statuses of HTTP, and of gRPC."""

_RETRY = "retry"
_SIMILARITY = "embed: similarity"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check.

    Attributes:
        check: Its name: a column, or a column and a way after a colon.
        ok: Whether it is as it should be; None where it does not apply.
        detail: In words: what is wrong, or what the client made of it.
    """

    check: str
    ok: bool | None
    detail: str


def judge(line: dict[str, Any], exchanges: Sequence[Exchange], reference: Reference) -> Result:
    """Judges a line that a script printed.

    Args:
        line: What it printed.
        exchanges: What passed between the client and the server meanwhile; empty over gRPC.
        reference: What is right.
    """
    check = line["check"]
    if "skipped" in line:
        return Result(check, None, line["skipped"])
    if check in ERRORS:
        return _judge_refusal(line, exchanges, reference)
    if "error" in line:
        error = line["error"]
        return Result(check, False, f"{error['class']}: {error['message']}")
    wrong = _wrong(line, reference)
    return Result(check, not wrong, wrong or _paths(exchanges))


def _judge_refusal(
    line: dict[str, Any], exchanges: Sequence[Exchange], reference: Reference
) -> Result:
    check = line["check"]
    statuses, codes = ERRORS[check]
    error = line.get("error")
    refusals = [exchange for exchange in exchanges if exchange.status in statuses]
    if error is None and (check != _RETRY or _wrong(line, reference)):
        return Result(check, False, f"no error, {str(line['values'])[:60]}")
    if (
        check == "model"
        and error
        and exchanges
        and all(e.method == "GET" and e.status == 200 for e in exchanges)
    ):
        return Result(check, True, f"asks for the models; {name_of(error)}")
    if exchanges and not refusals:
        seen = sorted({exchange.status for exchange in exchanges})
        return Result(check, False, f"the server said {seen}, not {statuses}")
    if error and not exchanges and not any(code in _text(error) for code in codes):
        return Result(check, False, f"{_text(error)}, not {codes}")
    if check in ("load", _RETRY) and exchanges and refusals[0].retry_after is None:
        return Result(check, False, "no Retry-After")
    return Result(check, True, _surfaced(error, refusals, exchanges))


def name_of(error: dict[str, Any]) -> str:
    """What a user calls an exception; "" for the one of the requests that are written down here."""
    name: str = error["class"].removeprefix("builtins.")
    return "" if name == "asking.RefusedError" else name


def _text(error: dict[str, Any]) -> str:
    return f"{error['class']} {error['status']} {error['message']}"


def _surfaced(
    error: dict[str, Any] | None, refusals: Sequence[Exchange], exchanges: Sequence[Exchange]
) -> str:
    """What a refused client did: waited and tried again, and what it raised in the end."""
    waits = []
    for refused in refusals:
        later = [e.began for e in exchanges if e.began >= refused.ended and e.path == refused.path]
        if later:
            asked = refused.retry_after or 0.0
            waits.append(f"{min(later) - refused.ended:.1f} s (asked: {asked:g})")
    said = f"tried again after {', '.join(waits)}; " if waits else ""
    if error is None:
        return f"{said}answered"
    return f"{said}{name_of(error)} {error['status']}".strip()


def _wrong(line: dict[str, Any], reference: Reference) -> str:
    """What is wrong with an answer; "" for nothing."""
    is_long = line["check"] == "long"
    if line["check"] == _SIMILARITY:
        return wrong_similarities(line["values"], reference)
    if line["kind"] == "embed":
        return wrong_vectors(line["values"], [LONG_TEXT] if is_long else TEXTS, reference)
    model = line["model"] if line["model"] == RERANKER else DEFAULT_RERANKER
    query = LONG_QUERY if is_long else QUERY
    return wrong_ranking(
        line["values"], reference.scores[model, query], column=int(line["scale"] == "logit")
    )


def wrong_ranking(
    ranked: Sequence[tuple[int, float]], scores: Sequence[tuple[float, float]], *, column: int
) -> str:
    """What is wrong with a ranking of the passages; "" for nothing.

    Args:
        ranked: Index and score of each, best first.
        scores: What is right: score and logit of each passage.
        column: Which of both `ranked` has, 0 or 1.
    """
    right = sorted(range(len(scores)), key=lambda index: (-scores[index][1], index))
    indexes = [index for index, _ in ranked]
    if len(indexes) not in (TOP_N, len(PASSAGES)) or indexes != right[: len(indexes)]:
        return f"order {indexes}, {right} is right"
    for index, score in ranked:
        if column == 0 and not 0 <= score <= 1:
            return f"score {score} of passage {index} is not in [0, 1]"
        if not abs(score - scores[index][column]) <= _CLOSE:
            return f"passage {index} has {score}, {scores[index][column]} is right"
    return ""


def wrong_vectors(
    vectors: Sequence[Sequence[float]], texts: Sequence[str], reference: Reference
) -> str:
    """What is wrong with embeddings of these texts; "" for nothing."""
    if len(vectors) != len(texts):
        return f"{len(vectors)} embeddings of {len(texts)} texts"
    for number, (vector, text) in enumerate(zip(vectors, texts, strict=True)):
        right = reference.vectors[text]
        if len(vector) != len(right):
            return f"embedding {number} has {len(vector)} components, {len(right)} are right"
        difference = float(np.abs(np.array(vector) - right).max())
        if not difference <= _CLOSE:
            return f"embedding {number} is {difference:.1e} from gRPC's"
    return ""


def wrong_similarities(values: Sequence[Sequence[float]], reference: Reference) -> str:
    """What is wrong with cosines of the first text with the others; "" for nothing."""
    first, *others = (reference.vectors[text] for text in TEXTS)
    right = [float(first @ other) for other in others]
    if len(values) != 1 or not np.allclose(values[0], right, rtol=0, atol=_CLOSE):
        return f"similarities {values}, {right} are right"
    return ""


def _paths(exchanges: Sequence[Exchange]) -> str:
    """What a client asked for, each once."""
    asked = (f"{each.method} {each.path}" for each in exchanges)
    return ", ".join(dict.fromkeys(asked))
