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

# Of a cached passage beside its tokens: key, array object, place in the table.
_ENTRY_BYTES = 400
# Between so many characters it is asked whether the tokens are still needed. The slowest tokenizers
# read 4 MB a second, so that this takes 16 ms.
_CHUNK_CHARS = 65_536


class Tokenizing:
    """Runs tokenizers in threads of its own; remembers the tokens of passages.

    Every method that takes a `stop` ends soon after it is set, by `StoppedError`.

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
            passages: Where tokens of passages are kept; None to keep none.
            name: The lane's.
        """
        self._passages = passages
        # What waits has been admitted by the arbiter, and so is bounded.
        self.lane = Lane(name, num_threads, max_waiting=None)

    async def encode(
        self, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, stop: Stop = NEVER
    ) -> Ragged:
        """Token ids without special tokens, a row cut after `max_tokens`."""
        return await self.lane.run(_encode, tokenizer, texts, max_tokens, stop, stop=stop)

    async def query_ids(
        self, model: LoadedModel, query: str, stop: Stop = NEVER, *, field: str = "query"
    ) -> Int32s:
        """Token ids of a query, which is never cut.

        Args:
            model: By whose tokenizer.
            query: The text.
            stop: Ends the work.
            field: Where the query stands in the request, for messages.

        Raises:
            InvalidRequestError: It has no token, or more than the model allows.
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
        """Token ids of passages, as many as will be read; longer ones are cut there."""
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
            tokenizer: Whose tokens they are.
            passages: The texts.
            windows: First token and one past the last of a window of each, int32
                `[num_passages, 2]`.
            stop: Ends the work.
        """
        return await self.lane.run(_spans, tokenizer, passages, windows, stop, stop=stop)

    def close(self) -> None:
        """Finishes what was begun."""
        self.lane.close()


def passage_limit(reranker: LoadedReranker, truncation: Truncation) -> int:
    """Tokens of a passage beyond which none need be known: read they never are."""
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
    """Parts of a list of texts, of about `_CHUNK_CHARS` each; one where the list is empty."""
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
    """As `_encode`, of texts that may come again."""
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
    """Names a text, by so long a cryptographic hash that none can be made to pass for another."""
    return hashlib.blake2b(text.encode(), digest_size=20).digest()
