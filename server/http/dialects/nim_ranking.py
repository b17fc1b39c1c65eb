"""Ranking as NVIDIA's NIM has it: passages as objects, logits in the answer."""

from typing import Any, Literal

import msgspec

from twopass.engines.base.model import LoadedEncoder
from twopass.server.http.bodies import MalformedBodyError, decode, encode
from twopass.server.http.dialects.ranking import (
    Order,
    RankTexts,
    Texts,
    read_texts,
    read_top_n,
    read_truncation,
    told_of_cuts,
)
from twopass.server.http.dialects.superset import SharedDialect, Usage, usage_of
from twopass.server.http.dialects.text_parts import TextPart, text_of
from twopass.server.http.endpoint import Answer, Endpoint, Failure, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet

# Bytes of a passage's place in an answer.
_RANKING_BYTES = 48
_UNPROCESSABLE = 422


class RankingBody(msgspec.Struct):
    """A request. `top_k` is LiteLLM's, `top_n` RAGFlow's."""

    query: TextPart | str
    passages: list[str | dict[str, Any]]
    model: str | None = None
    truncate: Literal["NONE", "END"] | None = None
    top_k: int | None = None
    top_n: int | None = None


class Ranking(msgspec.Struct):
    """A passage in order."""

    index: int
    logit: float


class RankingAnswer(msgspec.Struct):
    """The passages, best first."""

    rankings: list[Ranking]
    usage: Usage


class NimDialect(SharedDialect):
    """Failures as on the shared paths, but for bodies of another structure, which are 422."""

    def failed(self, failure: Failure) -> Answer:
        """The answer with every dialect's fields."""
        error = failure.error
        if isinstance(error, MalformedBodyError) and not error.is_syntax:
            return self.told(failure, _UNPROCESSABLE)
        return super().failed(failure)


NIM = NimDialect()
"""One is enough: it holds nothing."""


class NimRanking:
    """Answers ranking requests."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._ranking = RankTexts(parts)

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Ranks the passages of a request."""
        run = self._parts.translating.run_json
        texts, order = await run(len(http.body), self._read, http, request=request)
        ranked = await self._ranking.rank(texts, order, request)
        num_bytes = _RANKING_BYTES * len(ranked.order)
        body = await run(num_bytes, _written, ranked, request=request)
        return Answer(body=body, headers=told_of_cuts(ranked))

    def _read(self, http: HttpRequest) -> tuple[Texts, Order]:
        body: RankingBody = decode(http.body, RankingBody)
        passages = [
            passage if isinstance(passage, str) else text_of(passage, (), f"passages[{i}]")
            for i, passage in enumerate(body.passages)
        ]
        count = len(passages)
        top_n = read_top_n("top_k", body.top_k, count) or read_top_n("top_n", body.top_n, count)
        order = Order(
            reranker=self._parts.named_models.reranker(http, self._model(http, body)),
            field="passages",
            top_n=top_n,
            truncates=body.truncate != "NONE",
            way_out="set truncate to END",
            truncation=read_truncation(http),
        )
        query = body.query if isinstance(body.query, str) else body.query.text
        return read_texts(query, passages, order, self._parts.limits), order

    def _model(self, http: HttpRequest, body: RankingBody) -> str | None:
        """The model that a request names.

        LiteLLM writes points for underscores in the body, so what the path says comes first where
        it is a model of the server. NVIDIA's clients that are told no model take the first that
        `/v1/models` lists, which is the default encoder: that means the default reranker.
        """
        models = self._parts.models
        in_path = http.variables.get("model", "")
        if in_path and models.find(in_path) is not None:
            return in_path
        named = models.find(body.model) if body.model and not in_path else None
        if isinstance(named, LoadedEncoder) and models.is_default(named):
            return None
        return body.model or in_path


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """Ranking at NIM's own path, and at that of NVIDIA's hosted models."""
    answer = NimRanking(parts).answer
    return [
        Endpoint(name="nim.ranking", method="POST", path=path, answer=answer, dialect=NIM)
        for path in ("/v1/ranking", "/v1/retrieval/{model=**}/reranking")
    ]


def _written(ranked: RankedSet) -> bytes:
    logits = ranked.logits[ranked.order].tolist()
    rankings = list(map(Ranking, ranked.order.tolist(), logits))
    return encode(RankingAnswer(rankings, usage_of(ranked.num_tokens)))
