"""CTranslate2: the encoder and BERT's pooler; the classifier's one row is ours to multiply.

It takes lists of any length and pads them itself, which is timed; weights are quantised as they
load, activations on the fly.
"""

# mypy: disable-error-code="import-not-found"

import ctranslate2
import numpy as np

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.engines.base.engine import Precision
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s, Ragged, TokenBatch
from twopass.engines.model.pooling import Pooling

_COMPUTE_TYPES = {
    Precision.F32: "float32",
    Precision.BF16: "bfloat16",
    Precision.INT8: "int8_float32",
}


class CTranslate2:
    """An encoder and the head that its format leaves out."""

    max_batch_tokens: int | None = None

    def __init__(self, source: Source, num_threads: int) -> None:
        self._encoder = ctranslate2.Encoder(
            str(source.exports / "ctranslate2"),
            device="cpu",
            compute_type=_COMPUTE_TYPES[source.precision],
            inter_threads=1,
            intra_threads=num_threads,
        )
        self.device = f"CPU, {self._encoder.compute_type}"
        self._pooling = source.folder.head.simple_pooling
        self._classifier: tuple[Float32s, Float32s] | None = None
        if source.folder.spec.kind is ModelKind.RERANKER:
            weights = source.folder.open_weights()
            self._classifier = (
                weights.float32("head.projection.weight")[0],
                weights.float32("head.projection.bias"),
            )

    def prepare(self, batch: TokenBatch) -> Forward:
        """Lists of ids and token types."""
        sequences = Ragged(batch.token_ids, batch.offsets)
        ids = [sequences[row].tolist() for row in range(len(batch))]
        types = [
            [0] * query + [1] * (length - query)
            for query, length in zip(
                batch.query_lengths.tolist(), batch.lengths.tolist(), strict=True
            )
        ]
        return lambda: self._forward(ids, types)

    def _forward(self, ids: list[list[int]], types: list[list[int]]) -> Float32s:
        output = self._encoder.forward_batch(ids, token_type_ids=types)
        if self._classifier:
            weight, bias = self._classifier
            logits: Float32s = _array(output.pooler_output) @ weight + bias
            return logits
        return self._pooled(_array(output.last_hidden_state), np.array([len(x) for x in ids]))

    def _pooled(self, hidden: Float32s, lengths: np.ndarray) -> Float32s:
        if self._pooling is Pooling.CLS:
            pooled = hidden[:, 0]
        else:
            is_real = np.arange(hidden.shape[1]) < lengths[:, None]
            pooled = np.einsum("bsh,bs->bh", hidden, is_real.astype(np.float32))
        return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), np.float32)


load = CTranslate2


def export(source: Source) -> None:
    """The model in CTranslate2's own form, float32."""
    folder = source.exports / "ctranslate2"
    if not folder.exists():
        from ctranslate2.converters import TransformersConverter

        TransformersConverter(str(source.folder.path)).convert(str(folder))


def _array(view: "ctranslate2.StorageView") -> Float32s:
    return np.asarray(view.to(ctranslate2.DataType.float32), np.float32)
