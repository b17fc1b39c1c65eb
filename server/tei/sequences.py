"""Texts and token ids as what an encoder reads, or a reranker of a single text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twopass.engines.base.model import LoadedModel
from twopass.engines.base.sequences import Int32s, Ragged, Side, SingleTemplate, TokenBatch
from twopass.engines.base.tokenizer import TextTokenizer
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError, ResponseTooLargeError
from twopass.server.models.passages import Cutting, Overlong, check_text, problem_of
from twopass.server.models.texts import cut_text
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
        cutting: What becomes of longer ones.
    """

    prompt: str
    max_tokens: int
    cutting: Cutting


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


def check_answer(field: str, content: str, num_bytes: int, limit: int) -> None:
    """Refuses what would fit no answer.

    Args:
        field: What of the request is answered with it.
        content: What the answer would hold, in words.
        num_bytes: How many bytes it would take.
        limit: How many it may take.

    Raises:
        ResponseTooLargeError: Names the limit, the value and the way out.
    """
    if num_bytes > limit:
        raise ResponseTooLargeError(
            f"{field}: {content} take {num_bytes:,} bytes, at most {limit:,} may be in one answer "
            "(max_message_bytes); send fewer or shorter texts at once",
            limit_name="max_message_bytes",
            limit=limit,
            value=num_bytes,
        )


def read_inputs(
    field: str, inputs: Sequence[Text], max_bytes: int, cutting: Cutting
) -> Sequence[Text]:
    """Refuses texts that are empty; see `read_text`.

    Args:
        field: Where the inputs stand in the request.
        inputs: Texts, or token ids.
        max_bytes: Longest text in bytes of UTF-8.
        cutting: What becomes of longer ones.

    Raises:
        EmptyInputError: One of them is empty.
        InvalidRequestError: A text is too long and not to be cut.
    """
    read = list(inputs)
    for i, text in enumerate(inputs):
        if not text:
            raise EmptyInputError(f"Input validation error: `{field}` cannot be empty")
        if isinstance(text, str) and problem_of(text, max_bytes):
            read[i] = read_text(f"{field}[{i}]", text, max_bytes, cutting)
    return read


def read_text(field: str, text: str, max_bytes: int, cutting: Cutting) -> str:
    """A text whose NULs are spaces, cut to the bytes that the server takes of it.

    One odd text must not fail the others of a batch.

    Raises:
        InvalidRequestError: It is too long and not to be cut.
    """
    if not problem_of(text, max_bytes):
        return text
    text = text.replace("\0", " ")
    if cutting.overlong is Overlong.CUT:
        return cut_text(text, max_bytes, cutting.side)
    check_text(field, text, max_bytes)
    return text


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


def cutting_of(*, truncate: bool, direction: TruncationDirection) -> Cutting:
    """What becomes of texts that are too long."""
    return Cutting(
        overlong=Overlong.CUT if truncate else Overlong.REFUSE,
        side=Side.START if direction is TruncationDirection.LEFT else Side.END,
        to_cut="set truncate to true",
    )


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
    cutting = reading.cutting
    cuts_ends = cutting.overlong is Overlong.CUT and cutting.side is Side.END
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
        if reading.cutting.overlong is Overlong.REFUSE:
            length = int(rows.lengths[is_longer.argmax()]) + template.num_tokens
            raise InvalidRequestError(
                f"`inputs` must have less than {reading.max_tokens} tokens. Given: {length}"
            )
        rows = rows.cut(most, reading.cutting.side)
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
