"""Embeddings as Cohere has them, in both versions of its interface."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

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
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.http.vectors import VectorType
from twopass.server.models.texts import EmbeddedTexts, FieldNames, TextsToEmbed
from twopass.server.request import Request

_BASE64 = "base64"


class EmbedBody(msgspec.Struct):
    """A request of either version; null is the same as nothing."""

    texts: list[str] | None = None
    model: str | None = None
    input_type: str | None = None
    inputs: list[dict[str, Any]] | None = None
    images: list[str] | None = None
    embedding_types: list[str] | None = None
    output_dimension: int | None = None
    max_tokens: int | None = None
    truncate: str | None = None


class ApiVersion(msgspec.Struct):
    """The version of the interface."""

    version: str


class BilledUnits(msgspec.Struct):
    """What Cohere would bill; LangChain's client fails without it."""

    input_tokens: int


class Meta(msgspec.Struct):
    """What clients are told of a request."""

    api_version: ApiVersion
    billed_units: BilledUnits
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class EmbedAnswer(msgspec.Struct):
    """The embeddings, in the order of the texts.

    Attributes:
        embeddings: A list of them, or one for each type by the type's name.
    """

    id: str
    response_type: str
    embeddings: list[msgspec.Raw] | dict[str, list[msgspec.Raw]]
    texts: list[str]
    meta: Meta


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, read.

    Attributes:
        texts: The texts, and how to embed them.
        types: The types to return; None for a list of floats, as version 1 has it by default.
    """

    texts: TextsToEmbed
    types: list[str] | None


class CohereEmbed:
    """Answers embed requests of one version."""

    def __init__(self, parts: HttpParts, version: str) -> None:
        """Prepares a path.

        Args:
            parts: What it works with.
            version: "1" or "2".
        """
        self._parts = parts
        self._version = version

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Embeds the texts of a request."""
        parts = self._parts
        asked = await parts.translating.run(len(http.body), self._read, http, request=request)
        embedded = await parts.texts.embed(asked.texts, request)
        vectors: list[msgspec.Raw] | dict[str, list[msgspec.Raw]]
        if asked.types is None:
            vectors = await written(embedded, VectorType.FLOAT, is_base64=False)
        else:
            vectors = {name: await _of_type(embedded, name) for name in asked.types}
        answer = EmbedAnswer(
            id=request.id,
            response_type="embeddings_floats" if asked.types is None else "embeddings_by_type",
            embeddings=vectors,
            texts=list(asked.texts.texts),
            meta=self._meta(embedded),
        )
        return Answer(body=encode(answer), headers=told_of_cuts(embedded))

    def _read(self, http: HttpRequest) -> _Asked:
        body: EmbedBody = decode(http.body, EmbedBody)
        field, texts = _texts(body)
        types = body.embedding_types
        if not types:
            types = None if self._version == "1" else [VectorType.FLOAT]
        cutting = read_cutting("truncate", body.truncate)
        to_embed = TextsToEmbed(
            texts=texts,
            model=self._parts.named_models.encoder(http, body.model).spec.id,
            is_query=read_is_query("input_type", body.input_type),
            dimensions=body.output_dimension or 0,
            cutting=replace(cutting, max_tokens=max(0, body.max_tokens or 0)),
            takes_any_text=True,
            max_texts=max_texts(self._parts.limits),
            component_bytes=sum(_component_bytes(name) for name in types or [VectorType.FLOAT]),
            names=FieldNames(texts=field, dimensions="output_dimension"),
        )
        return _Asked(to_embed, types)

    def _meta(self, embedded: EmbeddedTexts) -> Meta:
        num_cut = int(embedded.truncated.sum())
        warning = f"{num_cut:,} of the texts were longer than {embedded.model} reads, and were cut"
        return Meta(
            api_version=ApiVersion(self._version),
            billed_units=BilledUnits(int(embedded.lengths.sum())),
            warnings=[warning] if num_cut else msgspec.UNSET,
        )


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """Embeddings in both versions."""
    return [
        Endpoint(
            name=f"cohere.v{version}.embed",
            method="POST",
            path=f"/v{version}/embed",
            answer=CohereEmbed(parts, version).answer,
            dialect=SHARED,
        )
        for version in ("1", "2")
    ]


def _texts(body: EmbedBody) -> tuple[str, list[str]]:
    """The texts of a request, and the field that they came in."""
    if body.images or body.input_type == "image":
        raise InvalidRequestError(
            "images: given, models here read text alone; send texts, and input_type search_document"
        )
    if body.texts is not None:
        return "texts", body.texts
    if body.inputs is None:
        raise InvalidRequestError("texts: missing; give a list of texts")
    return "inputs", texts_of("inputs", body.inputs)


def _component_bytes(name: str) -> int:
    if name == _BASE64:
        return component_bytes(VectorType.FLOAT, is_base64=True)
    return component_bytes(read_vector_type("embedding_types", name), is_base64=False)


async def _of_type(embedded: EmbeddedTexts, name: str) -> list[msgspec.Raw]:
    """The embeddings as the type of that name has them."""
    if name == _BASE64:
        return await written(embedded, VectorType.FLOAT, is_base64=True)
    return await written(embedded, VectorType(name), is_base64=False)
