"""Token ids to embeddings, as the encoder's folder says: prefixes, special tokens, length."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass._core import assemble_singles
from twopass.engines.base import Float32s, LoadedEncoder, Ragged, TokenBatch
from twopass.server.batcher import Batcher, Priority


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embeddings of texts, in their order.

    Attributes:
        vectors: L2-normalised, float32 `[num_texts, hidden_size]`.
        truncated: Whether the text's end was cut, bool `[num_texts]`.
        num_tokens: Tokens the model read.
        queue_seconds: Time in which none of the texts was in the engine.
        engine_seconds: Time in which at least one was.
    """

    vectors: Float32s
    truncated: NDArray[np.bool_]
    num_tokens: int
    queue_seconds: float
    engine_seconds: float


class Embedding:
    """Embeds queries and passages through the batcher."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def queries(
        self, encoder: LoadedEncoder, token_ids: Ragged, *, deadline: float | None
    ) -> Embedded:
        """Embeds queries, ahead of everything else.

        Args:
            encoder: Which model.
            token_ids: By the encoder's tokenizer, without special tokens and prefixes.
            deadline: Seconds of `time.perf_counter`; None for never.

        Raises:
            LateError: The deadline came first.
            EngineError: The engine failed.
        """
        prefix = encoder.spec.query_prefix
        return await self._embed(encoder, token_ids, prefix, Priority.QUERY, deadline)

    async def passages(
        self, encoder: LoadedEncoder, token_ids: Ragged, *, deadline: float | None
    ) -> Embedded:
        """Embeds passages, after everything else; otherwise as `queries`."""
        prefix = encoder.spec.passage_prefix
        return await self._embed(encoder, token_ids, prefix, Priority.INGEST, deadline)

    async def _embed(
        self,
        encoder: LoadedEncoder,
        token_ids: Ragged,
        text_prefix: str,
        priority: Priority,
        deadline: float | None,
    ) -> Embedded:
        template = encoder.tokenizer.template
        prefix = np.array(template.prefix, np.int32)
        if text_prefix:
            own = encoder.tokenizer.encode([text_prefix], encoder.spec.max_seq_len)[0]
            prefix = np.concatenate([prefix, own])
        *batch, truncated = assemble_singles(
            token_ids.token_ids,
            token_ids.offsets,
            prefix,
            np.array(template.suffix, np.int32),
            min(encoder.spec.max_seq_len, encoder.engine.info.max_seq_len),
        )
        singles = TokenBatch(*batch)
        computed = await self._batcher.compute(encoder.engine, singles, priority, deadline=deadline)
        return Embedded(
            vectors=computed.output,
            truncated=truncated,
            num_tokens=singles.num_tokens,
            queue_seconds=computed.queue_seconds,
            engine_seconds=computed.engine_seconds,
        )
