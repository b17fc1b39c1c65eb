"""tei.v1.Embed: texts in, embeddings out."""

from collections.abc import AsyncIterator, Hashable, Sequence

from google.protobuf.message import Message

from twopass.engines.base.sequences import Float32s
from twopass.server.edge.calls import HeadedAnswer
from twopass.server.errors import WrongModelKindError
from twopass.server.request import Request
from twopass.server.servicers.documents import write_vector
from twopass.server.servicers.translating import Translating
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.served import max_seq_len
from twopass.server.tei.servicers.messages import metadata_of, read_direction, with_headers
from twopass.server.tei.servicers.streams import answers_in_order
from twopass.server.tei.servicers.together import Asked, Together, cost_of_one
from twopass.server.tei.types import Cost, Embeddings, TextsToEmbed, TokenEmbeddings
from twopass.tei.v1 import tei_pb2

# Of an answer beside its components: tags, lengths and the metadata.
_REST_BYTES = 64
_COMPONENT_BYTES = 4
# Most tokens around a text: a few special ones, and a prompt of some words.
_SPECIAL_TOKENS = 64


class EmbedServicer:
    """Translates; `TextEmbedding` does the work."""

    def __init__(self, operations: TeiOperations, model: str, translating: Translating) -> None:
        """Takes the operations, the id of the port's model, and what builds large messages."""
        self._operations = operations
        self._model = model
        self._translating = translating

    async def embed(self, message: tei_pb2.EmbedRequest, request: Request) -> HeadedAnswer:
        """Embeds one text."""
        embeddings = await self._embeddings([message.inputs], message, request)
        answer = _embed_response(embeddings.vectors[0], embeddings.cost)
        return with_headers(answer, embeddings.cost)

    def embed_stream(
        self, messages: AsyncIterator[tei_pb2.EmbedRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Embeds texts as they come."""
        num_bytes = self._width() * _COMPONENT_BYTES + _REST_BYTES
        together = Together(self._embed_all_of, _options, request)
        return answers_in_order(messages, together.answer, request, lambda _: num_bytes)

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

    async def embed_all(self, message: tei_pb2.EmbedAllRequest, request: Request) -> HeadedAnswer:
        """Embeds each token of one text."""
        answer, cost = await self._token_embeddings(message, request)
        return with_headers(answer, cost)

    def embed_all_stream(
        self, messages: AsyncIterator[tei_pb2.EmbedAllRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Embeds each token of texts as they come."""
        encoder = self._operations.served.any(self._model)
        most, width = max_seq_len(encoder), self._width()

        async def answer(message: tei_pb2.EmbedAllRequest, part: Request) -> Message:
            made, _ = await self._token_embeddings(message, part, is_of_many=True)
            return made

        def answer_bytes(message: tei_pb2.EmbedAllRequest) -> int:
            # A character makes a token at most, and special tokens stand around the text.
            num_tokens = min(most, len(message.inputs) + _SPECIAL_TOKENS)
            return num_tokens * (width * _COMPONENT_BYTES + _REST_BYTES)

        return answers_in_order(messages, answer, request, answer_bytes)

    async def _embeddings(
        self,
        texts: Sequence[str],
        message: tei_pb2.EmbedRequest,
        request: Request,
        *,
        is_of_many: bool = False,
    ) -> Embeddings:
        asked = TextsToEmbed(
            inputs=texts,
            model=self._model,
            truncate=message.truncate,
            direction=read_direction(message),
            prompt_name=message.prompt_name if message.HasField("prompt_name") else None,
            dimensions=message.dimensions if message.HasField("dimensions") else None,
            normalize=message.normalize if message.HasField("normalize") else True,
            is_of_many=is_of_many,
        )
        return await self._operations.embedding.embed(asked, request)

    async def _embed_all_of(
        self, piece: Sequence[Asked[tei_pb2.EmbedRequest]], request: Request
    ) -> list[Message]:
        """Embeds the texts of messages of a stream that ask for the same in all else."""
        texts = [asked.message.inputs for asked in piece]
        embeddings = await self._embeddings(texts, piece[0].message, request, is_of_many=True)
        return [
            _embed_response(vector, cost_of_one(embeddings.cost, asked, length))
            for vector, length, asked in zip(
                embeddings.vectors, embeddings.lengths.tolist(), piece, strict=True
            )
        ]

    async def _token_embeddings(
        self, message: tei_pb2.EmbedAllRequest, request: Request, *, is_of_many: bool = False
    ) -> tuple[tei_pb2.EmbedAllResponse, Cost]:
        asked = TextsToEmbed(
            inputs=[message.inputs],
            model=self._model,
            truncate=message.truncate,
            direction=read_direction(message),
            prompt_name=message.prompt_name if message.HasField("prompt_name") else None,
            is_of_many=is_of_many,
        )
        embeddings = await self._operations.embedding.embed_all(asked, request)
        num_bytes = embeddings.vectors.nbytes
        answer = await self._translating.run(
            num_bytes, _embed_all_response, embeddings, request=request
        )
        return answer, embeddings.cost

    def _width(self) -> int:
        """Most components of an embedding."""
        return self._operations.served.any(self._model).engine.output_width


def _embed_response(vector: Float32s, cost: Cost) -> tei_pb2.EmbedResponse:
    response = tei_pb2.EmbedResponse(metadata=metadata_of(cost))
    write_vector(vector, response)
    return response


def _options(message: tei_pb2.EmbedRequest) -> Hashable:
    """What a message asks for, but for its text."""
    return (
        message.truncate,
        message.truncation_direction,
        message.HasField("normalize") and not message.normalize,
        message.prompt_name if message.HasField("prompt_name") else None,
        message.dimensions if message.HasField("dimensions") else None,
    )


def _embed_all_response(embeddings: TokenEmbeddings) -> tei_pb2.EmbedAllResponse:
    response = tei_pb2.EmbedAllResponse(metadata=metadata_of(embeddings.cost))
    for vector in embeddings.vectors:
        write_vector(vector, response.token_embeddings.add())
    return response


def _not_sparse() -> WrongModelKindError:
    return WrongModelKindError("Model is not an embedding model with SPLADE pooling")
