"""Rerank as Weaviate's module `reranker-transformers` asks for it, below `/weaviate`.

A user sets `RERANKER_INFERENCE_API=http://host:8080/weaviate`; Weaviate waits until that address is
ready before it starts itself.
"""

import msgspec

from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.ranking import (
    Order,
    RankTexts,
    Texts,
    read_texts,
    read_truncation,
    told_of_cuts,
)
from twopass.server.http.dialects.superset import status_of
from twopass.server.http.endpoint import Answer, Endpoint, Failure, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet

# Bytes of a score in an answer, its document not counted.
_SCORE_BYTES = 48


class WeaviateBody(msgspec.Struct):
    """A request; older Weaviates send one text, as `property`."""

    query: str
    documents: list[str] | None = None
    property: str | None = None


class DocumentScore(msgspec.Struct):
    """A document and its score."""

    document: str
    score: float


class DocumentsAnswer(msgspec.Struct):
    """The documents in input order."""

    query: str
    scores: list[DocumentScore]


class PropertyAnswer(msgspec.Struct):
    """The score of the one text."""

    query: str
    property: str
    score: float


class ModelMeta(msgspec.Struct):
    """What Weaviate shows of a model."""

    id: str
    kind: str
    revision: str
    max_seq_len: int


class MetaAnswer(msgspec.Struct):
    """What Weaviate shows of the module in its own meta data."""

    models: list[ModelMeta]


class WeaviateDialect:
    """Failures as Weaviate's modules tell them: their text alone."""

    def failed(self, failure: Failure) -> Answer:
        """The answer that tells a failure."""
        return Answer(body=encode({"error": failure.message}), status=status_of(failure))


WEAVIATE = WeaviateDialect()
"""One is enough: it holds nothing."""


class WeaviateRerank:
    """Answers what Weaviate asks of a reranker."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._ranking = RankTexts(parts)

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Scores the documents of a request."""
        run = self._parts.translating.run_json
        body, texts, order = await run(len(http.body), self._read, http, request=request)
        ranked = await self._ranking.rank(texts, order, request)
        num_bytes = _SCORE_BYTES * len(texts.passages) + len(http.body)
        written = await run(num_bytes, _written, body, ranked, request=request)
        return Answer(body=written, headers=told_of_cuts(ranked))

    def _read(self, http: HttpRequest) -> tuple[WeaviateBody, Texts, Order]:
        body: WeaviateBody = decode(http.body, WeaviateBody)
        is_single = body.documents is None and body.property is not None
        passages = [body.property or ""] if is_single else list(body.documents or ())
        order = Order(
            reranker=self._parts.named_models.reranker(http),
            field="property" if is_single else "documents",
            truncation=read_truncation(http),
        )
        return body, read_texts(body.query, passages, order, self._parts.limits), order

    async def meta(self, http: HttpRequest, request: Request) -> Answer:
        """Tells which models there are."""
        del http, request
        models = [
            ModelMeta(model.spec.id, model.spec.kind, model.spec.revision, model.spec.max_seq_len)
            for model in self._parts.models.all()
        ]
        return Answer(body=encode(MetaAnswer(models)))

    async def live(self, http: HttpRequest, request: Request) -> Answer:
        """Tells that the server runs."""
        del http, request
        return Answer(status=204)

    async def ready(self, http: HttpRequest, request: Request) -> Answer:
        """Tells whether the server answers."""
        del http, request
        return Answer(status=204 if self._parts.is_well() else 503)


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """What Weaviate asks for below its prefix."""
    rerank = WeaviateRerank(parts)
    prefix = "/weaviate"
    return [
        Endpoint(
            name="weaviate.rerank",
            method="POST",
            path=f"{prefix}/rerank",
            answer=rerank.answer,
            dialect=WEAVIATE,
        ),
        Endpoint(
            name="weaviate.meta",
            method="GET",
            path=f"{prefix}/meta",
            answer=rerank.meta,
            dialect=WEAVIATE,
            counts=False,
        ),
        *(
            Endpoint(
                name=f"weaviate.{name}",
                method="GET",
                path=f"{prefix}/.well-known/{name}",
                answer=answer,
                dialect=WEAVIATE,
                counts=False,
                tells_health=True,
            )
            for name, answer in (("live", rerank.live), ("ready", rerank.ready))
        ),
    ]


def _written(body: WeaviateBody, ranked: RankedSet) -> bytes:
    scores = ranked.scores.tolist()
    if body.documents is None:
        return encode(PropertyAnswer(body.query, body.property or "", scores[0]))
    documents = list(map(DocumentScore, body.documents, scores))
    return encode(DocumentsAnswer(body.query, documents))
