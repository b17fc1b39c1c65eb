"""Candidate sets from and to messages, for Rerank and RerankStream alike."""

import math
from collections.abc import Sequence

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits, check_text, passage_of, problem_of
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet, SetOptions
from twopass.server.servicers.options import (
    read_blend,
    read_count,
    read_min_score,
    read_truncation,
)
from twopass.server.servicers.timings import timings_message
from twopass.v1 import rerank_pb2


def read_options(
    message: rerank_pb2.RerankRequest | rerank_pb2.RerankSet,
    num_candidates: int,
    limits: Limits,
    request: Request,
    passages: Sequence[str] = (),
) -> SetOptions:
    """Reads a set's query and options; `passages` are those that came with them.

    Raises:
        InvalidRequestError: Names the field, the limit and the value.
    """
    check_text("query", message.query, limits.max_query_bytes)
    if not message.query.strip():
        raise InvalidRequestError("query: empty, at least one word is needed")
    return SetOptions(
        query=message.query,
        num_candidates=num_candidates,
        passage_chars=list(map(len, passages)),
        top_n=read_count("top_n", message.top_n),
        model=message.model,
        truncation=read_truncation("truncation", message.truncation),
        blend=read_blend(message),
        min_score=read_min_score(message),
        deadline=request.deadline,
    )


def read_passages(
    candidates: Sequence[rerank_pb2.Candidate], start: int, limits: Limits
) -> list[str]:
    """The passages of a set or a piece, whose first candidate is the set's number `start`.

    Raises:
        InvalidRequestError: One is empty, too long, or no text.
    """
    passages = []
    for i, candidate in enumerate(candidates, start):
        passage = passage_of(candidate.title, candidate.text)
        if not passage:
            raise InvalidRequestError(f"candidates[{i}].text: empty, and there is no title")
        if problem := problem_of(passage, limits.max_passage_bytes):
            raise InvalidRequestError(f"candidates[{i}].text: {problem}")
        passages.append(passage)
    return passages


def read_first_pass_scores(
    candidates: Sequence[rerank_pb2.Candidate], start: int
) -> list[float | None]:
    """The first-pass scores of a set or a piece; None for a candidate without one.

    Raises:
        InvalidRequestError: One is not finite.
    """
    scores: list[float | None] = []
    for i, candidate in enumerate(candidates, start):
        if not candidate.HasField("first_pass_score"):
            scores.append(None)
        elif math.isfinite(candidate.first_pass_score):
            scores.append(candidate.first_pass_score)
        else:
            raise InvalidRequestError(
                f"candidates[{i}].first_pass_score: {candidate.first_pass_score} given, "
                "a finite number is needed"
            )
    return scores


def ranked_message(
    ranked: RankedSet, candidates: Sequence[rerank_pb2.Candidate], *, return_text: bool
) -> rerank_pb2.RerankResponse:
    """A ranked set as a message."""
    response = rerank_pb2.RerankResponse(
        model=ranked.model,
        blend=ranked.blend,
        num_below_min_score=ranked.num_below_min_score,
        num_tokens=ranked.num_tokens,
        timings=timings_message(ranked.timings),
    )
    scores, logits = ranked.scores.tolist(), ranked.logits.tolist()
    truncated = ranked.truncated.tolist()
    for rank, position in enumerate(ranked.order.tolist()):
        candidate = candidates[position]
        hit = response.hits.add(
            index=position,
            id=candidate.id,
            score=scores[position],
            logit=logits[position],
            truncated=truncated[position],
            title=candidate.title if return_text else "",
            text=candidate.text if return_text else "",
        )
        if ranked.spans is not None:
            hit.window.start, hit.window.end = ranked.spans[rank]
    return response
