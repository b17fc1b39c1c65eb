"""Embeddings and logits straight from the CPU engine, without a server."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from twopass.engines.base.engine import EngineChoice, Precision
from twopass.engines.base.model import LoadedEncoder, LoadedReranker
from twopass.engines.base.sequences import Float32s, Ragged
from twopass.engines.base.tokenizer import TextTokenizer
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.loading import load_model

Advance = Callable[[int], None]

# Enough for the engine to pack well, few enough for a progress bar that moves.
_TEXTS_AT_ONCE = 64


class Models:
    """An encoder and a reranker in one precision; close them by leaving the block."""

    def __init__(
        self, encoder: str, reranker: str, *, precision: Precision, num_threads: int
    ) -> None:
        """Loads both models.

        Args:
            encoder: A shipped model, a folder, or a hub id.
            reranker: A shipped model, a folder, or a hub id.
            precision: Precision of the matrix products of both.
            num_threads: Threads of one forward pass; 0 takes one for each CPU of the process.

        Raises:
            ModelError: A model is missing or damaged, or the CPU engine can't compute it.
            UnsupportedModelError: A model is not of the kind it is given as.
        """
        loaded = [
            load_model(name, num_threads=num_threads, engine=EngineChoice.CPU, precision=precision)
            for name in (encoder, reranker)
        ]
        first, second = loaded
        if not isinstance(first, LoadedEncoder):
            raise UnsupportedModelError(f"{encoder}: a reranker, where an encoder is needed")
        if not isinstance(second, LoadedReranker):
            raise UnsupportedModelError(f"{reranker}: an encoder, where a reranker is needed")
        self.encoder = first
        self.reranker = second

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes both engines."""
        self.encoder.engine.close()
        self.reranker.engine.close()

    def embed_queries(self, texts: Sequence[str], advance: Advance) -> Float32s:
        """Embeds queries, float32 `[num_texts, hidden_size]`; calls `advance` with their number."""
        return self._embed(self.encoder.query_tokenizer, texts, advance)

    def embed_passages(self, texts: Sequence[str], advance: Advance) -> Float32s:
        """Embeds passages, float32 `[num_texts, hidden_size]`; `advance` gets their number."""
        return self._embed(self.encoder.passage_tokenizer, texts, advance)

    def tokenize(self, texts: Sequence[str]) -> Ragged:
        """Tokenises passages for `score`, cut to what the reranker can read."""
        return self.reranker.tokenizer.encode(texts, self.reranker.spec.max_seq_len)

    def score(self, query: str, passages: Ragged) -> Float32s:
        """Logits of one query with each passage, float32 `[num_passages]`."""
        asked = self.reranker.read_query(query)
        most = self.reranker.engine.info.max_seq_len
        pairs, _ = asked.template.assemble(asked.token_ids, passages, most)
        return self.reranker.engine.submit(pairs).result()

    def _embed(self, tokenizer: TextTokenizer, texts: Sequence[str], advance: Advance) -> Float32s:
        parts = []
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[first : first + _TEXTS_AT_ONCE]
            parts.append(self._embed_at_once(tokenizer, some))
            advance(len(some))
        return np.concatenate(parts)

    def _embed_at_once(self, tokenizer: TextTokenizer, texts: Sequence[str]) -> Float32s:
        engine = self.encoder.engine
        rows = tokenizer.encode(texts, engine.info.max_seq_len)
        singles, _ = tokenizer.single.assemble(rows, engine.info.max_seq_len)
        return engine.submit(singles).result()
