"""tei.v1.Tokenize: texts to tokens, and back."""

from collections.abc import AsyncIterator, Hashable, Iterable, Sequence

from google.protobuf.message import Message

from twopass.server.request import Request
from twopass.server.servicers.translating import Translating
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.servicers.streams import answers_in_order
from twopass.server.tei.servicers.together import Asked, Together
from twopass.server.tei.types import IdsToDecode, TextsToTokenize, Token
from twopass.tei.v1 import tei_pb2

# Of an answer for each token beside its text: its id, its place, and their tags and lengths. A
# stream expects a token of each character.
_TOKEN_BYTES = 32
# Of a text for each id: the tokens of a vocabulary are mostly shorter.
_ID_BYTES = 16


class TokenizeServicer:
    """Translates; `Tokens` does the work."""

    def __init__(self, operations: TeiOperations, model: str, translating: Translating) -> None:
        """Takes the operations, the id of the port's model, and what builds large messages."""
        self._operations = operations
        self._model = model
        self._translating = translating

    async def tokenize(
        self, message: tei_pb2.EncodeRequest, request: Request
    ) -> tei_pb2.EncodeResponse:
        """Cuts one text."""
        (answer,) = await self._tokens_of([message], request)
        return answer

    def tokenize_stream(
        self, messages: AsyncIterator[tei_pb2.EncodeRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Cuts texts as they come."""

        async def answer_all(
            piece: Sequence[Asked[tei_pb2.EncodeRequest]], part: Request
        ) -> Sequence[Message]:
            return await self._tokens_of([asked.message for asked in piece], part)

        together = Together(answer_all, _options, request)
        return answers_in_order(
            messages,
            together.answer,
            request,
            lambda message: _TOKEN_BYTES * len(message.inputs),
        )

    async def decode(
        self, message: tei_pb2.DecodeRequest, request: Request
    ) -> tei_pb2.DecodeResponse:
        """Joins the tokens of one text."""
        (answer,) = await self._texts_of([message], request)
        return answer

    def decode_stream(
        self, messages: AsyncIterator[tei_pb2.DecodeRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Joins the tokens of texts as they come."""

        async def answer_all(
            piece: Sequence[Asked[tei_pb2.DecodeRequest]], part: Request
        ) -> Sequence[Message]:
            return await self._texts_of([asked.message for asked in piece], part)

        together = Together(answer_all, lambda message: message.skip_special_tokens, request)
        return answers_in_order(
            messages, together.answer, request, lambda message: _ID_BYTES * len(message.ids)
        )

    async def _tokens_of(
        self, messages: Sequence[tei_pb2.EncodeRequest], request: Request
    ) -> list[tei_pb2.EncodeResponse]:
        """Cuts the texts of messages that ask for the same in all else."""
        first = messages[0]
        asked = TextsToTokenize(
            inputs=[message.inputs for message in messages],
            model=self._model,
            add_special_tokens=first.add_special_tokens,
            prompt_name=first.prompt_name if first.HasField("prompt_name") else None,
            token_bytes=_TOKEN_BYTES,
        )
        rows = await self._operations.tokens.tokenize(asked, request)
        num_bytes = sum(map(len, rows)) * _TOKEN_BYTES
        return await self._translating.run(num_bytes, _encode_responses, rows, request=request)

    async def _texts_of(
        self, messages: Sequence[tei_pb2.DecodeRequest], request: Request
    ) -> list[tei_pb2.DecodeResponse]:
        """Joins the tokens of messages that ask for the same in all else."""
        asked = IdsToDecode(
            ids=[message.ids for message in messages],
            model=self._model,
            skip_special_tokens=messages[0].skip_special_tokens,
        )
        texts = await self._operations.tokens.decode(asked, request)
        return [tei_pb2.DecodeResponse(text=text) for text in texts]


def _options(message: tei_pb2.EncodeRequest) -> Hashable:
    """What a message asks for, but for its text."""
    prompt = message.prompt_name if message.HasField("prompt_name") else None
    return message.add_special_tokens, prompt


def _encode_responses(rows: Iterable[Iterable[Token]]) -> list[tei_pb2.EncodeResponse]:
    return list(map(_encode_response, rows))


def _encode_response(tokens: Iterable[Token]) -> tei_pb2.EncodeResponse:
    return tei_pb2.EncodeResponse(
        tokens=[
            tei_pb2.SimpleToken(
                id=token.id,
                text=token.text,
                special=token.special,
                start=token.start,
                stop=token.stop,
            )
            for token in tokens
        ]
    )
