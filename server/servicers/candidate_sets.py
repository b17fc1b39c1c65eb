"""Candidate sets from and to messages, for both Rerank and RerankStream."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from twopass._core import Texts, hit_bytes
from twopass._core import read_candidates as core_candidates
from twopass.index.documents import MAX_ID_BYTES
from twopass.server.edge.messages import ReadMessage, WrittenAnswer
from twopass.server.errors import InvalidRequestError, ResponseTooLargeError
from twopass.server.models.passages import (
    Limits,
    Truncation,
    check_text,
    num_chars,
    problem_of,
)
from twopass.server.search.open_set import RankedSet, SetOptions
from twopass.server.servicers.options import (
    TO_CUT_QUERY,
    TRUNCATIONS,
    read_blend,
    read_count,
    read_instruction,
    read_min_score,
    read_query_truncation,
)
from twopass.server.servicers.spans import (
    add_spans,
    add_texts,
    read_spans,
    spans_bytes,
    spans_status,
    texts_length,
)
from twopass.server.servicers.timings import timings_message
from twopass.v1 import rerank_pb2

# Bytes of a hit without its texts, of a hit's tag and length, and of the answer's other fields.
_HIT_BYTES = 64
_FIELD_BYTES = 6
_REST_BYTES = 1_024
# Of a request's fields beside its candidates; more of them are decoded a piece at a time.
_MAX_REST_BYTES = 64 * 1024


def read_options(
    message: rerank_pb2.RerankRequest | rerank_pb2.RerankSet,
    num_candidates: int,
    limits: Limits,
    passages: Sequence[str] = (),
) -> SetOptions:
    """Reads a set's query and options; `passages` are those of the same message.

    Raises:
        InvalidRequestError: A field is out of range; names the field, the limit and the value.
    """
    check_text("query", message.query, limits.max_query_bytes)
    if not message.query.strip():
        raise InvalidRequestError("query: empty, at least one word is needed")
    return SetOptions(
        query=message.query,
        num_candidates=num_candidates,
        passage_chars=num_chars(passages),
        top_n=read_count("top_n", message.top_n),
        model=message.model,
        truncation=TRUNCATIONS.read("truncation", message.truncation) or Truncation.TRUNCATE,
        blend=read_blend("blend", message),
        min_score=read_min_score("min_score", message),
        instruction=read_instruction("instruction", message.instruction, limits),
        query_truncation=read_query_truncation(message.query_truncation),
        to_cut=TO_CUT_QUERY,
        spans=read_spans(message),
    )


@dataclass(frozen=True, slots=True)
class ReadCandidates:
    """The candidates of a set, or of one piece of it, in the order received.

    Attributes:
        passages: Title and text of each candidate, as the reranker reads them.
        first_pass_scores: The client's score of each candidate; None where it sent none.
        ids: The client's name of each candidate; "" where it gave none.
        titles: The title of each candidate; None where no spans are wanted, which alone need them.
    """

    passages: Sequence[str]
    first_pass_scores: list[float | None]
    ids: Sequence[str]
    titles: list[str] | None = None


def read_plain_set(
    content: bytes, limits: Limits
) -> ReadMessage[rerank_pb2.RerankRequest, ReadCandidates] | None:
    """Reads a `RerankRequest` from its bytes, candidates without an object for each.

    Returns:
        The request without its candidates, and these; None where protobuf has to read them: where
        one breaks a rule or is not as protobuf writes it, or where texts, windows or spans are to
        be told.
    """
    found = core_candidates(
        content,
        max_candidates=limits.max_candidates,
        max_passage_bytes=limits.max_passage_bytes,
        max_id_bytes=MAX_ID_BYTES,
        max_rest_bytes=_MAX_REST_BYTES,
    )
    if found is None:
        return None
    passages, ids, scores, has_score, rest = found
    try:
        message = rerank_pb2.RerankRequest.FromString(rest)
    except DecodeError:
        return None
    in_windows = message.truncation == rerank_pb2.TRUNCATION_MAX_WINDOW
    if message.return_text or in_windows or message.HasField("spans"):
        return None
    given = zip(scores.tolist(), has_score.tolist(), strict=True)
    first_pass_scores = [score if is_given else None for score, is_given in given]
    return ReadMessage(message, ReadCandidates(passages, first_pass_scores, ids))


def read_candidates(
    candidates: Sequence[rerank_pb2.Candidate], start: int, limits: Limits
) -> ReadCandidates:
    """Reads the candidates of a set or a piece; `start` is the first one's position in the set.

    Raises:
        InvalidRequestError: A passage is empty, too long or holds a NUL; an id is too long; or a
            score is not finite.
    """
    passages: list[str] = []
    titles: list[str] = []
    ids: list[str] = []
    scores: list[float | None] = []
    # One of ten thousand is wrong, and each is looked at: what is wrong is told apart, below.
    max_chars, max_id_chars = limits.max_passage_bytes // 4, MAX_ID_BYTES // 4
    for candidate in candidates:
        title, text, id_ = candidate.title, candidate.text, candidate.id
        passage = f"{title} {text}".strip() if title else text
        has_score = candidate.HasField("first_pass_score")
        score = candidate.first_pass_score if has_score else None
        if (
            not 0 < len(passage) <= max_chars
            or len(id_) > max_id_chars
            or "\0" in passage
            or "\0" in id_
            or (has_score and not math.isfinite(candidate.first_pass_score))
        ):
            _check(candidate, passage, start + len(passages), limits)
        passages.append(passage)
        titles.append(title)
        ids.append(id_)
        scores.append(score)
    return ReadCandidates(passages, scores, ids, titles)


def _check(candidate: rerank_pb2.Candidate, passage: str, i: int, limits: Limits) -> None:
    """Raises where a candidate breaks a rule; `i` is its position in the set."""
    if not passage:
        raise InvalidRequestError(f"candidates[{i}].text: empty, and there is no title")
    if problem := problem_of(passage, limits.max_passage_bytes):
        raise InvalidRequestError(f"candidates[{i}].text: {problem}")
    if problem := problem_of(candidate.id, MAX_ID_BYTES):
        raise InvalidRequestError(f"candidates[{i}].id: {problem}")
    if candidate.HasField("first_pass_score") and not math.isfinite(candidate.first_pass_score):
        raise InvalidRequestError(
            f"candidates[{i}].first_pass_score: {candidate.first_pass_score} given, a finite "
            "number is needed",
            value=candidate.first_pass_score,
        )


def answer_bytes(ranked: RankedSet, set_bytes: int, *, return_text: bool) -> int:
    """Estimated size of a ranked set's message; `set_bytes` is the size of the set as received."""
    of_spans = sum(map(spans_bytes, ranked.spans.hits))
    return _HIT_BYTES * len(ranked.order) + (set_bytes if return_text else 0) + of_spans


