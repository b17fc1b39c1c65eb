"""Tokenising off the event loop, in threads that each have a tokenizer of their own."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from twopass.engines.base import Int32s, LoadedModel, LoadedReranker, Ragged, Tokenizer
from twopass.server.errors import InvalidRequestError


class Tokenizing:
    """Runs tokenizers in a pool of threads."""

    def __init__(self, num_threads: int) -> None:
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

    async def passage_ids(self, reranker: LoadedReranker, passages: Sequence[str]) -> Ragged:
        """Token ids of passages, as many as a pair can hold; longer ones are cut there."""
        return await self.encode(reranker.tokenizer, passages, reranker.spec.max_seq_len)

    def close(self) -> None:
        """Finishes what was begun."""
        self._threads.shutdown()
