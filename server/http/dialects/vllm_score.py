"""Scores of pairs as vLLM has them: one text with many, or each with its own, in input order."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from twopass.server.errors import InvalidRequestError
from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.ranking import (
    Caps,
    Order,
    RankTexts,
    Texts,
    read_passages,
    read_query,
    read_truncation,
    told_of_cuts,
)
from twopass.server.http.dialects.superset import SHARED, Usage, usage_of
from twopass.server.http.dialects.text_parts import text_of
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.models.passages import check_count
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet
from twopass.server.servicers.options import read_instruction

TextOrTexts: TypeAlias = str | dict[str, Any] | list[str | dict[str, Any]]

# Bytes of a score in an answer.
_SCORE_BYTES = 64


class ScoreBody(msgspec.Struct):
    """A request; what is scored with what comes under one of four pairs of names."""

    queries: TextOrTexts | None = None
    documents: TextOrTexts | None = None
    items: TextOrTexts | None = None
    data_1: TextOrTexts | None = None
    data_2: TextOrTexts | None = None
    text_1: TextOrTexts | None = None
    text_2: TextOrTexts | None = None
    model: str | None = None
    instruction: str | None = None
    use_activation: bool | None = None
    max_tokens_per_query: int | None = None
    max_tokens_per_doc: int | None = None
    truncate_prompt_tokens: int | None = None


class Score(msgspec.Struct):
    """The score of a pair."""

    index: int
    object: str
    score: float


class ScoreAnswer(msgspec.Struct):
    """The scores, in input order."""

    id: str
    object: str
    created: int
    model: str
    data: list[Score]
    usage: Usage


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, read.

    Attributes:
        body: Its fields.
        sets: The pairs, by their queries.
        positions: Where the pairs of each set stand in the request.
        order: How they are scored.
    """

    body: ScoreBody
    sets: list[Texts]
    positions: list[list[int]]
    order: Order


class Scoring:
    """Answers score requests."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._ranking = RankTexts(parts)

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Scores the pairs of a request."""
        run = self._parts.translating.run_json
        asked = await run(len(http.body), self._read, http, request=request)
        ranked = await self._ranking.rank_each(asked.sets, asked.order, request)
        num_bytes = _SCORE_BYTES * sum(map(len, asked.positions))
        body = await run(num_bytes, _written, asked, ranked, request.id, request=request)
        return Answer(body=body, headers=told_of_cuts(*ranked))

    def _read(self, http: HttpRequest) -> _Asked:
        body: ScoreBody = decode(http.body, ScoreBody)
        limits = self._parts.limits
        firsts, seconds = _sides(body)
        (first_name, queries), (second_name, passages) = _texts(*firsts), _texts(*seconds)
        count = len(passages)
        check_count(second_name, count, limits.max_candidates, "send several requests")
        if len(queries) not in (1, count):
            raise InvalidRequestError(
                f"{first_name}: {len(queries):,} given, {second_name} has {count:,}; one, or as "
                f"many as {second_name}, are needed"
            )
        order = Order(
            reranker=self._parts.named_models.reranker(http, body.model),
            field=second_name,
            truncation=read_truncation(http),
            instruction=read_instruction("instruction", body.instruction or "", limits),
            caps=Caps(
                query=max(0, body.max_tokens_per_query or 0),
                passage=max(0, body.max_tokens_per_doc or 0),
                pair=max(0, body.truncate_prompt_tokens or 0),
            ),
        )
        read_passages(passages, order, limits)
        places: dict[str, list[int]] = {}
        if len(queries) == 1:
            places[queries[0]] = list(range(count))
        else:
            for i, query in enumerate(queries):
                places.setdefault(query, []).append(i)
        sets = []
        for query, positions in places.items():
            read = read_query(f"{first_name}[{positions[0]}]", query, order, limits)
            own = [passages[i] for i in positions]
            sets.append(Texts(query=read, passages=own, query_was_cut=len(read) < len(query)))
        return _Asked(body, sets, list(places.values()), order)


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """Scores at `/score` and `/v1/score`."""
    answer = Scoring(parts).answer
    return [
        Endpoint(name="vllm.score", method="POST", path=path, answer=answer, dialect=SHARED)
        for path in ("/score", "/v1/score")
    ]


_Side: TypeAlias = tuple[str, TextOrTexts]


def _sides(body: ScoreBody) -> tuple[_Side, _Side]:
    """What is scored with what, by the names that the request has for both."""
    pairs = (
        ("queries", body.queries, "documents", body.documents),
        ("queries", body.queries, "items", body.items),
        ("data_1", body.data_1, "data_2", body.data_2),
        ("text_1", body.text_1, "text_2", body.text_2),
    )
    for first_name, first, second_name, second in pairs:
        if first is not None and second is not None:
            return (first_name, first), (second_name, second)
    raise InvalidRequestError(
        "queries: no pairs given; queries and documents, text_1 and text_2, or data_1 and data_2 "
        "are needed"
    )


def _texts(name: str, given: TextOrTexts) -> tuple[str, list[str]]:
    """The texts of one side of the pairs."""
    items: Sequence[str | dict[str, Any]] = given if isinstance(given, list) else [given]
    texts = [
        item if isinstance(item, str) else text_of(item, (), f"{name}[{i}]")
        for i, item in enumerate(items)
    ]
    return name, texts


def _written(asked: _Asked, ranked: Sequence[RankedSet], call_id: str) -> bytes:
    is_raw = asked.body.use_activation is False
    scores = [0.0] * sum(map(len, asked.positions))
    for positions, result in zip(asked.positions, ranked, strict=True):
        values = result.logits if is_raw else result.scores
        for position, score in zip(positions, values.tolist(), strict=True):
            scores[position] = score
    return encode(
        ScoreAnswer(
            id=call_id,
            object="list",
            created=int(time.time()),
            model=ranked[0].model,
            data=[Score(i, "score", score) for i, score in enumerate(scores)],
            usage=usage_of(sum(result.num_tokens for result in ranked)),
        )
    )
