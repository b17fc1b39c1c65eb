"""Vectors for Weaviate's module text2vec-transformers, below its prefix.

Requests and answers are those of the module's client
(weaviate/weaviate usecases/modulecomponents/clients/transformers/transformers.go), which sends one
text, or in newer versions many.
"""

import msgspec

from twopass.server.errors import InvalidRequestError
from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.embedding import (
    component_bytes,
    max_texts,
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
    """How to embed texts; the pooling is the model's own."""

    task_type: str | None = None
    dimensions: int | None = None


class VectorsBody(msgspec.Struct):
    """A request: one text, or many."""

    text: str | None = None
    texts: list[str] | None = None
    config: VectorConfig | None = None


class VectorAnswer(msgspec.Struct):
    """The embedding of one text.

    Attributes:
        dim: Its components, as the module's container says it.
        dims: The same, as the module reads it.
    """

    text: str
    vector: msgspec.Raw
    dim: int
    dims: int


class VectorsAnswer(msgspec.Struct):
    """The embeddings of many, in their order."""

    vectors: list[msgspec.Raw]
    dims: int


class WeaviateVectors:
    """Embeds texts as the module sends them."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Embeds the text or the texts of a request."""
        run = self._parts.translating.run
        asked = await run(len(http.body), self._read, http, request=request)
        embedded = await self._parts.texts.embed(asked, request)
        vectors = await written(embedded, VectorType.FLOAT, is_base64=False)
        width = embedded.vectors.shape[1]
        answer: VectorAnswer | VectorsAnswer = VectorsAnswer(vectors, width)
        if not asked.names.is_list:
            answer = VectorAnswer(asked.texts[0], vectors[0], width, width)
        return Answer(body=encode(answer), headers=told_of_cuts(embedded))

    def _read(self, http: HttpRequest) -> TextsToEmbed:
        body: VectorsBody = decode(http.body, VectorsBody)
        config = body.config or VectorConfig()
        is_list = body.texts is not None
        texts = body.texts
        if texts is None:
            if body.text is None:
                raise InvalidRequestError("text: missing; give a text, or a list of them as texts")
            texts = [body.text]
        return TextsToEmbed(
            texts=texts,
            model=self._parts.named_models.encoder(http).spec.id,
            is_query=read_is_query("config.task_type", config.task_type),
            is_awaited=not config.task_type and not is_list,
            dimensions=config.dimensions or 0,
            takes_any_text=True,
            max_texts=max_texts(self._parts.limits),
            component_bytes=component_bytes(VectorType.FLOAT, is_base64=False),
            names=FieldNames(
                texts="texts" if is_list else "text",
                is_list=is_list,
                dimensions="config.dimensions",
            ),
        )


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
