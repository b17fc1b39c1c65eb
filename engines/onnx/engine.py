"""The ONNX Runtime engine: any model it can read, on any execution provider it has.

BERT-family weights in safetensors run as our own graph; everything else as the model's
`model.onnx`, with the inputs Hugging Face's exporters give it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime

from twopass._core import pack_padded
from twopass.engines.base import EngineInfo, Float32s, Int32s, PaddedLayout, TokenBatch
from twopass.engines.errors import (
    DeviceError,
    EngineError,
    InputTooLongError,
    ModelError,
    UnsupportedModelError,
)
from twopass.engines.model.architecture import read_architecture
from twopass.engines.model.folder import ModelFolder, Pooling
from twopass.engines.model.weights import BertWeights
from twopass.engines.onnx.graph import build_graph

# Steps of 16 tokens keep padding low; a CPU gains nothing from fewer shapes.
_BUCKET_STEP = 16
# Beyond this a larger batch is no faster on a CPU: its matrices have left the cache already.
_MAX_BATCH_TOKENS = 1024


class _OnnxRuntimeEngine(ABC):
    """A session and the one thread that runs it."""

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
            num_threads: Threads of one forward pass; 0 takes one for each core.
            providers: ONNX Runtime's execution providers, preferred first.

        Raises:
            ModelError: The folder holds no graph that ONNX Runtime can run.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
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
        except Exception as error:  # as above
            raise DeviceError(f"ONNX Runtime failed: {error}") from error
        return self._finish(output, lengths)

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

    @abstractmethod
    def _finish(self, output: Float32s, lengths: Int32s) -> Float32s:
        """Turns the graph's output into the engine's."""


class OnnxRuntimeReranker(_OnnxRuntimeEngine):
    """A cross-encoder through ONNX Runtime; implements `engines.base.Reranker`."""

    def _finish(self, output: Float32s, lengths: Int32s) -> Float32s:
        return output.reshape(len(lengths))


class OnnxRuntimeEncoder(_OnnxRuntimeEngine):
    """A bi-encoder through ONNX Runtime; implements `engines.base.Encoder`."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        num_threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        """Builds the session; see `OnnxRuntimeReranker`."""
        super().__init__(folder, num_threads=num_threads, providers=providers)
        self.hidden_size: int = folder.config["hidden_size"]
        self._pooling = folder.pooling

    def _finish(self, output: Float32s, lengths: Int32s) -> Float32s:
        if output.ndim == 2:  # our own graph pools and normalises
            return output
        if self._pooling is Pooling.CLS:
            pooled = output[:, 0]
        else:
            mask = np.arange(output.shape[1]) < lengths[:, None]
            pooled = np.einsum("bsh,bs->bh", output, mask.astype(np.float32))
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
            weights = BertWeights(folder.safetensors)
            graph = build_graph(architecture, weights, folder.spec.kind, folder.pooling)
            return graph.SerializeToString()
    return str(folder.onnx)
