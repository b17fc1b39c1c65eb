"""How much is measured: all of it on a GPU, a taste of each check on a CPU."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of every check.

    Attributes:
        models: Folder that holds the models' folders; None takes the shipped ones.
        on_gpu: Whether engines of GPUs are measured; if not, PyTorch runs on the CPU.
        seq_lens: Buckets to measure, in tokens.
        batch_sizes: Batches to measure in each.
        mixed_pairs: Pairs of mixed lengths in a turn.
        seconds: How long each figure is measured.
        latency_requests: Requests that percentiles are taken of.
        matrix_size: Rows and columns of the products that find the device's ceiling.
        num_vectors: Sizes of the vector search.
        concurrencies: Requests under way through gRPC.
    """

    models: Path | None
    on_gpu: bool
    seq_lens: tuple[int, ...] = (32, 64, 96, 128, 192, 256, 384, 512)
    batch_sizes: tuple[int, ...] = (1, 8, 32, 128, 512)
    mixed_pairs: int = 20_000
    seconds: float = 3.0
    latency_requests: int = 500
    matrix_size: int = 8_192
    num_vectors: tuple[int, ...] = (100_000, 1_000_000)
    concurrencies: tuple[int, ...] = (1, 8, 32)

    @classmethod
    def dry(cls, models: Path | None) -> "Scale":
        """A run of every check on the CPU that ends in a few minutes; its figures mean nothing."""
        return cls(
            models=models,
            on_gpu=False,
            seq_lens=(32, 128),
            batch_sizes=(1, 8),
            mixed_pairs=16,
            seconds=0.3,
            latency_requests=2,
            matrix_size=512,
            num_vectors=(2_000,),
            concurrencies=(1, 2),
        )

    def model(self, name: str) -> str:
        """What `load_model` takes for a shipped model, or for the copy of it in `models`."""
        return name if self.models is None else str(self.models / name)
