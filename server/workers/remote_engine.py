"""An engine that is another process: batches go out as raw token ids, and values come back."""

import math
import time
from concurrent.futures import Future

import numpy as np

from twopass.engine.v1 import engine_pb2
from twopass.engines.base.engine import BatchTerms, EngineInfo, PackedLayout, PaddedLayout, Urgency
from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.engines.errors import DeviceError
from twopass.server.workers.connection import Connection

# For a batch without an end: longer than any takes. The fleet has given it to another long before.
_LONGEST_SECONDS = 120.0
_URGENCIES = {
    Urgency.QUERY: engine_pb2.URGENCY_QUERY,
    Urgency.RERANK: engine_pb2.URGENCY_RERANK,
    Urgency.INGEST: engine_pb2.URGENCY_INGEST,
    Urgency.SHADOW: engine_pb2.URGENCY_INGEST,  # no less urgent kind is on the wire
}


class RemoteEngine:
    """A model of a worker; an `Engine`, `TokenEngine` and `DistantEngine` of `engines.base`."""

    def __init__(self, connection: Connection, worker_id: str, held: engine_pb2.HeldModel) -> None:
        """Takes the worker's word for what it is; nothing is sent.

        Args:
            connection: To the worker.
            worker_id: The process that was described.
            held: The model, as it was described.
        """
        self.info = info_of(held)
        self.output_width = held.output_width
        self.token_width = held.token_width
        self._connection = connection
        self._worker_id = worker_id
        self._revision = held.revision

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch; see `engines.base`."""
        return self.submit_on(batch, BatchTerms())

    def submit_tokens(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for the vectors of its tokens; see `TokenEngine`."""
        return self.submit_on(batch, BatchTerms(of_tokens=True))

    def submit_on(self, batch: TokenBatch, terms: BatchTerms) -> Future[Float32s]:
        """Queues a batch; see `DistantEngine`."""
        seconds = _LONGEST_SECONDS
        if terms.end is not None:
            seconds = min(seconds, max(0.0, terms.end - time.perf_counter()))
        shape = self._shape(batch, of_tokens=terms.of_tokens)
        request = engine_pb2.ComputeRequest(
            worker_id=self._worker_id,
            revision=self._revision,
            token_ids=_bytes(batch.token_ids),
            offsets=_bytes(batch.offsets),
            query_lengths=_bytes(batch.query_lengths),
            output=engine_pb2.OUTPUT_TOKENS if terms.of_tokens else engine_pb2.OUTPUT_SEQUENCES,
            urgency=_URGENCIES[terms.urgency],
        )
        return self._connection.compute(
            request, seconds, lambda response: _values(response.values, shape)
        )

    def close(self) -> None:
        """Leaves the connection to whoever opened it."""

    def _shape(self, batch: TokenBatch, *, of_tokens: bool) -> tuple[int, ...]:
        if of_tokens:
            return batch.num_tokens, self.token_width
        return (len(batch),) if self.output_width == 1 else (len(batch), self.output_width)


def info_of(held: engine_pb2.HeldModel) -> EngineInfo:
    """What a worker says of an engine.

    Raises:
        ValueError: It is not what any engine is.
    """
    if min(held.max_seq_len, held.max_batch_tokens, held.max_in_flight, held.output_width) < 1:
        raise ValueError(f"{held.id}: lengths and widths below 1 were told")
    return EngineInfo(
        engine=held.engine,
        precision=held.precision,
        device=held.device,
        max_seq_len=held.max_seq_len,
        layout=PaddedLayout(tuple(held.buckets)) if held.buckets else PackedLayout(),
        max_batch_tokens=held.max_batch_tokens,
        max_in_flight=held.max_in_flight,
        batch_seconds=held.batch_seconds or math.inf,
        min_batch_tokens=max(1, held.min_batch_tokens),
        has_graphs=held.cuda_graphs,
    )


def _bytes(values: Int32s) -> bytes:
    return np.ascontiguousarray(values, "<i4").tobytes()


def _values(content: bytes, shape: tuple[int, ...]) -> Float32s:
    wanted = 4 * math.prod(shape)
    if len(content) != wanted:
        raise DeviceError(f"{len(content):,} bytes of values came, not {wanted:,}")
    return np.frombuffer(content, "<f4").astype(np.float32, copy=False).reshape(shape)
