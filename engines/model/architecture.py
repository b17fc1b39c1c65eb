"""What an encoder is made of: one description that every engine's forward pass executes.

`families/` reads it from a model's `config.json`.
"""

from dataclasses import dataclass
from enum import StrEnum

from twopass.engines.errors import UnsupportedModelError


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
