"""A cross-encoder's forward pass over sequences that lie end to end: no layer computes padding.

Of families of absolute positions and norms that follow their blocks (BERT, RoBERTa, XLM-RoBERTa,
ELECTRA, DistilBERT): what shipped models are made of, and most that a training starts from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.nn.functional import layer_norm, linear

from twopass.engines.errors import ModelError
from twopass.engines.model.architecture import Activation, Architecture, HeadPooling, LayerAttention
from twopass.engines.model.families import family_of
from twopass.training.computing.attention import (
    Attention,
    PackedAttention,
    PaddedAttention,
    packed_kernel,
)
from twopass.training.computing.working_weights import WorkingWeights
from twopass.training.examples.layout import PartArrays, PartShape, Rectangle

# The type of products.
PRODUCTS = torch.bfloat16

_ACTIVATIONS: Mapping[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    Activation.GELU: torch.nn.functional.gelu,
    Activation.GELU_TANH: lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    Activation.RELU: torch.nn.functional.relu,
    Activation.SILU: torch.nn.functional.silu,
    Activation.TANH: torch.tanh,
}


class Dense(NamedTuple):
    """Weight and bias, of a product or of a norm."""

    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one layer.

    Attributes:
        projections: Of queries, keys and values: one product of three times the width.
        output: Of what the heads give.
        attention_norm: After attention.
        up: To the MLP's inner width.
        down: Back.
        mlp_norm: After the MLP.
    """

    projections: Dense
    output: Dense
    attention_norm: Dense
    up: Dense
    down: Dense
    mlp_norm: Dense


@dataclass(frozen=True, slots=True)
class PartTensors:
    """A part on the device.

    Attributes:
        shape: Its sizes.
        arrays: Its arrays, as tensors.
        rectangles: Where attention is padded; empty where it is not.
    """

    shape: PartShape
    arrays: PartArrays
    rectangles: list[Rectangle]


