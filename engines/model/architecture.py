"""What an encoder is made of: one description that every engine's forward pass executes.

`families/` reads it from a model's `config.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from twopass.engines.errors import ModelError, UnsupportedModelError

# Position of the first token: RoBERTa counts from pad_token_id + 1, BERT from 0.
_MODEL_TYPES = {"bert": False, "roberta": True, "xlm-roberta": True}
_ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


class Activation(StrEnum):
    """A function of one number: GELU exact or by its tanh approximation, ReLU, SiLU, tanh."""

    GELU = "gelu"
    GELU_TANH = "gelu_tanh"
    RELU = "relu"
    SILU = "silu"
    TANH = "tanh"


class HeadPooling(StrEnum):
    """Which vector of a pair a reranker's head reads."""

    CLS = "cls"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class LayerAttention:
    """What tells the attention of one layer from another's.

    Attributes:
        window: A token sees those at most so many places away; None for all of its sequence.
        rotary: Inverse frequencies `[head_dim / 2]` by which queries and keys are rotated (Su et
            al. 2021): components i and i + head_dim / 2 by the angle `position * rotary[i]`,
            positions from 0. None for no rotation.
    """

    window: int | None = None
    rotary: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """From a pair's token vectors to its logit: pooled, dense, activation, LayerNorm, projection.

    Attributes:
        pooling: The vector it reads.
        activation: After the dense layer.
        norm: Whether a LayerNorm follows it.
    """

    pooling: HeadPooling
    activation: Activation
    norm: bool = False


@dataclass(frozen=True, slots=True)
class Disentangled:
    """Attention by content and by distance apart (He et al. 2021): DeBERTa of versions 2 and 3.

    The score of a query at i and a key at j, instead of `query · key / sqrt(head_dim)`, is

        (query · key + query · position_key[r] + key · position_query[r])
            / sqrt(head_dim * num_terms)

    where `r` is the row of `i - j`, and `position_key` and `position_query` are projections, by
    each layer's own weights, of the rows of `relative.embeddings`.

    Attributes:
        rows: The row for each distance from -`max_seq_len` to `max_seq_len`.
        norm: Whether `relative.norm` is applied to the rows first.
        position_keys: Whether there is the second term.
        position_queries: Whether there is the third.
    """

    rows: tuple[int, ...]
    norm: bool
    position_keys: bool
    position_queries: bool

    @property
    def num_terms(self) -> int:
        """Terms of a score, by which it is scaled."""
        return 1 + self.position_keys + self.position_queries


@dataclass(frozen=True, slots=True)
class Convolution:
    """What DeBERTa-v2-xlarge adds to its first layer's output.

    From the embeddings `e`:

        x = convolution_norm(x + activation(convolution(e)))

    The sequence is lengthened by zeros at both ends.

    Attributes:
        kernel_size: Neighbouring tokens that are read, the token's own in the middle.
        groups: Equal blocks of components that are read apart.
    """

    kernel_size: int
    groups: int
    activation: Activation


@dataclass(frozen=True, slots=True)
class Architecture:
    """An encoder's shape, in every family the same terms; tensors are those of `ModelWeights`.

    Post-norm (`norm_first` False), after Vaswani et al. 2017:

        x = attention_norm(x + attention(x)); x = mlp_norm(x + mlp(x))

    Pre-norm, and `final_norm` after the last layer:

        x = x + attention(attention_norm(x)); x = x + mlp(mlp_norm(x))

    The MLP is `down(activation(up(x)))`, gated `down(activation(gate(x)) * up(x))`. Scores of
    attention are `query · key / sqrt(head_dim)`, plus `relative_bias` where there is one.

    Attributes:
        family: `model_type` of the config, for messages.
        embedding_size: Components of the embeddings; where it is not `hidden_size`,
            `embeddings.projection` follows their norm (ELECTRA).
        max_seq_len: Longest sequence there are positions for.
        num_positions: Rows of the table of absolute positions; 0 where there is none.
        position_offset: Row of a sequence's first token: RoBERTa counts from `pad_token_id` + 1.
        type_vocab_size: Rows of the table of token types; 0 where there is none.
        norm_eps: Of every LayerNorm.
        norm_first: Whether norms stand before their blocks.
        first_attention_norm: Whether the first layer has an `attention_norm`; not so in ModernBERT.
        layers: One for each layer.
        relative_distance: Columns of `relative_bias` are of -distance to distance, beyond which it
            is that of the end; None where there is no such bias.
        disentangled: Of DeBERTa; None for attention by content alone.
        convolution: Of the largest DeBERTa of version 2; None where there is none. Engines that
            compute neither call `refuse_deberta`.
        head: Of a reranker; None where the family's is not known.
    """

    family: str
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocab_size: int
    embedding_size: int
    max_seq_len: int
    num_positions: int
    position_offset: int
    type_vocab_size: int
    norm_eps: float
    activation: Activation
    layers: tuple[LayerAttention, ...]
    head: ClassifierHead | None
    gated: bool = False
    norm_first: bool = False
    first_attention_norm: bool = True
    relative_distance: int | None = None
    disentangled: Disentangled | None = None
    convolution: Convolution | None = None

    @property
    def num_layers(self) -> int:
        """Transformer layers."""
        return len(self.layers)

    def refuse_deberta(self, engine: str) -> None:
        """Refuses what DeBERTa alone has, for an engine that does not compute it.

        Raises:
            UnsupportedModelError: There is some of it; names the way out.
        """
        if self.disentangled is not None or self.convolution is not None:
            raise UnsupportedModelError(
                f"config.json: {self.family} attends by content and by distance apart, which the "
                f"engine {engine} does not compute; the engines onnxruntime, torch and tensorrt do"
            )

    @property
    def head_dim(self) -> int:
        """Components of one attention head."""
        return self.hidden_size // self.num_heads


