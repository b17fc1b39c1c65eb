"""Token ids to embeddings, with the prefixes, special tokens and length of the encoder's folder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.model import LoadedEncoder
from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.engines.base.tokenizer import TextTokenizer
from twopass.server.models.caches import ByteCache
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter, Priority

# Bytes of a cached query beside its tokens and its embedding: array objects, place in the table.
_ENTRY_BYTES = 400


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embeddings of texts, in their order.

    Attributes:
        vectors: L2-normalised, float32 `[num_texts, output_width]`.
        truncated: Whether the text's end was cut, bool `[num_texts]`.
        lengths: Tokens of each text as the model reads it, special tokens included, int32
            `[num_texts]`; also where its embedding was remembered.
        num_tokens: Tokens the model read; 0 where all embeddings were remembered.
        queue_seconds: Time in which none of the texts was in the engine.
        engine_seconds: Time in which at least one was.
    """

    vectors: Float32s
    truncated: NDArray[np.bool_]
    lengths: Int32s
    num_tokens: int
    queue_seconds: float
    engine_seconds: float


class Embedding:
    """Embeds queries and passages through the arbiter."""

    def __init__(self, arbiter: Arbiter, queries: ByteCache[Float32s] | None = None) -> None:
        """Takes what it works with.

        Args:
            arbiter: The arbiter of the device.
            queries: Cache of the embeddings of queries; None to keep none.
        """
        self._arbiter = arbiter
        self._known_queries = queries

    async def queries(
        self,
        encoder: LoadedEncoder,
        token_ids: Ragged,
        request: Request,
        *,
        end: float | None = None,
    ) -> Embedded:
        """Embeds queries, ahead of everything else.

        Args:
            encoder: The model.
            token_ids: Rows of the encoder's `query_tokenizer`.
            request: The request that needs them; sets `queue` and `embed` of its `timings`.
            end: When it must be done, seconds of `time.perf_counter`; None for the request's end.

        Raises:
            LateError: `end` came first.
            EngineError: The engine failed.
        """
        embedded = await self._queries(encoder, token_ids, request.end if end is None else end)
        _record(embedded, request)
        return embedded

    async def _queries(
        self, encoder: LoadedEncoder, token_ids: Ragged, deadline: float | None
    ) -> Embedded:
        # Engines of several precisions agree closely, not bit for bit.
        model = f"{encoder.spec.revision} {encoder.engine.info.precision}"
        tokenizer = encoder.query_tokenizer
        before = np.array(tokenizer.single.prefix, np.int32).tobytes()
        keys = [(model, before + token_ids[i].tobytes()) for i in range(len(token_ids))]
        if (vectors := self._remembered(keys)) is not None:
            return Embedded(
                vectors=vectors,
                truncated=np.zeros(len(vectors), np.bool_),
                lengths=token_ids.lengths + np.int32(tokenizer.single.num_tokens),
                num_tokens=0,
                queue_seconds=0.0,
                engine_seconds=0.0,
            )
        embedded = await self._embed(encoder, token_ids, tokenizer, Priority.QUERY, deadline)
        if self._known_queries is not None and not embedded.truncated.any():
            self._known_queries.put_all(
                (key, vector.copy(), vector.nbytes + len(key[1]) + _ENTRY_BYTES)
                for key, vector in zip(keys, embedded.vectors, strict=True)
            )
        return embedded

    def _remembered(self, keys: Sequence[tuple[str, bytes]]) -> Float32s | None:
        """The cached embeddings of queries; None unless all are in the cache."""
        if self._known_queries is None:
            return None
        vectors = [vector for vector in self._known_queries.get_all(keys) if vector is not None]
        return np.stack(vectors) if len(vectors) == len(keys) else None

    async def passages(
        self,
        encoder: LoadedEncoder,
        token_ids: Ragged,
        request: Request,
        *,
        is_awaited: bool = False,
    ) -> Embedded:
        """Embeds passages; raises what `queries` raises.

        Args:
            encoder: The model.
            token_ids: Rows of the encoder's `passage_tokenizer`.
            request: The request that needs them, as for `queries`.
            is_awaited: Whether somebody waits for them as for queries: ahead of everything else,
                where passages come after everything else otherwise.
        """
        priority = Priority.QUERY if is_awaited else Priority.INGEST
        tokenizer = encoder.passage_tokenizer
        embedded = await self._embed(encoder, token_ids, tokenizer, priority, request.end)
        _record(embedded, request)
        return embedded

    async def _embed(
        self,
        encoder: LoadedEncoder,
        token_ids: Ragged,
        tokenizer: TextTokenizer,
        priority: Priority,
        deadline: float | None,
    ) -> Embedded:
        singles, truncated = tokenizer.single.assemble(token_ids, _max_seq_len(encoder))
        computed = await self._arbiter.compute(encoder.engine, singles, priority, deadline=deadline)
        return Embedded(
            vectors=computed.output,
            truncated=truncated,
            lengths=singles.lengths,
            num_tokens=singles.num_tokens,
            queue_seconds=computed.queue_seconds,
            engine_seconds=computed.engine_seconds,
        )


def _record(embedded: Embedded, request: Request) -> None:
    request.timings.embed = embedded.engine_seconds
    request.timings.queue = embedded.queue_seconds


def max_passage_tokens(encoder: LoadedEncoder) -> int:
    """Longest passage that an encoder reads to its end, in tokens of its `passage_tokenizer`."""
    return _max_seq_len(encoder) - encoder.passage_tokenizer.single.num_tokens


def _max_seq_len(encoder: LoadedEncoder) -> int:
    return min(encoder.spec.max_seq_len, encoder.engine.info.max_seq_len)
