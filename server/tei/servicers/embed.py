"""tei.v1.Embed: texts in, embeddings out."""

from collections.abc import AsyncIterator

from google.protobuf.message import Message

from twopass.server.edge.calls import HeadedAnswer
from twopass.server.errors import WrongModelKindError
from twopass.server.request import Request
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.servicers.messages import metadata_of, read_direction, with_headers
from twopass.server.tei.servicers.streams import answers_in_order
from twopass.server.tei.types import Embeddings, TextsToEmbed
from twopass.tei.v1 import tei_pb2

# Of an answer beside its components: tags, lengths and the metadata.
_REST_BYTES = 64
_COMPONENT_BYTES = 4


class EmbedServicer:
    """Translates; `TextEmbedding` does the work."""

    def __init__(self, operations: TeiOperations, model: str) -> None:
        """Takes the operations, and the id of the port's model."""
        self._operations = operations
        self._model = model

    async def embed(self, message: tei_pb2.EmbedRequest, request: Request) -> HeadedAnswer:
        """Embeds one text."""
        embeddings = await self._embeddings(message, request)
        return with_headers(_embed_response(embeddings), embeddings.cost)

    def embed_stream(
        self, messages: AsyncIterator[tei_pb2.EmbedRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Embeds texts as they come."""
        width = self._width()

        async def answer(message: tei_pb2.EmbedRequest, part: Request) -> Message:
            return _embed_response(await self._embeddings(message, part))

        return answers_in_order(
            messages, answer, request, lambda _: width * _COMPONENT_BYTES + _REST_BYTES
        )

    async def embed_sparse(self, message: tei_pb2.EmbedSparseRequest, request: Request) -> Message:
        """Refuses: no model gives words weights."""
        del message, request
        raise _not_sparse()

    async def embed_sparse_stream(
        self, messages: AsyncIterator[tei_pb2.EmbedSparseRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Refuses: no model gives words weights."""
        del messages, request
        raise _not_sparse()
        yield  # which makes it a generator

    async def embed_all(self, message: tei_pb2.EmbedAllRequest, request: Request) -> Message:
        """Refuses: no engine gives embeddings of tokens."""
        del message, request
        raise _not_by_token()

    async def embed_all_stream(
        self, messages: AsyncIterator[tei_pb2.EmbedAllRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Refuses: no engine gives embeddings of tokens."""
        del messages, request
        raise _not_by_token()
        yield  # which makes it a generator

    async def _embeddings(self, message: tei_pb2.EmbedRequest, request: Request) -> Embeddings:
        asked = TextsToEmbed(
            inputs=[message.inputs],
            model=self._model,
            truncate=message.truncate,
            direction=read_direction(message),
            prompt_name=message.prompt_name if message.HasField("prompt_name") else None,
            dimensions=message.dimensions if message.HasField("dimensions") else None,
            normalize=message.normalize if message.HasField("normalize") else True,
        )
        return await self._operations.embedding.embed(asked, request)

    def _width(self) -> int:
        """Most components of an embedding."""
        return self._operations.served.any(self._model).engine.output_width


def _embed_response(embeddings: Embeddings) -> tei_pb2.EmbedResponse:
    (vector,) = embeddings.vectors
    return tei_pb2.EmbedResponse(embeddings=vector.tolist(), metadata=metadata_of(embeddings.cost))


def _not_sparse() -> WrongModelKindError:
    return WrongModelKindError("Model is not an embedding model with SPLADE pooling")


def _not_by_token() -> WrongModelKindError:
    return WrongModelKindError("the engine of this model gives no embeddings of tokens")