@dataclass(frozen=True, slots=True)
class BertArchitecture:
    """Shape of a BERT-family encoder with absolute positions.

    Attributes:
        gelu: "erf" (exact) or "tanh" (approximation).
        position_offset: Position of a sequence's first token.
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    vocab_size: int
    max_positions: int
    type_vocab_size: int
    layer_norm_eps: float
    gelu: str
    position_offset: int

    @property
    def head_dim(self) -> int:
        """Components of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def max_seq_len(self) -> int:
        """Longest sequence there are positions for."""
        return self.max_positions - self.position_offset


def read_architecture(config: Mapping[str, Any]) -> BertArchitecture:
    """Reads a model's `config.json`.

    Raises:
        UnsupportedModelError: It describes no BERT-family encoder; names the key and the value.
        ModelError: A key is missing, or its value is outside its range.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _MODEL_TYPES:
        raise UnsupportedModelError(
            f"config.json: model_type is {model_type!r}, supported are {', '.join(_MODEL_TYPES)}"
        )
    positions = config.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise UnsupportedModelError(
            f"config.json: position_embedding_type is {positions!r}, only 'absolute' is supported"
        )
    activation = config.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"config.json: hidden_act is {activation!r}, supported are {', '.join(_ACTIVATIONS)}"
        )
    if _whole(config, "hidden_size") % _whole(config, "num_attention_heads"):
        raise UnsupportedModelError(
            f"config.json: hidden_size {config['hidden_size']:,} is not a multiple of "
            f"num_attention_heads {config['num_attention_heads']:,}"
        )
    epsilon = config.get("layer_norm_eps", 1e-12)
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not 0 <= epsilon < 1:
        raise ModelError(f"config.json: layer_norm_eps is {epsilon!r}, 0 to 1 is needed")
    return BertArchitecture(
        hidden_size=_whole(config, "hidden_size"),
        num_layers=_whole(config, "num_hidden_layers"),
        num_heads=_whole(config, "num_attention_heads"),
        intermediate_size=_whole(config, "intermediate_size"),
        vocab_size=_whole(config, "vocab_size"),
        max_positions=_whole(config, "max_position_embeddings"),
        type_vocab_size=_whole({"type_vocab_size": 1} | dict(config), "type_vocab_size"),
        layer_norm_eps=float(epsilon),
        gelu=_ACTIVATIONS[activation],
        position_offset=_position_offset(config) if _MODEL_TYPES[model_type] else 0,
    )


def _whole(config: Mapping[str, Any], key: str) -> int:
    if key not in config:
        raise ModelError(f"config.json: {key} is missing")
    value = config[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(f"config.json: {key} is {value!r}, a whole number above 0 is needed")
    return value


def _position_offset(config: Mapping[str, Any]) -> int:
    pad_id = config.get("pad_token_id")
    if isinstance(pad_id, bool) or not isinstance(pad_id, int) or pad_id < 0:
        raise ModelError(f"config.json: pad_token_id is {pad_id!r}, a token id is needed")
    return pad_id + 1
