"""A model's description in the core's terms."""

from collections.abc import Mapping
from typing import Any

from twopass import _core
from twopass.engines.base.model import ModelKind
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.architecture import Activation, LayerAttention
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.pooling import EmbeddingHead

_ACTIVATIONS = {
    None: _core.Activation.IDENTITY,
    Activation.GELU: _core.Activation.GELU,
    Activation.GELU_TANH: _core.Activation.GELU_TANH,
    Activation.RELU: _core.Activation.RELU,
    Activation.SILU: _core.Activation.SILU,
    Activation.TANH: _core.Activation.TANH,
}


def core_config(config: Mapping[str, Any]) -> _core.EncoderConfig:
    """The shape that a `config.json` describes.

    Raises:
        UnsupportedModelError: It describes no encoder of ours.
        ModelError: A key is missing, or its value is outside its range.
    """
    architecture = read_architecture(config)
    architecture.refuse_deberta("cpu")
    return _core.EncoderConfig(
        hidden_size=architecture.hidden_size,
        num_heads=architecture.num_heads,
        intermediate_size=architecture.intermediate_size,
        vocab_size=architecture.vocab_size,
        embedding_size=architecture.embedding_size,
        max_seq_len=architecture.max_seq_len,
        num_positions=architecture.num_positions,
        position_offset=architecture.position_offset,
        type_vocab_size=architecture.type_vocab_size,
        norm_epsilon=architecture.norm_eps,
        norm_first=architecture.norm_first,
        first_attention_norm=architecture.first_attention_norm,
        activation=_ACTIVATIONS[architecture.activation],
        gated=architecture.gated,
        layers=[_core_layer(layer) for layer in architecture.layers],
        relative_distance=architecture.relative_distance,
    )


def _core_layer(layer: LayerAttention) -> _core.LayerAttention:
    return _core.LayerAttention(window=layer.window, inverse_frequencies=list(layer.rotary or ()))


def core_head(folder: ModelFolder) -> _core.ClassifierHead | _core.EmbeddingHead:
    """What a model makes of a sequence's token vectors: a logit or an embedding.

    Raises:
        UnsupportedModelError: A reranker whose family's head is not known.
    """
    if folder.spec.kind is ModelKind.ENCODER:
        return _embedding_head(folder.head)
    head = read_architecture(folder.config).head
    if head is None:
        raise UnsupportedModelError(
            f"{folder.path}: the head of a reranker of this family is not known; "
            "an exported model.onnx runs on the engine onnxruntime"
        )
    return _core.ClassifierHead(
        pooling=_core.Pooling[head.pooling.name],
        activation=_ACTIVATIONS[head.activation],
        has_norm=head.norm,
    )


def _embedding_head(head: EmbeddingHead) -> _core.EmbeddingHead:
    return _core.EmbeddingHead(
        poolings=[_core.Pooling[pooling.name] for pooling in head.poolings],
        dense=[
            _core.DenseLayer(
                input_size=layer.input_width,
                output_size=layer.output_width,
                activation=_ACTIVATIONS[layer.activation],
            )
            for layer in head.dense
        ],
    )
