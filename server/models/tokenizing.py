"""Tokenising off the event loop, in threads that each have a tokenizer of their own."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twopass.engines.base import (
    Int32s,
    LoadedEncoder,
    LoadedModel,
    LoadedReranker,
    PairTemplate,
    Prompt,
    Ragged,
    Tokenizer,
)
from twopass.index.lanes import Lane
from twopass.index.stopping import NEVER, Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.models.caches import ByteCache
from twopass.server.models.cutting import MAX_PASSAGE_TOKENS
from twopass.server.models.passages import Truncation, check_instruction

# Bytes of a cached passage beside its tokens: key, array object, place in the table.
_ENTRY_BYTES = 400
# The stop is checked after every chunk of so many characters. The slowest tokenizers read 4 MB a
# second, so that a chunk takes 16 ms.
_CHUNK_CHARS = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class PairQuery:
    """A query as a reranker reads it before each passage.

    Attributes:
        token_ids: The query's, without special tokens, int32 `[num_tokens]`.
        template: What stands around query and passage; a decoder's holds the instruction.
    """

    token_ids: Int32s
    template: PairTemplate

    @property
    def num_tokens(self) -> int:
        """Tokens of a pair beside the passage's."""
        return self.template.num_pair_tokens + len(self.token_ids)


class Tokenizing:
    """Runs tokenizers in threads of its own, and caches the tokens of passages.

    Every method that takes a `stop` raises `StoppedError` soon after it is set.

    Attributes:
        lane: Its threads.
    """

    def __init__(
        self,
        num_threads: int,
        passages: ByteCache[Int32s] | None = None,
        *,
        name: str = "tokenizing",
    ) -> None:
        """Prepares the threads.

        Args:
            num_threads: How many texts are tokenised at once.
            passages: Cache of the tokens of passages; None to keep none.
            name: Name of the lane.
        """
        self._passages = passages
        # Texts that wait have been admitted by the arbiter, which bounds them.
        self.lane = Lane(name, num_threads, max_waiting=None)

    async def encode(
        self, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, stop: Stop = NEVER
    ) -> Ragged:
        """Token ids without special tokens, each row cut after `max_tokens`."""
        return await self.lane.run(_encode, tokenizer, texts, max_tokens, stop, stop=stop)

    async def query_ids(
        self, model: LoadedModel, query: str, stop: Stop = NEVER, *, field: str = "query"
    ) -> Int32s:
        """Token ids of a query, which is never cut; an encoder's stand after its prefix.

        Args:
            model: The model that will read the query.
            query: The text.
            stop: Ends the work.
            field: The query's path in the request, for error messages.

        Raises:
            InvalidRequestError: The query has no token, or more than the model allows.
        """
        tokenizer: Tokenizer = model.tokenizer
        num_before = 0
        if isinstance(model, LoadedEncoder):
            tokenizer = model.query_tokenizer
            num_before = tokenizer.num_prefix_tokens
        # One token beyond the limit is enough to know that it is exceeded.
        most = num_before + model.spec.max_query_tokens + 1
        ids = (await self.encode(tokenizer, [query], most, stop))[0]
        _ensure_asks(model, max(0, len(ids) - num_before) if query.strip() else 0, field)
        return ids

    async def instructed(
        self, encoder: LoadedEncoder, instruction: str, stop: Stop = NEVER, *, field: str
    ) -> LoadedEncoder:
        """The encoder that embeds queries under an instruction; "" gives this one.

        Args:
            encoder: The model.
            instruction: What queries are embedded for.
            stop: Ends the work.
            field: The instruction's path in the request, for error messages.

        Raises:
            InvalidRequestError: The encoder takes no instruction, or this one is too long for it.
        """
        check_instruction(field, instruction, encoder, encoder.takes_instruction)
        if not instruction:
            return encoder
        most = encoder.spec.max_query_tokens + 1
        num_tokens = len((await self.encode(encoder.tokenizer, [instruction], most, stop))[0])
        _ensure_asks(encoder, num_tokens, field)
        return encoder.instructed(instruction)

    async def pair_query(
        self, reranker: LoadedReranker, query: str, instruction: str = "", stop: Stop = NEVER
    ) -> PairQuery:
        """A query as a reranker reads it; neither it nor the instruction is cut.

        Args:
            reranker: The model.
            query: The text.
            instruction: What makes a passage relevant; "" for the model's own. Only where the
                reranker takes one.
            stop: Ends the work.

        Raises:
            InvalidRequestError: One of them has no token, or more than the model allows.
        """
        if (prompt := reranker.prompt) is None:
            ids = await self.query_ids(reranker, query, stop)
            return PairQuery(ids, reranker.tokenizer.template)
        return await self.lane.run(_prompted, reranker, prompt, query, instruction, stop=stop)

    async def passage_ids(
        self,
        reranker: LoadedReranker,
        passages: Sequence[str],
        truncation: Truncation,
        stop: Stop = NEVER,
    ) -> Ragged:
        """Token ids of passages, each row cut after `passage_limit`; cached ones are reused."""
        limit, tokenizer = passage_limit(reranker, truncation), reranker.tokenizer
        if self._passages is None:
            return await self.encode(tokenizer, passages, limit, stop)
        return await self.lane.run(
            _encode_cached, self._passages, tokenizer, passages, limit, stop, stop=stop
        )

    async def spans(
        self,
        tokenizer: Tokenizer,
        passages: Sequence[str],
        windows: Int32s,
        stop: Stop = NEVER,
    ) -> list[tuple[int, int]]:
        """Where windows stand in their passages, in characters: first, one past the last.

        Args:
            tokenizer: The tokenizer that the windows' tokens are of.
            passages: The texts.
            windows: First token and one past the last of one window of each passage, int32
                `[num_passages, 2]`.
            stop: Ends the work.
        """
        return await self.lane.run(_spans, tokenizer, passages, windows, stop, stop=stop)

    def close(self) -> None:
        """Finishes the work that was begun, and ends the threads."""
        self.lane.close()


