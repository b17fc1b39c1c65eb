"""Tokenising off the event loop, in threads that each have a tokenizer of their own."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from twopass.engines.base import Int32s, LoadedModel, LoadedReranker, Ragged, Tokenizer
from twopass.server.errors import InvalidRequestError
from twopass.server.models.caches import ByteCache
from twopass.server.models.cutting import MAX_PASSAGE_TOKENS
from twopass.server.models.passages import Truncation

# Of a cached passage beside its tokens: key, array object, place in the table.
_ENTRY_BYTES = 400


class Tokenizing:
    """Runs tokenizers in a pool of threads; remembers the tokens of passages."""

    def __init__(self, num_threads: int, passages: ByteCache[Int32s] | None = None) -> None:
        """Starts the threads.

        Args:
            num_threads: How many texts are tokenised at once.
            passages: Where tokens of passages are kept; None to keep none.
        """
        self._passages = passages
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="tokenizer")

    async def encode(self, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Token ids without special tokens, a row cut after `max_tokens`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, tokenizer.encode, texts, max_tokens)

    async def query_ids(self, model: LoadedModel, query: str, *, field: str = "query") -> Int32s:
        """Token ids of a query, which is never cut.

        Args:
            model: By whose tokenizer.
            query: The text.
            field: Where it stands in the request, for messages.

        Raises:
            InvalidRequestError: It has no token, or more than the model allows.
        """
        limit = model.spec.max_query_tokens
        # One token beyond the limit is enough to know that it is exceeded.
        ids = (await self.encode(model.tokenizer, [query], limit + 1))[0]
        if len(ids) == 0:
            raise InvalidRequestError(f"{field}: it has no words")
        if len(ids) > limit:
            raise InvalidRequestError(
                f"{field}: over {limit} tokens of {model.spec.id}; "
                "queries are never cut, shorten it"
            )
        return ids

    async def passage_ids(
        self, reranker: LoadedReranker, passages: Sequence[str], truncation: Truncation
    ) -> Ragged:
        """Token ids of passages, as many as will be read; longer ones are cut there."""
        limit = passage_limit(reranker, truncation)
        return await self._encode_cached(reranker.tokenizer, passages, limit)

    async def spans(
        self, tokenizer: Tokenizer, passages: Sequence[str], windows: Int32s
    ) -> list[tuple[int, int]]:
        """Where windows stand in their passages, in characters: first, one past the last.

        Args:
            tokenizer: Whose tokens they are.
            passages: The texts.
            windows: First token and one past the last of a window of each, int32
                `[num_passages, 2]`.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _spans, tokenizer, passages, windows)

    async def _encode_cached(
        self, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int
    ) -> Ragged:
        """As `encode`, of texts that may come again."""
        if self._passages is None:
            return await self.encode(tokenizer, texts, max_tokens)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, _encode_cached, self._passages, tokenizer, texts, max_tokens
        )

    def close(self) -> None:
        """Finishes what was begun."""
        self._threads.shutdown()


def passage_limit(reranker: LoadedReranker, truncation: Truncation) -> int:
    """Tokens of a passage beyond which none need be known: read they never are."""
    if truncation is Truncation.MAX_WINDOW:
        return MAX_PASSAGE_TOKENS
    # One beyond what is read is enough to know that a passage is cut.
    readable = reranker.spec.max_passage_tokens or reranker.spec.max_seq_len
    return min(readable + 1, reranker.spec.max_seq_len)


def _spans(tokenizer: Tokenizer, passages: Sequence[str], windows: Int32s) -> list[tuple[int, int]]:
    spans = []
    for passage, (first, end) in zip(passages, windows.tolist(), strict=True):
        places = tokenizer.places(passage)[first:end]
        spans.append((int(places[0, 0]), int(places[-1, 1])) if len(places) else (0, 0))
    return spans


def _encode_cached(
    cache: ByteCache[Int32s], tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int
) -> Ragged:
    keys = [(tokenizer.fingerprint, max_tokens, _digest(text)) for text in texts]
    rows = cache.get_all(keys)
    missing = [i for i, row in enumerate(rows) if row is None]
    encoded = tokenizer.encode([texts[i] for i in missing], max_tokens)
    for row, i in enumerate(missing):
        rows[i] = encoded[row].copy()  # its own memory, not a view that keeps the whole alive
    complete = [row for row in rows if row is not None]
    cache.put_all((keys[i], complete[i], complete[i].nbytes + _ENTRY_BYTES) for i in missing)
    return encoded if len(missing) == len(texts) else Ragged.from_rows(complete)


def _digest(text: str) -> bytes:
    """Names a text, by so long a cryptographic hash that none can be made to pass for another."""
    return hashlib.blake2b(text.encode(), digest_size=20).digest()
