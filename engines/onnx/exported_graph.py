"""A graph that somebody exported: what it wants to be fed, and which of its outputs counts.

Nothing is guessed. An input that can't be filled and an output that is no logit and no embedding
are refused by name when the model is loaded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s, Int32s
from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.graph_outputs import GraphValue, choose_output, load_graph
from twopass.engines.model.labels import num_labels, relevance
from twopass.engines.model.pooling import embeddings_of
from twopass.engines.model.weights import dense_module

# As Hugging Face's exporters name them.
_IDS, _MASK, _TYPES, _POSITIONS = "input_ids", "attention_mask", "token_type_ids", "position_ids"
_NUMBER_TYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
_INTEGER_PRODUCTS = {
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulNBits",
    "QAttention",
    "QGemm",
    "QLinearMatMul",
    "QuantizeLinear",
}


class ExportedGraph:
    """Feeds an exported graph and reads its output.

    Attributes:
        outputs: What to ask of the session.
    """

    def __init__(
        self, folder: ModelFolder, inputs: Sequence[GraphValue], outputs: Sequence[GraphValue]
    ) -> None:
        """Checks that every input can be filled and that there is an output that counts.

        Raises:
            ModelError: One can't, or there is none; names it.
        """
        self._label = str(folder.onnx)
        self._kind = folder.spec.kind
        self._head = folder.head
        self._relevant = folder.relevant_label
        self._dense = [dense_module(file) for file in folder.dense_files]
        self._types = {x.name: self._number_type(x) for x in inputs}
        self._num_types = folder.config.get("type_vocab_size", 2)
        self._first_position = 0
        if _POSITIONS in self._types:
            self._first_position = self._position_offset(folder.config)
        self.chosen = choose_output(self._kind, outputs, self._label)
        self.outputs = [self.chosen.name]

    def _number_type(self, value: GraphValue) -> type[np.generic]:
        if value.name not in (_IDS, _MASK, _TYPES, _POSITIONS):
            raise ModelError(
                f"{self._label}: the graph's input {value} can't be filled; filled are {_IDS}, "
                f"{_MASK}, {_TYPES} and {_POSITIONS}: export it without"
            )
        fixed = [size for size in value.shape if isinstance(size, int)]
        if fixed or not value.has_rank(2):
            raise ModelError(
                f"{self._label}: the graph's input {value} must be [batch, tokens] of any size: "
                "export it with dynamic axes"
            )
        if value.type not in _NUMBER_TYPES:
            raise ModelError(
                f"{self._label}: the graph's input {value} is {value.type}; filled are "
                f"{', '.join(_NUMBER_TYPES)}"
            )
        return _NUMBER_TYPES[value.type]

    def _position_offset(self, config: Mapping[str, Any]) -> int:
        try:
            return read_architecture(config).position_offset
        except UnsupportedModelError as error:
            raise ModelError(
                f"{self._label}: the graph's input {_POSITIONS} can't be filled, since it is not "
                f"known where positions of model_type {config.get('model_type')!r} begin: export "
                "it without"
            ) from error

    def feeds(
        self, input_ids: Int32s, lengths: Int32s, query_lengths: Int32s
    ) -> dict[str, NDArray[np.generic]]:
        """What the graph is fed of a padded batch `[batch_size, seq_len]`."""
        positions = np.arange(input_ids.shape[1])
        is_real = positions < lengths[:, None]
        is_second = is_real & (positions >= query_lengths[:, None]) & (self._num_types > 1)
        values = {
            _IDS: input_ids,
            _MASK: is_real,
            _TYPES: is_second,
            # Those of padding are none that the table might lack.
            _POSITIONS: np.where(is_real, positions, 0) + self._first_position,
        }
        return {name: values[name].astype(kind) for name, kind in self._types.items()}

    def values(self, results: Sequence[NDArray[np.generic]], lengths: Int32s) -> Float32s:
        """Logits `[batch_size]` or embeddings `[batch_size, width]`, normalised.

        Raises:
            ModelError: The output is of another shape than it must be.
        """
        output = np.asarray(results[0], np.float32)
        if self._kind is ModelKind.RERANKER:
            return self._logits(output, len(lengths))
        if output.ndim != (2 if self.chosen.is_pooled else 3) or len(output) != len(lengths):
            raise ModelError(
                f"{self._label}: the graph's output {self.chosen.name} is of shape "
                f"{list(output.shape)} for {len(lengths)} texts"
            )
        if not self.chosen.is_pooled:
            return embeddings_of(self._head, output, lengths, self._dense)
        norms = np.linalg.norm(output, axis=1, keepdims=True)
        return np.asarray(output / np.maximum(norms, 1e-12), np.float32)

    def _logits(self, output: Float32s, num_pairs: int) -> Float32s:
        shape = list(output.shape)
        if shape == [num_pairs] and self._relevant is None:
            return output
        if shape == [num_pairs, num_labels(self._relevant)]:
            return np.ascontiguousarray(relevance(output, self._relevant))
        raise ModelError(
            f"{self._label}: the graph's output {self.chosen.name} is of shape {shape} for "
            f"{num_pairs} pairs; a reranker gives one number for each, or two where config.json or "
            "twopass.json (relevant_label) says which is that of relevant pairs"
        )


def precision_of(file: Path) -> str:
    """Type of a graph's products: "int8", "fp16" or "f32".

    Raises:
        ModelError: It is no ONNX file.
    """
    graph = load_graph(file)
    kinds = {node.op_type for node in graph.node}
    if kinds & _INTEGER_PRODUCTS:
        return "int8"
    halves = [x for x in graph.initializer if x.data_type == onnx.TensorProto.FLOAT16]
    return "fp16" if any(len(x.dims) == 2 for x in halves) else "f32"
