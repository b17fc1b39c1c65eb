"""An engine that takes a fixed time for each token, and no processor meanwhile."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from twopass.engines.base.engine import EngineInfo, PackedLayout
from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.base.sequences import Float32s, TokenBatch

# As the engine cpu asks to be fed.
_MAX_IN_FLIGHT, _BATCH_SECONDS = 2, 0.020
_MIN_BATCH_TOKENS, _MAX_BATCH_TOKENS = 512, 16_384
_EMBEDDING_WIDTH = 384


class SlowedEngine:
    """An engine of a fixed speed, whose outputs are made of token ids alone."""

    def __init__(self, spec: ModelSpec, tokens_per_second: float) -> None:
        """Begins to compute.

        Args:
            spec: The model whose place it takes.
            tokens_per_second: Its speed, for one batch after another.
        """
        self.info = EngineInfo(
            engine="slowed",
            precision="f32",
            device=f"{tokens_per_second:,.0f} tokens/s",
            max_seq_len=spec.max_seq_len,
            layout=PackedLayout(),
            max_batch_tokens=_MAX_BATCH_TOKENS,
            max_in_flight=_MAX_IN_FLIGHT,
            batch_seconds=_BATCH_SECONDS,
            min_batch_tokens=_MIN_BATCH_TOKENS,
        )
        self.output_width = _EMBEDDING_WIDTH if spec.kind is ModelKind.ENCODER else 1
        self._seconds_per_token = 1 / tokens_per_second
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slowed")
        self._free_at = 0.0

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch; see `engines.base`."""
        return self._thread.submit(self._run, batch)

    def close(self) -> None:
        """Finishes what was submitted."""
        self._thread.shutdown()

    def _run(self, batch: TokenBatch) -> Float32s:
        # What a sleep is late by is not lost: the next one begins where this should have ended.
        now = time.perf_counter()
        begins = self._free_at if now - self._free_at < _BATCH_SECONDS else now
        self._free_at = begins + batch.num_tokens * self._seconds_per_token
        time.sleep(max(0.0, self._free_at - time.perf_counter()))
        sums = np.add.reduceat(batch.token_ids, batch.offsets[:-1]).astype(np.float32)
        logits = np.sin(sums)
        if self.output_width == 1:
            return np.asarray(logits, np.float32)
        vectors = np.zeros((len(batch), self.output_width), np.float32)
        vectors[:, 0] = 1
        return vectors
