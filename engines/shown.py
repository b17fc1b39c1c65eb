"""Which engines a ledger of measurements shows to be faster than the CPU core, by kind of GPU.

A row is taken from an entry of the ledger that is committed, `benchmarks/results/gpu-*.json`, made
by `benchmarks/gpu/run.sh`. Where no row is, nobody has seen the engine compute on such a GPU.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from twopass.engines.base import EngineChoice


@dataclass(frozen=True, slots=True)
class Shown:
    """What one entry of the ledger shows of an engine.

    Attributes:
        engine: The engine.
        compute_capability: Of the GPU: a kind of GPU is a compute capability.
        device: The GPU's name.
        pairs_per_second: Of the engine, at mixed lengths.
        core_pairs_per_second: Of the CPU core in the same run.
        entry: The file of the entry, below `benchmarks/results`.
    """

    engine: EngineChoice
    compute_capability: tuple[int, int]
    device: str
    pairs_per_second: int
    core_pairs_per_second: int
    entry: str

    @property
    def is_faster(self) -> bool:
        """Whether the engine is to be preferred to the CPU core."""
        return self.pairs_per_second > self.core_pairs_per_second


LEDGER: tuple[Shown, ...] = (
    Shown(
        engine=EngineChoice.TORCH,
        compute_capability=(9, 0),
        device="NVIDIA H200",
        pairs_per_second=44_966,
        core_pairs_per_second=4_586,
        entry="gpu-h200.json",
    ),
)


def faster_engines(
    compute_capability: tuple[int, int], ledger: Iterable[Shown] = LEDGER
) -> list[EngineChoice]:
    """The engines that are faster than the CPU core on a kind of GPU, the fastest first."""
    rows = [row for row in ledger if row.compute_capability == compute_capability and row.is_faster]
    rows.sort(key=lambda row: row.pairs_per_second, reverse=True)
    return list(dict.fromkeys(row.engine for row in rows))