def ranked_message(
    ranked: RankedSet,
    candidates: Sequence[rerank_pb2.Candidate],
    return_text: bool,
    max_bytes: int,
) -> rerank_pb2.RerankResponse:
    """A ranked set as a message.

    Raises:
        ResponseTooLargeError: With the texts the message is larger than `max_bytes`.
    """
    response = _without_hits(ranked)
    scores, logits = ranked.scores.tolist(), ranked.logits.tolist()
    truncated = ranked.truncated.tolist()
    bytes_left = max_bytes - _REST_BYTES
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
        if ranked.windows is not None:
            hit.window.start, hit.window.end = ranked.windows[rank]
        spans = ranked.spans.of(rank)
        add_spans(spans, hit)
        add_texts(spans, hit)
        if return_text or texts_length(spans):
            bytes_left -= hit.ByteSize() + _FIELD_BYTES
            if bytes_left < 0:
                raise ResponseTooLargeError(
                    f"{'return_text' if return_text else 'spans'}: the texts of {rank + 1:,} hits "
                    f"are more than the {max_bytes:,} bytes of one answer (max_message_bytes); ask "
                    "for fewer by top_n, or leave "
                    + (
                        "return_text unset: the index says which candidate a hit is"
                        if return_text
                        else "spans.pruned_text and spans.highlight unset"
                    ),
                    limit_name="max_message_bytes",
                    limit=max_bytes,
                )
    return response


def is_plain(ranked: RankedSet, *, return_text: bool) -> bool:
    """Whether hits carry no text, no window and no spans, so that `ranked_answer` makes them."""
    return not return_text and ranked.windows is None and not ranked.spans.hits


def ranked_answer(ranked: RankedSet, ids: Sequence[str]) -> WrittenAnswer:
    """A ranked set as a message whose hits are written already, where it `is_plain`.

    Args:
        ranked: The set.
        ids: Of its candidates, in the order received.
    """
    hits = hit_bytes(
        ranked.order,
        ids if isinstance(ids, Texts) else list(ids),
        ranked.scores,
        ranked.logits,
        ranked.truncated,
    )
    return WrittenAnswer(_without_hits(ranked), hits)


def _without_hits(ranked: RankedSet) -> rerank_pb2.RerankResponse:
    return rerank_pb2.RerankResponse(
        model=ranked.model,
        blend=ranked.blend,
        num_below_min_score=ranked.num_below_min_score,
        num_tokens=ranked.num_tokens,
        timings=timings_message(ranked.timings),
        query_truncated=ranked.query_truncated,
        spans_status=spans_status(ranked.spans.status),
        num_cached=ranked.num_cached,
    )
