"""sentence-transformers: PyTorch, modules called as its `predict` and `encode` call them."""

# mypy: disable-error-code="import-not-found"

import sentence_transformers
import torch

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.benchmarks.engines.batching import pad
from twopass.engines.base.engine import Precision
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.model.families import read_architecture

_DTYPES = {Precision.F32: torch.float32, Precision.BF16: torch.bfloat16}


class SentenceTransformers:
    """A CrossEncoder or a SentenceTransformer on the CPU."""

    device = "torch CPU"
    max_batch_tokens: int | None = None

    def __init__(self, source: Source, num_threads: int) -> None:
        torch.set_num_threads(num_threads)
        self._has_types = read_architecture(source.folder.config).type_vocab_size > 1
        self._is_reranker = source.folder.spec.kind is ModelKind.RERANKER
        kind = (
            sentence_transformers.CrossEncoder
            if self._is_reranker
            else sentence_transformers.SentenceTransformer
        )
        self._model = kind(
            str(source.folder.path),
            device="cpu",
            model_kwargs={"dtype": _DTYPES[source.precision]},
            local_files_only=True,
        ).eval()

    def prepare(self, batch: TokenBatch) -> Forward:
        """Padded tensors."""
        features = {name: torch.from_numpy(x) for name, x in pad(batch).named().items()}
        if not self._has_types:
            del features["token_type_ids"]
        return lambda: self._forward(features)

    def _forward(self, features: dict[str, torch.Tensor]) -> Float32s:
        with torch.inference_mode():
            # A model adds its outputs to the features it is given: they stay ours in a copy.
            output = self._model(dict(features))
            if self._is_reranker:
                logits: Float32s = output["scores"].float().numpy().reshape(-1)
                return logits
            embeddings = torch.nn.functional.normalize(output["sentence_embedding"].float(), dim=1)
            normalised: Float32s = embeddings.numpy()
            return normalised


def export(source: Source) -> None:
    """Nothing to do: it reads safetensors."""


load = SentenceTransformers
