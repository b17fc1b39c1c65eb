"""A device that takes a fixed time for each batch, none by default, and no processor meanwhile."""

import time
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.engine import Engine, EngineInfo, PackedLayout
from twopass.engines.base.model import LoadedModel, ModelKind, ModelSpec
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.loading import load_model
from twopass.server.config import ServerConfig

# As the engines of GPUs ask to be fed.
_MAX_BATCH_TOKENS, _MAX_IN_FLIGHT = 65_536, 2
_EMBEDDING_WIDTH = 384
# Embeddings that an encoder chooses from, by the tokens of a text.
_NUM_EMBEDDINGS = 1_024


class CostlessEngine:
    """Answers in a thread of its own, as every engine does; outputs follow from lengths or ids."""

    def __init__(self, spec: ModelSpec, batch_seconds: float) -> None:
        """Takes the place of a model.

        Args:
            spec: The model.
            batch_seconds: How long each batch takes, one after another; 0 for no time.
        """
        self.info = EngineInfo(
            engine="costless",
            precision="f32",
            device=f"{batch_seconds * 1000:g} ms a batch",
            max_seq_len=spec.max_seq_len,
            layout=PackedLayout(),
            max_batch_tokens=_MAX_BATCH_TOKENS,
            max_in_flight=_MAX_IN_FLIGHT,
        )
        self.output_width = _EMBEDDING_WIDTH if spec.kind is ModelKind.ENCODER else 1
        self._batch_seconds = batch_seconds
        self._embeddings = _unit_vectors() if self.output_width > 1 else None
        self._queue = SimpleQueue[tuple[TokenBatch, Future[Float32s]] | None]()
        self._thread = Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch; see `engines.base`."""
        future: Future[Float32s] = Future()
        self._queue.put((batch, future))
        return future

    def close(self) -> None:
        """Finishes what was submitted. Idempotent."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            batch, future = task
            future.set_result(self._computed(batch))

    def _computed(self, batch: TokenBatch) -> Float32s:
        if self._batch_seconds:
            time.sleep(self._batch_seconds)
        if self._embeddings is None:
            return logits_of(batch)
        sums = np.add.reduceat(batch.token_ids, batch.offsets[:-1])
        return np.asarray(self._embeddings[sums % _NUM_EMBEDDINGS])


def logits_of(batch: TokenBatch) -> Float32s:
    """A logit for each sequence, of its length and its middle token: reading all would cost."""
    middle = batch.token_ids[(batch.offsets[1:] + batch.offsets[:-1]) // 2]
    return np.asarray(np.sin((batch.lengths * 7 + middle).astype(np.float32)))


def costless_models(config: ServerConfig, batch_seconds: float) -> list[LoadedModel]:
    """The models of a configuration, each computed by an engine that costs nothing."""

    def made(spec: ModelSpec) -> Engine:
        return CostlessEngine(spec, batch_seconds)

    names = (config.encoder, config.reranker)
    return [load_model(name, num_threads=1, computed_by=made) for name in names]


def _unit_vectors() -> NDArray[np.float32]:
    vectors = np.random.default_rng(0).normal(size=(_NUM_EMBEDDINGS, _EMBEDDING_WIDTH))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)
