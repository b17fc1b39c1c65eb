"""Vectors for Weaviate's module text2vec-transformers, below its prefix.

Its requests and answers are those of the container that the module otherwise calls
(semitechnologies/transformers-inference, app.py).
"""

import msgspec

from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.embedding import (
    component_bytes,
    read_is_query,
    told_of_cuts,
    written,
)
from twopass.server.http.dialects.weaviate_rerank import WeaviateDialect
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.http.vectors import VectorType
from twopass.server.models.texts import FieldNames, TextsToEmbed
from twopass.server.request import Request


class VectorConfig(msgspec.Struct):
    """How to embed a text; the pooling is the model's own."""

    task_type: str | None = None


class VectorsBody(msgspec.Struct):
    """A request."""

    text: str
    config: VectorConfig | None = None


class VectorsAnswer(msgspec.Struct):
    """The embedding."""

    text: str
    vector: msgspec.Raw
    dim: int


class WeaviateVectors:
    """Embeds one text at a time, as the module sends them."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Embeds the text of a request."""
        body: VectorsBody = decode(http.body, VectorsBody)
        task = body.config.task_type if body.config is not None else None
        asked = TextsToEmbed(
            texts=[body.text],
            model=self._parts.named_models.encoder(http).spec.id,
            is_query=read_is_query("config.task_type", task),
            is_awaited=not task,
            component_bytes=component_bytes(VectorType.FLOAT, is_base64=False),
            names=FieldNames(texts="text", is_list=False),
        )
        embedded = await self._parts.texts.embed(asked, request)
        (vector,) = await written(embedded, VectorType.FLOAT, is_base64=False)
        answer = VectorsAnswer(body.text, vector, embedded.vectors.shape[1])
        return Answer(body=encode(answer), headers=told_of_cuts(embedded))


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """The one path of the module that embeds."""
    return [
        Endpoint(
            name="weaviate.vectors",
            method="POST",
            path="/weaviate/vectors",
            answer=WeaviateVectors(parts).answer,
            dialect=WeaviateDialect(),
        )
    ]
