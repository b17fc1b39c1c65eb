"""What the benchmark asks of an engine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from twopass.engines.base.engine import Precision
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.model.folder import ModelFolder

Forward: TypeAlias = Callable[[], Float32s]
"""One forward pass of a batch: logits `[num_pairs]`, or normalised embeddings
`[num_texts, hidden_size]`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an adapter finds its weights.

    Attributes:
        folder: The model.
        precision: What the adapter shall compute in.
        exports: A folder for this model's weights in other formats, shared by all adapters.
        calibration: Typical inputs, for quantisers that ask for some.
    """

    folder: ModelFolder
    precision: Precision
    exports: Path
    calibration: tuple[TokenBatch, ...]


class Adapter(Protocol):
    """A loaded engine."""

    device: str
    """What it says it runs on."""

    max_batch_tokens: int | None
    """Tokens in a batch of a packed engine; None for one that pads."""

    def prepare(self, batch: TokenBatch) -> Forward:
        """Brings a batch into the form the engine takes; only what is returned is timed."""


class AdapterModule(Protocol):
    """A module of this package."""

    def export(self, source: Source) -> None:
        """Writes what `load` reads into `source.exports`, where it is not there already.

        Runs in a process of its own: no exporter's libraries are in the process that is measured.
        """

    def load(self, source: Source, num_threads: int) -> Adapter:
        """Loads the model."""