class PackedEncoder:
    """The forward and the backward pass of one module's weights.

    Products are in bfloat16, the head in float32. Norms and what goes past blocks are in bfloat16
    on a GPU, where reading and writing it takes a third of the time, and in float32 on a CPU.
    """

    def __init__(self, module: Any, device: torch.device, *, compiled: bool = False) -> None:
        """Makes copies of the module's weights, in the types they are used in.

        Args:
            module: A transformers classifier of one label, of which `is_supported`.
            device: Where it is.
            compiled: Whether what stands between attentions is compiled.
        """
        config = module.config.to_dict()
        architecture = _architecture(config)
        assert architecture is not None
        self._architecture = architecture
        self._kernel = packed_kernel(device, architecture.head_dim)
        self._weights = WorkingWeights()
        parameters = _parameters(module, config)
        product = PRODUCTS
        beside = product if device.type == "cuda" else torch.float32

        def dense(*names: str, dtype: torch.dtype) -> Dense:
            return Dense(
                *(
                    self._weights.copy(*(parameters[f"{n}.{kind}"] for n in names), dtype=dtype)
                    for kind in ("weight", "bias")
                )
            )

        def layer(number: int) -> Layer:
            place = f"layers.{number}."
            of_heads = (f"{place}attention.{name}" for name in ("query", "key", "value"))
            return Layer(
                dense(*of_heads, dtype=product),
                dense(f"{place}attention.output", dtype=product),
                dense(f"{place}attention_norm", dtype=beside),
                dense(f"{place}mlp.up", dtype=product),
                dense(f"{place}mlp.down", dtype=product),
                dense(f"{place}mlp_norm", dtype=beside),
            )

        self._tables = {
            name: self._weights.copy(parameters[f"embeddings.{name}.weight"], dtype=torch.float32)
            for name in ("words", "positions", "types")
            if f"embeddings.{name}.weight" in parameters
        }
        self._embedding_norm = dense("embeddings.norm", dtype=torch.float32)
        self._projection = None
        if architecture.embedding_size != architecture.hidden_size:
            self._projection = dense("embeddings.projection", dtype=torch.float32)
        self._layers = [layer(number) for number in range(architecture.num_layers)]
        self._head = dense("head.dense", dtype=torch.float32)
        self._logit = dense("head.projection", dtype=torch.float32)
        self._weights.prepare()
        self._beside = beside
        after_attention = _after_attention
        if compiled:
            after_attention = torch.compile(_after_attention)
        self._after_attention = after_attention

    @staticmethod
    def is_supported(module: Any) -> bool:
        """Whether a module is of a family known here, and all that it trains is used here."""
        config = module.config.to_dict()
        if _architecture(config) is None:
            return False
        known = {id(parameter) for parameter in _parameters(module, config).values()}
        return all(id(p) in known for p in module.parameters() if p.requires_grad)

    @property
    def pads_attention(self) -> bool:
        """Whether attention needs rectangles."""
        return self._kernel is None

    @property
    def bytes_per_token(self) -> int:
        """What is kept of each token until the backward pass, about."""
        found = self._architecture
        # Of a layer: its input, projections, attention's output, both sums and the first norm's
        # output are of the hidden size, eight together; two more inside the MLP are of its own.
        width = 8 * found.hidden_size + 2 * found.intermediate_size
        return int(found.num_layers * width * self._beside.itemsize)

    def renew(self) -> None:
        """Begins a step: takes up what the last update made of the weights."""
        self._weights.renew()

    def backward(self, loss: torch.Tensor) -> None:
        """Adds gradients to those of the step's earlier parts."""
        self._weights.backward(loss)

    def logits(self, part: PartTensors) -> torch.Tensor:
        """Logits of a part's sequences, float32 `[sequences]`; those of padding mean nothing."""
        arrays = part.arrays
        attention = self._attention(part)
        hidden = self._embedded(arrays)
        activation = _ACTIVATIONS[self._architecture.activation]
        for layer in self._layers:
            projections = linear(hidden.to(layer.projections.weight.dtype), *layer.projections)
            context = attention(projections)
            hidden = self._after_attention(
                hidden, context, layer, activation, self._architecture.norm_eps
            )
        head = self._architecture.head
        assert head is not None
        first = hidden.index_select(0, arrays.offsets.narrow(0, 0, part.shape.sequences)).float()
        inner = _ACTIVATIONS[head.activation](linear(first, *self._head))
        return linear(inner, *self._logit).squeeze(1)

    def _attention(self, part: PartTensors) -> Attention:
        offsets, num_heads = part.arrays.offsets, self._architecture.num_heads
        if self._kernel is not None:
            return PackedAttention(self._kernel, num_heads, offsets, part.shape.longest)
        return PaddedAttention(num_heads, offsets, part.arrays.positions, part.rectangles)

    def _embedded(self, arrays: PartArrays) -> torch.Tensor:
        embedding = torch.nn.functional.embedding
        found = embedding(arrays.token_ids, self._tables["words"])
        if "positions" in self._tables:
            places = arrays.positions + self._architecture.position_offset
            found = found + embedding(places, self._tables["positions"])
        if "types" in self._tables:
            # RoBERTa has one type.
            types = arrays.token_types.clamp(max=len(self._tables["types"]) - 1)
            found = found + embedding(types, self._tables["types"])
        found = layer_norm(
            found, found.shape[-1:], *self._embedding_norm, self._architecture.norm_eps
        )
        if self._projection is not None:
            found = linear(found, *self._projection)
        return found.to(self._beside)


def _after_attention(
    hidden: torch.Tensor,
    context: torch.Tensor,
    layer: Layer,
    activation: Callable[[torch.Tensor], torch.Tensor],
    eps: float,
) -> torch.Tensor:
    """What follows attention in a layer, `[tokens, hidden_size]` in and out."""
    width = hidden.shape[-1:]
    hidden = layer_norm(hidden + linear(context, *layer.output), width, *layer.attention_norm, eps)
    inner = activation(linear(hidden.to(context.dtype), *layer.up))
    return layer_norm(hidden + linear(inner, *layer.down), width, *layer.mlp_norm, eps)


def _architecture(config: Mapping[str, Any]) -> Architecture | None:
    """The description of a `config.json`; None where it is of no kind that is computed here."""
    try:
        found = family_of(config).read(config)
    except ModelError:
        return None
    plain = (
        found.head is not None
        and found.head.pooling is HeadPooling.CLS
        and not found.head.norm
        and not found.gated
        and not found.norm_first
        and found.first_attention_norm
        and found.relative_distance is None
        and found.disentangled is None
        and found.convolution is None
        and all(kind == LayerAttention() for kind in found.layers)
    )
    return found if plain else None


def _parameters(module: Any, config: Mapping[str, Any]) -> dict[str, torch.nn.Parameter]:
    """The module's parameters by the canonical names of `ModelWeights`."""
    own = dict(module.named_parameters())
    prefix = f"{module.base_model_prefix}."
    own = {name.removeprefix(prefix): parameter for name, parameter in own.items()}
    return {
        f"{canonical}.{kind}": own[f"{source.name}.{kind}"]
        for canonical, source in family_of(config).sources(config, own).items()
        for kind in ("weight", "bias")
        if f"{source.name}.{kind}" in own
    }
