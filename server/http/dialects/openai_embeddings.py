"""Embeddings as OpenAI has them, with what vLLM, TEI, NIM, Voyage, Mistral, Jina and Infinity add.

All of them post to the same path, and no field means two things, so one structure reads them all
and one answer serves them.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from twopass.engines.base.model import LoadedEncoder
from twopass.server.errors import InvalidRequestError
from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.embedding import (
    component_bytes,
    max_texts,
    read_cutting,
    read_is_query,
    read_vector_type,
    texts_of,
    told_of_cuts,
    written,
)
from twopass.server.http.dialects.superset import (
    FailureBody,
    Told,
    Usage,
    field_of,
    headers_of,
    status_of,
    type_of,
    usage_of,
)
from twopass.server.http.endpoint import Answer, Endpoint, Failure, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.http.vectors import VectorType
from twopass.server.models.passages import Cutting, Overlong
from twopass.server.models.texts import FieldNames, TextsToEmbed
from twopass.server.request import Request


class EmbeddingsBody(msgspec.Struct):
    """A request, with the fields of all dialects; null is the same as nothing."""

    input: str | list[str | int | list[int] | dict[str, Any]] | dict[str, Any]
    model: str | None = None
    dimensions: int | None = None
    encoding_format: str | None = None
    # NIM's and Voyage's; Jina calls it `task`.
    input_type: str | None = None
    task: str | None = None
    # NIM's is a word, others have a truth value.
    truncate: str | bool | None = None
    # Voyage's and Mistral's.
    truncation: bool | None = None
    output_dimension: int | None = None
    output_dtype: str | None = None
    # Jina's.
    embedding_type: str | list[str] | None = None
    normalized: bool | None = None
    # vLLM's.
    normalize: bool | None = None
    truncate_prompt_tokens: int | None = None
    # Infinity's.
    modality: str | None = None


class Item(msgspec.Struct):
    """An embedding."""

    object: str
    embedding: msgspec.Raw
    index: int


class EmbeddingsAnswer(msgspec.Struct):
    """The embeddings, in the order of the texts.

    Attributes:
        id: Id of the call; Infinity's clients alone expect one.
        created: When it was made, seconds since 1970; likewise.
    """

    object: str
    data: list[Item]
    model: str
    usage: Usage
    id: str | msgspec.UnsetType = msgspec.UNSET
    created: int | msgspec.UnsetType = msgspec.UNSET


class EmbeddingsFailureBody(FailureBody):
    """A failure, also in the fields that TEI has on this path."""

    code: int
    type: str


class EmbeddingsDialect:
    """How failures look where TEI's clients read them too."""

    def failed(self, failure: Failure) -> Answer:
        """The answer with every dialect's fields."""
        status = status_of(failure)
        message, kind = failure.message, type_of(status)
        body = EmbeddingsFailureBody(
            id=failure.call_id,
            message=message,
            detail=message,
            error=Told(message, kind, field_of(failure), status),
            code=status,
            type=kind,
        )
        return Answer(body=encode(body), status=status, headers=headers_of(failure))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, read."""

    texts: TextsToEmbed
    kind: VectorType
    is_base64: bool


class Embeddings:
    """Answers embedding requests on one path."""

    def __init__(self, parts: HttpParts, *, is_infinitys: bool = False) -> None:
        """Prepares a path.

        Args:
            parts: What it works with.
            is_infinitys: Whether it is Infinity's own, whose answers have an id and a time.
        """
        self._parts = parts
        self._is_infinitys = is_infinitys

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Embeds the texts of a request."""
        parts = self._parts
        asked = await parts.translating.run(len(http.body), self._read, http, request=request)
        embedded = await parts.texts.embed(asked.texts, request)
        vectors = await written(embedded, asked.kind, is_base64=asked.is_base64)
        answer = EmbeddingsAnswer(
            object="list",
            data=[Item("embedding", vector, i) for i, vector in enumerate(vectors)],
            model=embedded.model,
            usage=usage_of(int(embedded.lengths.sum())),
        )
        if self._is_infinitys:
            answer.id, answer.created = request.id, int(time.time())
        return Answer(body=encode(answer), headers=told_of_cuts(embedded))

    def _read(self, http: HttpRequest) -> _Asked:
        body: EmbeddingsBody = decode(http.body, EmbeddingsBody)
        if body.modality not in (None, "text"):
            raise InvalidRequestError(
                f"modality: {body.modality[:32]!r} given, models here read text alone; leave it out"
            )
        kind, is_base64 = _read_format(body)
        cutting = _read_cutting(body)
        size = "dimensions" if body.output_dimension is None else "output_dimension"
        kind_of_text = "input_type" if body.input_type is not None else "task"
        kind_stated = body.input_type or body.task
        given = body.input if isinstance(body.input, list) else [body.input]
        encoder = self._parts.named_models.encoder(http, body.model)
        normalizes = True if body.normalize is None else body.normalize
        texts = TextsToEmbed(
            texts=texts_of("input", given),
            model=encoder.spec.id,
            is_query=read_is_query(kind_of_text, kind_stated),
            is_awaited=not kind_stated and len(given) == 1,
            dimensions=getattr(body, size) or 0,
            normalize=normalizes if body.normalized is None else body.normalized,
            cutting=replace(cutting, max_tokens=_max_tokens(body, encoder)),
            takes_any_text=True,
            max_texts=max_texts(self._parts.limits),
            component_bytes=component_bytes(kind, is_base64=is_base64),
            names=FieldNames(texts="input", is_list=isinstance(body.input, list), dimensions=size),
        )
        return _Asked(texts, kind, is_base64)


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """Embeddings on the paths of OpenAI, and below Infinity's prefix."""
    dialect = EmbeddingsDialect()
    answer, infinitys = Embeddings(parts).answer, Embeddings(parts, is_infinitys=True).answer
    return [
        Endpoint(name=name, method="POST", path=path, answer=answering, dialect=dialect)
        for name, path, answering in (
            ("openai.embeddings", "/v1/embeddings", answer),
            ("openai.embeddings", "/embeddings", answer),
            ("infinity.embeddings", "/infinity/embeddings", infinitys),
        )
    ]


