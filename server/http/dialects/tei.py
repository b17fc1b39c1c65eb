"""text-embeddings-inference (TEI) 1.9 over HTTP: its routes, headers and failures.

TEI serves one model. Here the root stands for the default models, the reranker where an encoder
would do as well, and `/models/{id}` for any other.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import grpc
import msgspec

from twopass.engines.base.model import LoadedReranker
from twopass.server.errors import WrongModelKindError
from twopass.server.http.bodies import MalformedBodyError, decode, encode
from twopass.server.http.dialects.tei_bodies import (
    TOKEN_BYTES,
    DecodeBody,
    EmbedBody,
    ErrorBody,
    Glance,
    PredictBody,
    RerankBody,
    SimilarityBody,
    TokenizeBody,
    VertexBody,
    info_of,
    predictions_of,
    ranks_of,
)
from twopass.server.http.endpoint import Answer, Endpoint, Failure, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.http.statuses import HttpError
from twopass.server.http.vectors import as_numbers
from twopass.server.request import Request
from twopass.server.tei.errors import ErrorType, failure_of
from twopass.server.tei.sequences import check_answer, check_batch

_PLAIN = "text/plain; charset=utf-8"
_STATUSES = {
    ErrorType.UNHEALTHY: 503,
    ErrorType.BACKEND: 424,
    ErrorType.OVERLOADED: 429,
    ErrorType.VALIDATION: 422,
    ErrorType.TOKENIZER: 422,
    ErrorType.EMPTY: 400,
}
# What no server of TEI answers, and HTTP has a status for.
_STATUSES_OF_CODES = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.CANCELLED: 499,
}
# Bytes of an answer for each rank and each label.
_RANK_BYTES, _LABEL_BYTES = 48, 48
# A pair of texts in a list, which is nothing to embed.
_PAIRS = re.compile(rb'\[\s*\[\s*"')

Body = TypeVar("Body")
Written = tuple[bytes, tuple[tuple[str, str], ...]]
"""The content of an answer, and its headers."""


class TeiDialect:
    """How TEI tells failures; those of a body it leaves to axum, which answers plain text."""

    def failed(self, failure: Failure) -> Answer:
        """The answer that tells a failure."""
        error = failure.error
        if failure.code is grpc.StatusCode.UNAUTHENTICATED:
            return Answer(status=401, content_type=_PLAIN)
        if isinstance(error, MalformedBodyError):
            status, told = (
                (400, "Failed to parse the request body as JSON")
                if error.is_syntax
                else (422, "Failed to deserialize the JSON body into the target type")
            )
            return _plain(status, f"{told}: {failure.message}")
        if isinstance(error, HttpError):
            return _plain(error.status, failure.message)
        told_as = failure_of(failure.code, error, failure.message)
        status = _STATUSES_OF_CODES.get(failure.code, _STATUSES[told_as.type])
        body = ErrorBody(told_as.text, told_as.type, told_as.detail)
        return Answer(body=encode(body), status=status)


TEI = TeiDialect()
"""One is enough: it holds nothing."""


class Tei:
    """Answers TEI's requests."""

    def __init__(self, parts: HttpParts) -> None:
        """Takes what the operations work with."""
        self._translating = parts.translating
        self._limits = parts.limits
        self._is_well = parts.is_well
        self._operations = parts.tei
        routes: dict[str, Callable[[HttpRequest, Request], Awaitable[Written]]] = {
            "rerank": self._rerank,
            "predict": self._predict,
            "embed": self._embed,
            "embed_all": self._embed_all,
            "embed_sparse": self._embed_sparse,
            "similarity": self._similarity,
            "tokenize": self._tokenize,
            "decode": self._decode,
            "vertex": self._vertex,
        }
        self._answers = routes
        self._posted = {name: self._endpoint(name) for name in routes}

    def endpoint(self, task: str) -> Endpoint:
        """The endpoint of a task: "rerank", "embed" and so on."""
        return self._posted[task]

    def endpoints(self) -> list[Endpoint]:
        """All but those of paths that other requests share."""
        posted = [endpoint for task, endpoint in self._posted.items() if task != "rerank"]
        health = [
            Endpoint(
                name="tei.health",
                method="GET",
                path=path,
                answer=self._health,
                dialect=TEI,
                counts=False,
                tells_health=True,
            )
            for path in ("/health", "/ping", "/")
        ]
        info = Endpoint(
            name="tei.info",
            method="GET",
            path="/info",
            answer=self._info,
            dialect=TEI,
            counts=False,
        )
        return [*posted, *health, info]

    async def tasks_of(
        self, http: HttpRequest, bodies: Sequence[bytes], request: Request
    ) -> list[str]:
        """What bodies without a path of their own ask for; it is as TEI's for its model.

        Args:
            http: The request, whose path may name a model.
            bodies: Its body, or all of those that are in it.
            request: Whose work this is.
        """

        def decided() -> list[str]:
            return [self._task_of(http, body) for body in bodies]

        tasks: list[str] = await self._translating.run_json(
            len(http.body), decided, request=request
        )
        return tasks

    def _task_of(self, http: HttpRequest, body: bytes) -> str:
        glance: Glance = decode(body, Glance)
        if glance.texts is not msgspec.UNSET:
            return "rerank"
        inputs = b"" if glance.inputs is msgspec.UNSET else bytes(glance.inputs).lstrip()
        if inputs.startswith(b"{"):
            return "similarity"
        if _PAIRS.match(inputs):
            return "predict"
        is_rerankers = http.model and isinstance(
            self._operations.served.any(http.model), LoadedReranker
        )
        return "predict" if is_rerankers else "embed"

    def _endpoint(self, task: str) -> Endpoint:
        write = self._answers[task]

        async def answer(http: HttpRequest, request: Request) -> Answer:
            body, headers = await write(http, request)
            return Answer(body=body, headers=headers)

        return Endpoint(
            name=f"tei.{task}", method="POST", path=f"/{task}", answer=answer, dialect=TEI
        )

    async def _read(self, http: HttpRequest, kind: type[Body], request: Request) -> Body:
        body: Body = await self._translating.run_json(
            len(http.body), decode, http.body, kind, request=request
        )
        return body

    async def _write(self, num_bytes: int, content: Any, request: Request) -> bytes:
        written: bytes = await self._translating.run_json(
            num_bytes, encode, content, request=request
        )
        return written

    async def _rerank(self, http: HttpRequest, request: Request) -> Written:
        body = await self._read(http, RerankBody, request)
        ranks = await self._operations.scoring.rerank(body.read(http), request)
        texts = body.texts if body.return_text else None
        num_bytes = _RANK_BYTES * len(ranks.order) + (0 if texts is None else len(http.body))
        written = await self._write(num_bytes, ranks_of(ranks, texts), request)
        return written, ranks.cost.headers

    async def _predict(self, http: HttpRequest, request: Request) -> Written:
        body = await self._read(http, PredictBody, request)
        found = await self._operations.scoring.predict(body.read(http), request)
        content = predictions_of(found, is_batch=body.is_batch)
        num_bytes = _LABEL_BYTES * 2 * len(found.results)
        return await self._write(num_bytes, content, request), found.cost.headers

    async def _embed(self, http: HttpRequest, request: Request) -> Written:
        body = await self._read(http, EmbedBody, request)
        found = await self._operations.embedding.embed(body.read(http), request)
        return encode(await as_numbers(found.vectors)), found.cost.headers

    async def _embed_all(self, http: HttpRequest, request: Request) -> Written:
        body = await self._read(http, EmbedBody, request)
        found = await self._operations.embedding.embed_all(body.read(http), request)
        vectors = await as_numbers(found.vectors)
        texts = [vectors[start:end] for start, end in pairwise(found.offsets.tolist())]
        return encode(texts), found.cost.headers

    async def _embed_sparse(self, http: HttpRequest, request: Request) -> Written:
        """Refuses, as TEI does for each model but SPLADE's, of which twopass holds none."""
        body = await self._read(http, EmbedBody, request)
        asked = body.read(http)
        self._operations.served.encoder(asked.model)
        raise WrongModelKindError("Model is not an embedding model with Splade pooling")

    async def _similarity(self, http: HttpRequest, request: Request) -> Written:
        body = await self._read(http, SimilarityBody, request)
        found = await self._operations.embedding.similarity(body.read(http), request)
        [numbers] = await as_numbers(found.scores[None])
        return bytes(numbers), found.cost.headers

    async def _tokenize(self, http: HttpRequest, request: Request) -> Written:
        body = await self._read(http, TokenizeBody, request)
        found = await self._operations.tokens.tokenize(body.read(http), request)
        num_bytes = TOKEN_BYTES * sum(map(len, found))
        return await self._write(num_bytes, found, request), ()

    async def _decode(self, http: HttpRequest, request: Request) -> Written:
        body = await self._read(http, DecodeBody, request)
        found = await self._operations.tokens.decode(body.read(http), request)
        return await self._write(sum(map(len, found)), found, request), ()

    async def _vertex(self, http: HttpRequest, request: Request) -> Written:
        """Answers requests of any kind side by side; the first that fails fails all.

        Each alone is refused where its answer would be too large. What all of them have written is
        counted while others are still worked on, so that these end early.
        """
        instances = (await self._read(http, VertexBody, request)).instances
        check_batch("instances", len(instances), self._limits.max_documents)
        bodies = list(map(bytes, instances))
        tasks = await self.tasks_of(http, bodies, request)
        num_bytes, most = 0, self._limits.max_message_bytes

        async def counted(answering: Awaitable[Written]) -> Written:
            nonlocal num_bytes
            written = await answering
            num_bytes += len(written[0])
            check_answer("instances", "their answers", num_bytes, most)
            return written

        written = await _all_of(
            [
                counted(self._answers[task](replace(http, body=body), request.part()))
                for task, body in zip(tasks, bodies, strict=True)
            ]
        )
        return encode({"predictions": [msgspec.Raw(body) for body, _ in written]}), ()

    async def _health(self, http: HttpRequest, request: Request) -> Answer:
        del http, request
        if self._is_well():
            return Answer(content_type=_PLAIN)
        body = ErrorBody("unhealthy", ErrorType.UNHEALTHY)
        return Answer(body=encode(body), status=_STATUSES[ErrorType.UNHEALTHY])

    async def _info(self, http: HttpRequest, request: Request) -> Answer:
        del request
        return Answer(body=encode(info_of(self._operations.served.info(http.model))))


def _plain(status: int, text: str) -> Answer:
    return Answer(body=text.encode(), status=status, content_type=_PLAIN)


async def _all_of(awaited: Sequence[Awaitable[Written]]) -> list[Written]:
    """The results of all; where one fails, the others end too."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
