"""Texts as tokens, and tokens as texts."""

from collections.abc import Sequence

from twopass.engines.base import LoadedModel, TextTokenizer, Tokenizer
from twopass.index.stopping import Stop
from twopass.server.models.passages import Cutting, Overlong
from twopass.server.request import Request
from twopass.server.tei.errors import EmptyInputError
from twopass.server.tei.sequences import check_batch, check_ids, prompt_of, read_inputs
from twopass.server.tei.served import ServedModels, TeiParts
from twopass.server.tei.types import IdsToDecode, TextsToTokenize, Token

# More tokens than a text can have.
_ALL_TOKENS = 2**31 - 1


class Tokens:
    """TEI's operations of tokenizers."""

    def __init__(self, parts: TeiParts, served: ServedModels) -> None:
        self._parts = parts
        self._served = served

    async def tokenize(self, asked: TextsToTokenize, request: Request) -> list[list[Token]]:
        """Cuts texts into their tokens: all of them, also those that the model would not read.

        Raises:
            EmptyInputError: There are no texts, or one of them is empty.
            InvalidRequestError: The model has no such prompt.
        """
        model = self._served.any(asked.model)
        check_batch("inputs", len(asked.inputs), self._served.max_texts(model))
        most = self._parts.limits.max_passage_bytes
        inputs = read_inputs("inputs", asked.inputs, most, Cutting(overlong=Overlong.REFUSE))
        prompt = prompt_of(model.spec.prompts, asked.prompt_name)
        texts = [f"{prompt}{text}" for text in inputs]
        around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        if asked.add_special_tokens:
            around = _around(model)
        lane, stop = self._parts.tokenizing.lane, request.stop
        return await lane.run(_tokens_of, model.tokenizer, texts, around, stop, stop=stop)

    async def decode(self, asked: IdsToDecode, request: Request) -> list[str]:
        """Joins tokens to texts.

        Raises:
            EmptyInputError: There are no ids, or none for one of the texts.
            InvalidRequestError: An id is none of the model.
        """
        model = self._served.any(asked.model)
        check_batch("ids", len(asked.ids), self._served.max_texts(model))
        for ids in asked.ids:
            if not ids:
                raise EmptyInputError("Input validation error: `input_ids` cannot be empty")
            check_ids("ids", ids, model)
        lane, stop = self._parts.tokenizing.lane, request.stop
        skips = asked.skip_special_tokens
        return await lane.run(_decoded, model.tokenizer, asked.ids, skips, stop, stop=stop)


def _around(model: LoadedModel) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens before and after a text; none where a model reads texts in a prompt."""
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, TextTokenizer):
        return (), ()
    return tokenizer.single.prefix, tokenizer.single.suffix


def _tokens_of(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    around: tuple[Sequence[int], Sequence[int]],
    stop: Stop,
) -> list[list[Token]]:
    before, after = ([_special(tokenizer, token_id) for token_id in ids] for ids in around)
    found = []
    for text in texts:
        stop.check()
        found.append([*before, *_tokens(tokenizer, text), *after])
    return found


def _special(tokenizer: Tokenizer, token_id: int) -> Token:
    return Token(token_id, tokenizer.token(token_id), special=True)


def _tokens(tokenizer: Tokenizer, text: str) -> list[Token]:
    ids = tokenizer.encode([text], _ALL_TOKENS)[0].tolist()
    places = tokenizer.places(text).tolist()
    if text.isascii():
        return [
            Token(token_id, text[start:stop], special=False, start=start, stop=stop)
            for token_id, (start, stop) in zip(ids, places, strict=True)
        ]
    before = [0]  # bytes before each character
    for character in text:
        before.append(before[-1] + len(character.encode()))
    return [
        Token(token_id, text[start:stop], special=False, start=before[start], stop=before[stop])
        for token_id, (start, stop) in zip(ids, places, strict=True)
    ]


def _decoded(
    tokenizer: Tokenizer, rows: Sequence[Sequence[int]], skip_special: bool, stop: Stop
) -> list[str]:
    texts = []
    for ids in rows:
        stop.check()
        texts.append(tokenizer.decode(ids, skip_special=skip_special))
    return texts
