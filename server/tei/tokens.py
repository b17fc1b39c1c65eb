"""Texts as tokens, and tokens as texts."""

from collections.abc import Iterator, Sequence

import numpy as np

from twopass.engines.base.model import LoadedModel
from twopass.engines.base.sequences import Int32s, Ragged
from twopass.engines.base.tokenizer import TextTokenizer, Tokenizer
from twopass.index.stopping import Stop
from twopass.server.models.passages import Cutting, Overlong
from twopass.server.request import Request
from twopass.server.tei.errors import EmptyInputError
from twopass.server.tei.sequences import (
    check_answer,
    check_batch,
    check_ids,
    prompt_of,
    read_inputs,
)
from twopass.server.tei.served import ServedModels, TeiParts
from twopass.server.tei.types import IdsToDecode, TextsToTokenize, Token

# More tokens than a text can have.
_ALL_TOKENS = 2**31 - 1
# The stop is checked after so many tokens, which take 2 ms to become objects.
_TOKENS_OF_A_PIECE = 4_096


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
            OverloadedError: There are fewer free places than texts, or no room for their tokens.
            ResponseTooLargeError: The tokens would be too many for one answer.
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
        tokenizing, stop = self._parts.tokenizing, request.stop
        with self._parts.arbiter.admitted(len(texts)):
            rows = await tokenizing.encode(model.tokenizer, texts, _ALL_TOKENS, stop)
            # A token's object is ten times as large as its id, so ids alone are counted.
            num_tokens = len(rows.token_ids) + len(texts) * sum(map(len, around))
            num_bytes = num_tokens * asked.token_bytes + sum(map(_num_bytes, texts))
            most = self._parts.limits.max_message_bytes
            content = f"the {num_tokens:,} tokens of {len(texts):,} texts"
            check_answer("inputs", content, num_bytes, most)
            request.reserve_bytes(num_bytes)
            return await tokenizing.lane.run(
                _tokens_of, model.tokenizer, texts, rows, around, stop, stop=stop
            )

    async def decode(self, asked: IdsToDecode, request: Request) -> list[str]:
        """Joins tokens to texts.

        Raises:
            EmptyInputError: There are no ids, or none for one of the texts.
            InvalidRequestError: An id is none of the model.
            OverloadedError: There are fewer free places than texts.
            ResponseTooLargeError: The texts would be too long for one answer.
        """
        model = self._served.any(asked.model)
        check_batch("ids", len(asked.ids), self._served.max_texts(model))
        for ids in asked.ids:
            if not ids:
                raise EmptyInputError("Input validation error: `input_ids` cannot be empty")
            check_ids("ids", ids, model)
        lane, stop = self._parts.tokenizing.lane, request.stop
        skips = asked.skip_special_tokens
        with self._parts.arbiter.admitted(len(asked.ids)):
            most = self._parts.limits.max_message_bytes
            return await lane.run(
                _decoded, model.tokenizer, asked.ids, skips, most, stop, stop=stop
            )


def _around(model: LoadedModel) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens before and after a text; none where a model reads texts in a prompt."""
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, TextTokenizer):
        return (), ()
    return tokenizer.single.prefix, tokenizer.single.suffix


def _num_bytes(text: str) -> int:
    """Bytes of a text as UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def _tokens_of(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    rows: Ragged,
    around: tuple[Sequence[int], Sequence[int]],
    stop: Stop,
) -> list[list[Token]]:
    before, after = ([_special(tokenizer, token_id) for token_id in ids] for ids in around)
    found = []
    for i, text in enumerate(texts):
        stop.check()
        found.append([*before, *_tokens(tokenizer, text, rows[i], stop), *after])
    return found


def _special(tokenizer: Tokenizer, token_id: int) -> Token:
    return Token(token_id, tokenizer.token(token_id), special=True)


def _tokens(tokenizer: Tokenizer, text: str, ids: Int32s, stop: Stop) -> Iterator[Token]:
    """The tokens of a text, piece by piece; places of `Token` are in bytes of UTF-8."""
    characters = tokenizer.places(text)
    places = characters if text.isascii() else _bytes_before(text)[characters]
    for first in range(0, len(ids), _TOKENS_OF_A_PIECE):
        stop.check()
        piece = slice(first, first + _TOKENS_OF_A_PIECE)
        for token_id, (begin, end), (start, past) in zip(
            ids[piece].tolist(), characters[piece].tolist(), places[piece].tolist(), strict=True
        ):
            yield Token(token_id, text[begin:end], special=False, start=start, stop=past)


def _bytes_before(text: str) -> Int32s:
    """Bytes of UTF-8 before each character of a text and after the last, int32 `[length + 1]`."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    before = np.zeros(len(codes) + 1, np.int32)
    # More bytes are taken from U+0080, U+0800 and U+10000 on.
    np.cumsum(1 + np.searchsorted([0x80, 0x800, 0x10000], codes, "right"), out=before[1:])
    return before


def _decoded(
    tokenizer: Tokenizer, rows: Sequence[Sequence[int]], skip_special: bool, most: int, stop: Stop
) -> list[str]:
    texts, num_bytes = [], 0
    for ids in rows:
        stop.check()
        texts.append(tokenizer.decode(ids, skip_special=skip_special))
        num_bytes += _num_bytes(texts[-1])
        check_answer("ids", "the texts", num_bytes, most)
    return texts
