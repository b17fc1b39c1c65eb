"""What a reranker reads of candidates: stored tokens where it can, else their texts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Int32s, Ragged
from twopass.engines.base.tokenizer import Tokenizer
from twopass.index.schema import CollectionSchema
from twopass.index.stopping import Stop
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.search.candidates import Candidates


@dataclass(frozen=True, slots=True, eq=False)
class PassageReading:
    """The reading of some candidates by one reranker: whole passages, or their nearest windows.

    Attributes:
        candidates: The candidates.
        positions: Which of them, int32 `[n]`.
        reranker: What reads them.
        truncation: What happens to a passage that is too long.
        schema: That of their collection.
        tokenizer: The tokenizer that has cut the collection's passages; None for none.
    """

    candidates: Candidates
    positions: Int32s
    reranker: LoadedReranker
    truncation: Truncation
    schema: CollectionSchema
    tokenizer: Tokenizer | None

    def stored(self) -> Ragged | None:
        """The stored token ids, `[n]`; None where they are another tokenizer's."""
        if self.schema.tokenizer_fingerprint != self.reranker.tokenizer.fingerprint:
            return None
        if self._window_tokens is None:
            return self.candidates.passages_at(self.positions)
        return self.candidates.windows_at(self.positions, self._window_tokens)

    async def of_texts(self, texts: Sequence[str], tokenizing: Tokenizing, stop: Stop) -> Ragged:
        """Token ids of texts, `[n]`.

        Args:
            texts: The passages, `[n]`.
            tokenizing: Tokenises them.
            stop: Ends the work.
        """
        tokenizer, window_tokens = self.tokenizer, self._window_tokens
        if tokenizer is not None and window_tokens is not None:
            texts = await self._windows(texts, tokenizer, window_tokens, tokenizing, stop)
        return await tokenizing.passage_ids(self.reranker, texts, self.truncation, stop)

    @property
    def _window_tokens(self) -> int | None:
        """Tokens of a window and its head; None where passages are read whole."""
        if self.truncation is Truncation.MAX_WINDOW or self.schema.chunking is None:
            return None
        return self.schema.chunking.window_tokens

    async def _windows(
        self,
        texts: Sequence[str],
        tokenizer: Tokenizer,
        window_tokens: int,
        tokenizing: Tokenizing,
        stop: Stop,
    ) -> Sequence[str]:
        """The texts of windows, each after its head; whole texts where no window is known."""
        windows = self.candidates.windows
        if windows is None:
            return texts
        heads = self.candidates.heads_at(self.positions, window_tokens)
        spans = await tokenizing.spans(tokenizer, texts, windows[self.positions], stop)
        ends = await tokenizing.spans(
            tokenizer, texts, np.stack([np.zeros_like(heads), heads], axis=1), stop
        )
        return [
            f"{text[:end]} {text[slice(*span)]}".lstrip()
            for text, span, (_, end) in zip(texts, spans, ends, strict=True)
        ]
