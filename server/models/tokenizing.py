"""Tokenising off the event loop, in threads that each have a tokenizer of their own."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from twopass.engines.base import Int32s, LoadedModel, LoadedReranker, Ragged, Tokenizer
from twopass.index.lanes import Lane
from twopass.index.stopping import NEVER, Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.models.caches import ByteCache
from twopass.server.models.cutting import MAX_PASSAGE_TOKENS
from twopass.server.models.passages import Truncation

# Bytes of a cached passage beside its tokens: key, array object, place in the table.
_ENTRY_BYTES = 400
# The stop is checked after every chunk of so many characters. The slowest tokenizers read 4 MB a
# second, so that a chunk takes 16 ms.
_CHUNK_CHARS = 65_536


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
        """Token ids of a query, which is never cut.

        Args:
            model: The model that will read the query.
            query: The text.
            stop: Ends the work.
            field: The query's path in the request, for error messages.

        Raises:
            InvalidRequestError: The query has no token, or more than the model allows.
        """
        limit = model.spec.max_query_tokens
        # One token beyond the limit is enough to know that it is exceeded.
        ids = (await self.encode(model.tokenizer, [query], limit + 1, stop))[0]
        if len(ids) == 0:
            raise InvalidRequestError(f"{field}: it has no words")
        if len(ids) > limit:
            raise InvalidRequestError(
                f"{field}: over {limit} tokens of {model.spec.id}; "
                "queries are never cut, shorten it"
            )
        return ids

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