def passage_limit(reranker: LoadedReranker, truncation: Truncation) -> int:
    """Tokens of a passage that must be known; the reranker never reads those beyond."""
    if truncation is Truncation.MAX_WINDOW:
        return MAX_PASSAGE_TOKENS
    # One beyond what is read is enough to know that a passage is cut.
    readable = reranker.spec.max_passage_tokens or reranker.spec.max_seq_len
    return min(readable + 1, reranker.spec.max_seq_len)


def _ensure_asks(model: LoadedModel, num_tokens: int, field: str) -> None:
    """Refuses a query or an instruction of no tokens, or of more than the model allows."""
    limit = model.spec.max_query_tokens
    if num_tokens == 0:
        raise InvalidRequestError(f"{field}: it has no words")
    if num_tokens > limit:
        raise InvalidRequestError(
            f"{field}: over {limit} tokens of {model.spec.id}; "
            f"{'instructions' if field.endswith('instruction') else 'queries'} are never cut, "
            "shorten it"
        )


def _prompted(reranker: LoadedReranker, prompt: Prompt, query: str, instruction: str) -> PairQuery:
    most = reranker.spec.max_query_tokens + 1
    if instruction:
        num_tokens = prompt.num_instruction_tokens(instruction, most)
        _ensure_asks(reranker, num_tokens, "instruction")
    # White space of the prompt is tokenised with a query, so that one of white space has tokens.
    ids, template = reranker.read_query(query, most, instruction)
    _ensure_asks(reranker, len(ids) if query.strip() else 0, "query")
    return PairQuery(ids, template)


def _encode(
    tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, stop: Stop = NEVER
) -> Ragged:
    parts = []
    for chunk in _chunks(texts):
        stop.check()
        parts.append(tokenizer.encode(chunk, max_tokens))
    return parts[0] if len(parts) == 1 else _joined(parts)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Parts of a list of texts, of about `_CHUNK_CHARS` each; an empty list is one empty part."""
    start, num_chars = 0, 0
    for end, text in enumerate(texts, 1):
        num_chars += len(text)
        if num_chars >= _CHUNK_CHARS and end < len(texts):
            yield texts[start:end]
            start, num_chars = end, 0
    yield texts[start:]


def _joined(parts: Sequence[Ragged]) -> Ragged:
    """The rows of all parts, end to end."""
    offsets = np.zeros(1 + sum(map(len, parts)), np.int32)
    np.cumsum(np.concatenate([part.lengths for part in parts]), out=offsets[1:])
    return Ragged(np.concatenate([part.token_ids for part in parts]), offsets)


def _spans(
    tokenizer: Tokenizer, passages: Sequence[str], windows: Int32s, stop: Stop
) -> list[tuple[int, int]]:
    spans = []
    for passage, (first, end) in zip(passages, windows.tolist(), strict=True):
        stop.check()
        places = tokenizer.places(passage)[first:end]
        spans.append((int(places[0, 0]), int(places[-1, 1])) if len(places) else (0, 0))
    return spans


def _encode_cached(
    cache: ByteCache[Int32s],
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_tokens: int,
    stop: Stop,
) -> Ragged:
    """Does what `_encode` does, with a cache for texts that come again."""
    keys = [(tokenizer.fingerprint, max_tokens, _digest(text)) for text in texts]
    rows = cache.get_all(keys)
    missing = [i for i, row in enumerate(rows) if row is None]
    encoded = _encode(tokenizer, [texts[i] for i in missing], max_tokens, stop)
    for row, i in enumerate(missing):
        rows[i] = encoded[row].copy()  # its own memory, not a view that keeps the whole alive
    complete = [row for row in rows if row is not None]
    cache.put_all((keys[i], complete[i], complete[i].nbytes + _ENTRY_BYTES) for i in missing)
    return encoded if len(missing) == len(texts) else Ragged.from_rows(complete)


def _digest(text: str) -> bytes:
    """A 160-bit cryptographic hash of a text: no other text can be made to have it."""
    return hashlib.blake2b(text.encode(), digest_size=20).digest()
