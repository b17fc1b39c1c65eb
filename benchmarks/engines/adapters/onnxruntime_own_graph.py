"""Ours: the graph written straight from the weights, through ONNX Runtime, padded."""

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.onnx.engine import OnnxRuntimeEngine


class OnnxRuntimeOwnGraph:
    """Takes ragged batches and pads them itself, which is timed, as it happens in the engine."""

    max_batch_tokens: int | None = None

    def __init__(self, source: Source, num_threads: int) -> None:
        self._engine = OnnxRuntimeEngine(source.folder, num_threads=num_threads)
        self.device = self._engine.info.device

    def prepare(self, batch: TokenBatch) -> Forward:
        """Nothing to do: ragged is the form it takes."""
        return lambda: self._engine.submit(batch).result()


def export(source: Source) -> None:
    """Nothing to do: it reads safetensors."""


load = OnnxRuntimeOwnGraph
