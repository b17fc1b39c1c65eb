"""tei.v1.Tokenize: texts to tokens, and back."""

from collections.abc import AsyncIterator, Iterable

from google.protobuf.message import Message

from twopass.server.request import Request
from twopass.server.servicers.translating import Translating
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.servicers.streams import answers_in_order
from twopass.server.tei.types import IdsToDecode, TextsToTokenize, Token
from twopass.tei.v1 import tei_pb2

# Of an answer for each character of a text, which may be a token: its id, its text, its place, and
# their tags and lengths.
_TOKEN_BYTES = 24
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
        asked = TextsToTokenize(
            inputs=[message.inputs],
            model=self._model,
            add_special_tokens=message.add_special_tokens,
            prompt_name=message.prompt_name if message.HasField("prompt_name") else None,
        )
        (tokens,) = await self._operations.tokens.tokenize(asked, request)
        num_bytes = len(tokens) * _TOKEN_BYTES
        return await self._translating.run(num_bytes, _encode_response, tokens, request=request)

    def tokenize_stream(
        self, messages: AsyncIterator[tei_pb2.EncodeRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Cuts texts as they come."""
        return answers_in_order(
            messages, self.tokenize, request, lambda message: _TOKEN_BYTES * len(message.inputs)
        )

    async def decode(
        self, message: tei_pb2.DecodeRequest, request: Request
    ) -> tei_pb2.DecodeResponse:
        """Joins the tokens of one text."""
        asked = IdsToDecode(
            ids=[message.ids],
            model=self._model,
            skip_special_tokens=message.skip_special_tokens,
        )
        (text,) = await self._operations.tokens.decode(asked, request)
        return tei_pb2.DecodeResponse(text=text)

    def decode_stream(
        self, messages: AsyncIterator[tei_pb2.DecodeRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Joins the tokens of texts as they come."""
        return answers_in_order(
            messages, self.decode, request, lambda message: _ID_BYTES * len(message.ids)
        )


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
