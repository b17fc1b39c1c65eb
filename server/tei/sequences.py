"""Texts and token ids as what an encoder reads, or a reranker of a single text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twopass.engines.base import (
    Int32s,
    LoadedModel,
    Ragged,
    Side,
    SingleTemplate,
    TextTokenizer,
    TokenBatch,
)
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import problem_of
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.tei.errors import BatchSizeError, EmptyInputError
from twopass.server.tei.types import Text, TruncationDirection

# More tokens than a text can have.
_ALL_TOKENS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How texts are read.

    Attributes:
        prompt: Stands before each text; "" for nothing.
        max_tokens: Most tokens of a sequence, special tokens included.
        truncate: Whether longer ones are cut; they are refused otherwise.
        direction: Where they are cut.
    """

    prompt: str
    max_tokens: int
    truncate: bool
    direction: TruncationDirection


def check_batch(field: str, size: int, limit: int) -> None:
    """Refuses an empty batch, and one that is too large.

    Args:
        field: Where it stands in the request.
        size: How many texts it has.
        limit: How many it may have.

    Raises:
        EmptyInputError: It has none.
        BatchSizeError: It has too many.
    """
    if size == 0:
        raise EmptyInputError(f"`{field}` cannot be empty")
    if size > limit:
        raise BatchSizeError(size, limit)


def check_inputs(field: str, inputs: Sequence[Text], max_bytes: int) -> None:
    """Refuses texts that are empty or too long.

    Args:
        field: Where the inputs stand in the request.
        inputs: Texts, or token ids.
        max_bytes: Longest text in bytes of UTF-8.

    Raises:
        EmptyInputError: One of them is empty.
        InvalidRequestError: A text is too long or holds a NUL.
    """
    for i, text in enumerate(inputs):
        if not text:
            raise EmptyInputError(f"Input validation error: `{field}` cannot be empty")
        if isinstance(text, str) and (problem := problem_of(text, max_bytes)):
            raise InvalidRequestError(f"{field}[{i}]: {problem}")


def check_ids(field: str, ids: Sequence[int], model: LoadedModel) -> None:
    """Refuses token ids, at least one, that the model has no tokens for.

    Raises:
        InvalidRequestError: Names the field, the id, and the highest one there is.
    """
    size = model.tokenizer.vocabulary_size
    for token_id in (min(ids), max(ids)):
        if not 0 <= token_id < size:
            raise InvalidRequestError(
                f"{field}: the token id {token_id} given, those of {model.spec.id} are 0 to "
                f"{size - 1}"
            )


def side_of(direction: TruncationDirection) -> Side:
    """The side of a text at which it is cut."""
    return Side.START if direction is TruncationDirection.LEFT else Side.END


def num_chars(inputs: Sequence[Text]) -> int:
    """Characters of texts; token ids count as one each."""
    return sum(map(len, inputs))


def prompt_of(prompts: Mapping[str, str], name: str | None) -> str:
    """The prompt of a name; "" for None.

    Raises:
        InvalidRequestError: The model has no prompt of that name; lists those that it has, in the
            form that clients of TEI take apart.
    """
    if name is None:
        return ""
    if name in prompts:
        return prompts[name]
    asked = f"`default-prompt-name` is set to `{name[:256]}` but"
    if not prompts:
        raise InvalidRequestError(
            f"{asked} no prompts were found in the Sentence Transformers configuration"
        )
    known = ", ".join(f'"{prompt}"' for prompt in prompts)
    raise InvalidRequestError(
        f"{asked} it was not found in the Sentence Transformers prompts. "
        f"Available prompts: [{known}]"
    )


@dataclass(frozen=True, slots=True, eq=False)
class ReadInputs:
    """Inputs as a model reads them.

    Attributes:
        batch: A sequence for each.
        num_truncated: How many were cut.
    """

    batch: TokenBatch
    num_truncated: int


async def sequences(
    model: LoadedModel,
    tokenizer: TextTokenizer,
    inputs: Sequence[Text],
    reading: Reading,
    tokenizing: Tokenizing,
    stop: Stop,
) -> ReadInputs:
    """Makes a sequence of each input: of a text with special tokens, of token ids as they are.

    Token ids that stand after a prompt are read as the text that they mean.

    Raises:
        InvalidRequestError: One is longer than is read and is not to be cut, or a token id is none
            of the model.
    """
    for text in inputs:
        if not isinstance(text, str):
            check_ids("inputs", text, model)
    if reading.prompt:
        inputs = await _as_texts(inputs, tokenizer, tokenizing, stop)
    texts = [reading.prompt + text for text in inputs if isinstance(text, str)]
    ids = [np.array(text, np.int32) for text in inputs if not isinstance(text, str)]
    of_texts = tokenizer.single
    cuts_ends = reading.truncate and reading.direction is TruncationDirection.RIGHT
    # Of a text that is cut at its end, no more tokens need be known than tell that it is.
    needed = reading.max_tokens - of_texts.num_tokens + 1 if cuts_ends else _ALL_TOKENS
    rows = await tokenizing.encode(tokenizer, texts, needed, stop)
    whole = _assembled(of_texts, rows, reading)
    if not ids:
        return whole
    as_they_are = replace(of_texts, prefix=(), suffix=())
    given = _assembled(as_they_are, Ragged.from_rows(ids), reading)
    if not texts:
        return given
    wholes, givens = iter(_rows_of(whole.batch)), iter(_rows_of(given.batch))
    joined = [next(wholes) if isinstance(text, str) else next(givens) for text in inputs]
    batch = _assembled(as_they_are, Ragged.from_rows(joined), reading).batch
    return ReadInputs(batch, whole.num_truncated + given.num_truncated)


def _assembled(template: SingleTemplate, rows: Ragged, reading: Reading) -> ReadInputs:
    """Rows with special tokens around them, cut to fit a sequence."""
    most = reading.max_tokens - template.num_tokens
    is_longer = rows.lengths > most
    if is_longer.any():
        if not reading.truncate:
            length = int(rows.lengths[is_longer.argmax()]) + template.num_tokens
            raise InvalidRequestError(
                f"`inputs` must have less than {reading.max_tokens} tokens. Given: {length}"
            )
        rows = rows.cut(most, side_of(reading.direction))
    batch, _ = template.assemble(rows, reading.max_tokens)
    return ReadInputs(batch, int(is_longer.sum()))


def _rows_of(batch: TokenBatch) -> list[Int32s]:
    return np.split(batch.token_ids, batch.offsets[1:-1])


async def _as_texts(
    inputs: Sequence[Text], tokenizer: TextTokenizer, tokenizing: Tokenizing, stop: Stop
) -> list[str]:
    def decoded() -> list[str]:
        return [
            text if isinstance(text, str) else tokenizer.decode(text, skip_special=True)
            for text in inputs
        ]

    return await tokenizing.lane.run(decoded, stop=stop)
