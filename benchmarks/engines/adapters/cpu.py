"""Ours: the C++ core, packed."""

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.cpu.engine import CpuEngine


class Cpu:
    """Takes ragged batches as the server gives them."""

    def __init__(self, source: Source, num_threads: int) -> None:
        self._engine = CpuEngine(source.folder, precision=source.precision, num_threads=num_threads)
        self.device = self._engine.info.device
        self.max_batch_tokens: int | None = self._engine.info.max_batch_tokens

    def prepare(self, batch: TokenBatch) -> Forward:
        """Nothing to do: ragged is the form it takes."""
        return lambda: self._engine.submit(batch).result()


def export(source: Source) -> None:
    """Nothing to do: it reads safetensors."""


load = Cpu
