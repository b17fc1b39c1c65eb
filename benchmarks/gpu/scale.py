"""How much is measured: all of it on a GPU, a taste of each check on a CPU."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of every check.

    Attributes:
        models: Folder that holds the models' folders; None takes the shipped ones.
        on_gpu: Whether engines of GPUs are measured; if not, PyTorch runs on the CPU.
        root: The tree, whose tests run on the GPU; None leaves them out.
        logs: Folder of what processes say; None drops it.
        faiss_gpu: Folder with the package faiss-gpu, which stands apart; None takes what is there.
        turns: Measurements of each figure; medians are told.
        seconds: How long each of them takes.
        latency_requests: Requests of one turn that percentiles are taken of.
        passages: Sizes of requests.
        mixed_pairs: Pairs of mixed lengths in a turn.
        alike_pairs: Pairs whose results are compared.
        batch_sizes: Batches to measure, pairs.
        seq_lens: Lengths to measure, in tokens.
        matrix_size: Rows and columns of the products that find the device's ceiling.
        num_vectors: Sizes of the vector search.
        under_way: Requests at once that a server is asked for.
    """

    models: Path | None
    on_gpu: bool
    root: Path | None = None
    logs: Path | None = None
    faiss_gpu: Path | None = None
    turns: int = 3
    seconds: float = 0.8
    latency_requests: int = 200
    passages: tuple[int, ...] = (40, 100)
    mixed_pairs: int = 4_000
    alike_pairs: int = 2_000
    batch_sizes: tuple[int, ...] = (1, 32, 128, 512)
    seq_lens: tuple[int, ...] = (32, 128, 256, 512)
    matrix_size: int = 8_192
    num_vectors: tuple[int, ...] = (100_000, 1_000_000)
    under_way: tuple[int, ...] = (8, 32)

    @classmethod
    def dry(cls, models: Path | None = None) -> "Scale":
        """A run of every check on the CPU that ends in a few minutes; its figures mean nothing."""
        return cls(
            models=models,
            on_gpu=False,
            turns=2,
            seconds=0.2,
            latency_requests=2,
            passages=(40,),
            mixed_pairs=16,
            alike_pairs=8,
            batch_sizes=(1, 8),
            seq_lens=(32, 128),
            matrix_size=512,
            num_vectors=(2_000,),
            under_way=(4,),
        )

    def model(self, name: str) -> str:
        """What `load_model` takes for a shipped model, or for the copy of it in `models`."""
        return name if self.models is None else str(self.models / name)
