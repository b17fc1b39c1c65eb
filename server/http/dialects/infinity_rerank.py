"""Rerank as Infinity has it, below `/infinity`: documents come back as plain strings."""

import time
from dataclasses import dataclass
from typing import Any

import msgspec

from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.ranking import (
    Order,
    RankTexts,
    Texts,
    read_texts,
    read_top_n,
    read_truncation,
    told_of_cuts,
)
from twopass.server.http.dialects.superset import SHARED, Usage, usage_of
from twopass.server.http.dialects.text_parts import text_of
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet

# Bytes of a result in an answer, its document not counted.
_RESULT_BYTES = 64


class InfinityBody(msgspec.Struct):
    """A request. LiteLLM passes on documents that are objects."""

    query: str
    documents: list[str | dict[str, Any]]
    return_documents: bool | None = None
    raw_scores: bool | None = None
    model: str | None = None
    top_n: int | None = None


class InfinityResult(msgspec.Struct, omit_defaults=True):
    """A document in order."""

    relevance_score: float
    index: int
    document: str | None = None


class InfinityAnswer(msgspec.Struct):
    """The documents, best first."""

    object: str
    results: list[InfinityResult]
    model: str
    usage: Usage
    id: str
    created: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, read.

    Attributes:
        body: Its fields.
        documents: The texts of its documents.
        texts: What the model is to read.
        order: How it wants them ordered.
    """

    body: InfinityBody
    documents: list[str]
    texts: Texts
    order: Order


class InfinityRerank:
    """Answers rerank requests."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._ranking = RankTexts(parts)

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Ranks the documents of a request."""
        run = self._parts.translating.run_json
        asked = await run(len(http.body), self._read, http, request=request)
        ranked = await self._ranking.rank(asked.texts, asked.order, request)
        num_bytes = _RESULT_BYTES * len(ranked.order)
        if asked.body.return_documents:
            num_bytes += len(http.body)
        written = await run(num_bytes, _written, asked, ranked, request.id, request=request)
        return Answer(body=written, headers=told_of_cuts(ranked))

    def _read(self, http: HttpRequest) -> _Asked:
        body: InfinityBody = decode(http.body, InfinityBody)
        documents = [
            document if isinstance(document, str) else text_of(document, (), f"documents[{i}]")
            for i, document in enumerate(body.documents)
        ]
        order = Order(
            reranker=self._parts.named_models.reranker(http, body.model),
            top_n=read_top_n("top_n", body.top_n, len(documents)),
            truncation=read_truncation(http),
        )
        texts = read_texts(body.query, list(documents), order, self._parts.limits)
        return _Asked(body, documents, texts, order)


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """Rerank below Infinity's prefix."""
    return [
        Endpoint(
            name="infinity.rerank",
            method="POST",
            path="/infinity/rerank",
            answer=InfinityRerank(parts).answer,
            dialect=SHARED,
        )
    ]


def _written(asked: _Asked, ranked: RankedSet, call_id: str) -> bytes:
    body = asked.body
    values = ranked.logits if body.raw_scores else ranked.scores
    order = ranked.order.tolist()
    documents = [asked.documents[i] if body.return_documents else None for i in order]
    results = list(map(InfinityResult, values[ranked.order].tolist(), order, documents))
    return encode(
        InfinityAnswer(
            object="rerank",
            results=results,
            model=ranked.model,
            usage=usage_of(ranked.num_tokens),
            id=call_id,
            created=int(time.time()),
        )
    )
