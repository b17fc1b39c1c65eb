"""Tokenising off the event loop, in threads that each have a tokenizer of their own."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from twopass.engines.base import Int32s, LoadedModel, LoadedReranker, Ragged, Tokenizer
from twopass.server.errors import InvalidRequestError
from twopass.server.search import Truncation
from twopass.server.windows import MAX_PASSAGE_TOKENS


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

    async def passage_ids(
        self, reranker: LoadedReranker, passages: Sequence[str], truncation: Truncation
    ) -> Ragged:
        """Token ids of passages, as many as will be read; longer ones are cut there."""
        in_windows = truncation is Truncation.MAX_WINDOW
        limit = MAX_PASSAGE_TOKENS if in_windows else reranker.spec.max_seq_len
        return await self.encode(reranker.tokenizer, passages, limit)

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

    def close(self) -> None:
        """Finishes what was begun."""
        self._threads.shutdown()


def _spans(tokenizer: Tokenizer, passages: Sequence[str], windows: Int32s) -> list[tuple[int, int]]:
    spans = []
    for passage, (first, end) in zip(passages, windows.tolist(), strict=True):
        places = tokenizer.places(passage)[first:end]
        spans.append((int(places[0, 0]), int(places[-1, 1])) if len(places) else (0, 0))
    return spans
