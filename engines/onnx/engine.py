"""The ONNX Runtime engine: any model it can read, on any execution provider it has.

BERT-family weights in safetensors run as our own graph; everything else as the model's
`model.onnx`, with the inputs Hugging Face's exporters give it.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime

from twopass._core import available_cpus, pack_padded
from twopass.engines.base import (
    EngineInfo,
    Float32s,
    Int32s,
    ModelKind,
    PaddedLayout,
    TokenBatch,
)
from twopass.engines.errors import (
    DeviceError,
    EngineError,
    InputTooLongError,
    ModelError,
    UnsupportedModelError,
)
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder, Pooling
from twopass.engines.onnx.graph import build_graph

# Steps of 16 tokens keep padding low; a CPU gains nothing from fewer shapes.
_BUCKET_STEP = 16
# Beyond this a larger batch is no faster on a CPU: its matrices have left the cache already.
_MAX_BATCH_TOKENS = 1024


class OnnxRuntimeEngine:
    """A session and the one thread that runs it; an `engines.base.Engine`."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        num_threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        """Builds the session.

        Args:
            folder: The model.
            num_threads: Threads of one forward pass; 0 takes one for each CPU available to the
                process, by affinity and quota.
            providers: ONNX Runtime's execution providers, preferred first.

        Raises:
            ModelError: The folder holds no graph that ONNX Runtime can run.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or available_cpus()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                _graph(folder), options, providers=list(providers)
            )
        except EngineError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"{folder.path}: ONNX Runtime refuses the graph ({error})") from error
        self.output_width = _output_width(folder, self._session)
        self._pooling = folder.pooling
        self._inputs = {x.name for x in self._session.get_inputs()}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"onnxruntime-{folder.spec.id}")
        max_seq_len = folder.spec.max_seq_len
        self.info = EngineInfo(
            engine="onnxruntime",
            precision="f32",
            device=self._session.get_providers()[0].removesuffix("ExecutionProvider"),
            max_seq_len=max_seq_len,
            layout=PaddedLayout((*range(_BUCKET_STEP, max_seq_len, _BUCKET_STEP), max_seq_len)),
            max_batch_tokens=_MAX_BATCH_TOKENS,
        )

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for one forward pass; see `engines.base`."""
        return self._worker.submit(self._run, batch)

    def close(self) -> None:
        """Finishes what was submitted."""
        self._worker.shutdown()

    def _run(self, batch: TokenBatch) -> Float32s:
        longest = int(batch.lengths.max(initial=1))
        if longest > self.info.max_seq_len:
            raise InputTooLongError(
                f"a sequence has {longest} tokens, at most {self.info.max_seq_len} are supported"
            )
        input_ids = np.empty(len(batch) * longest, np.int32)
        lengths = np.empty(len(batch), np.int32)
        rows = np.arange(len(batch), dtype=np.int32)
        pack_padded(batch.token_ids, batch.offsets, rows, longest, 0, input_ids, lengths)
        feeds = self._feeds(input_ids.reshape(len(batch), longest), lengths, batch.query_lengths)
        try:
            output = self._session.run(None, feeds)[0]
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise DeviceError(f"ONNX Runtime failed: {error}") from error
        if self.output_width == 1:
            return np.asarray(output.reshape(len(batch)), np.float32)
        if output.ndim == 2:  # our own graph pools and normalises
            return np.asarray(output, np.float32)
        return _pooled(output, lengths, self._pooling)

    def _feeds(self, input_ids: Int32s, lengths: Int32s, query_lengths: Int32s) -> dict[str, Any]:
        if "lengths" in self._inputs:  # our own graph
            return {"input_ids": input_ids, "lengths": lengths, "query_lengths": query_lengths}
        positions = np.arange(input_ids.shape[1])
        mask = positions < lengths[:, None]
        feeds = {
            "input_ids": input_ids.astype(np.int64),
            "attention_mask": mask.astype(np.int64),
            "token_type_ids": (mask & (positions >= query_lengths[:, None])).astype(np.int64),
        }
        return {name: value for name, value in feeds.items() if name in self._inputs}


def _output_width(folder: ModelFolder, session: Any) -> int:
    """1 for a reranker; the components of an embedding, from the graph or else from the config."""
    if folder.spec.kind is ModelKind.RERANKER:
        return 1
    width = session.get_outputs()[0].shape[-1]
    if not isinstance(width, int):  # exports may leave the dimension symbolic
        width = folder.config.get("hidden_size")
    if not isinstance(width, int):
        raise ModelError(
            f"{folder.path}: neither the graph's first output nor hidden_size in config.json says "
            "how many components an embedding has"
        )
    return width


def _pooled(vectors: Float32s, lengths: Int32s, pooling: Pooling) -> Float32s:
    """Token vectors `[batch_size, seq_len, hidden_size]` as one L2-normalised vector each."""
    if pooling is Pooling.CLS:
        pooled = vectors[:, 0]
    else:
        mask = np.arange(vectors.shape[1]) < lengths[:, None]
        pooled = np.einsum("bsh,bs->bh", vectors, mask.astype(np.float32))
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    return np.asarray(pooled / np.maximum(norms, 1e-12), np.float32)


def _graph(folder: ModelFolder) -> bytes | str:
    """Our own graph where the architecture is known, the folder's exported one elsewhere."""
    if folder.safetensors is not None:
        try:
            architecture = read_architecture(folder.config)
        except UnsupportedModelError:
            if folder.onnx is None:
                raise
        else:
            weights = folder.open_weights()
            graph = build_graph(architecture, weights, folder.spec.kind, folder.head)
            return graph.SerializeToString()
    return str(folder.onnx)
