"""Ours: the C++ core, packed."""

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.engines.base import ModelKind, TokenBatch
from twopass.engines.cpu.engine import CpuEncoder, CpuReranker


class Cpu:
    """Takes ragged batches as the server gives them."""

    def __init__(self, source: Source, num_threads: int) -> None:
        kind = CpuReranker if source.folder.spec.kind is ModelKind.RERANKER else CpuEncoder
        self._engine = kind(source.folder, precision=source.precision, num_threads=num_threads)
        self.device = self._engine.info.device
        self.max_batch_tokens: int | None = self._engine.info.max_batch_tokens

    def prepare(self, batch: TokenBatch) -> Forward:
        """Nothing to do: ragged is the form it takes."""
        return lambda: self._engine.submit(batch).result()


def export(source: Source) -> None:
    """Nothing to do: it reads safetensors."""


load = Cpu