def _read_format(body: EmbeddingsBody) -> tuple[VectorType, bool]:
    """The type of components, and whether their bytes are written in base64."""
    stated = body.encoding_format or "float"
    if stated not in ("float", "base64"):
        raise InvalidRequestError(
            f"encoding_format: {stated[:32]!r} given, float or base64 is needed"
        )
    is_base64 = stated == "base64"
    if body.output_dtype is not None:
        return read_vector_type("output_dtype", body.output_dtype), is_base64
    jinas = body.embedding_type
    if isinstance(jinas, list):
        if len(jinas) > 1:
            raise InvalidRequestError(
                f"embedding_type: {len(jinas)} given, at most 1 in one request; send a request for "
                "each"
            )
        jinas = jinas[0] if jinas else None
    if jinas == "base64":
        return VectorType.FLOAT, True
    return read_vector_type("embedding_type", jinas), is_base64


def _read_cutting(body: EmbeddingsBody) -> Cutting:
    """What becomes of texts that are too long, by whichever field says it."""
    if body.truncation is not None:
        overlong = Overlong.CUT if body.truncation else Overlong.REFUSE
        return Cutting(overlong=overlong, to_cut="set truncation to true")
    if isinstance(body.truncate, bool):
        overlong = Overlong.CUT if body.truncate else Overlong.REFUSE
        return Cutting(overlong=overlong, to_cut="set truncate to true")
    return read_cutting("truncate", body.truncate)


def _max_tokens(body: EmbeddingsBody, encoder: LoadedEncoder) -> int:
    """Most tokens of a text that vLLM's field lets be read, special ones not counted.

    0 means as many as the model reads, as -1 does for vLLM.
    """
    most = body.truncate_prompt_tokens
    if most is None or most < 1:
        return 0
    return max(1, most - encoder.passage_tokenizer.single.num_tokens)
