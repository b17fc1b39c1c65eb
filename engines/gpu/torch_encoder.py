"""The forward pass of an `Architecture` in PyTorch, packed: no layer computes padding.

Only where PyTorch has no attention for sequences of unequal length is attention alone padded.
Tensors are packed `[num_tokens, …]`; `n` is the number of sequences. Nothing here makes the host
wait for the device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.gpu.torch_attention import (
    Attention,
    LayerPositions,
    PackedTokens,
    attention_kernel,
)
from twopass.engines.gpu.torch_outputs import Dense, EmbeddingOutput, LogitOutput, activation_of
from twopass.engines.model.architecture import Architecture, LayerAttention
from twopass.engines.model.pooling import EmbeddingHead
from twopass.engines.model.weights import ModelWeights

Rotation = tuple[Any, Any]
"""Cosines and sines of each token's angles, float32 `[num_tokens, 1, head_dim / 2]`."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer's tensors on the device; a norm that is not there is None."""

    kind: LayerAttention
    positions: LayerPositions | None  # DeBERTa's
    projections: Dense  # of query, key and value: one product of three times the width
    output: Dense
    attention_norm: Dense | None
    up: Dense  # where the MLP is gated, the gate's rows stand before it
    down: Dense
    mlp_norm: Dense


class TorchEncoder:
    """Weights on a device, and the pass through them.

    Attributes:
        is_packed: Whether attention too computes no padding.
    """

    def __init__(
        self,
        torch: Any,
        architecture: Architecture,
        weights: ModelWeights,
        *,
        head: EmbeddingHead | None,
        device: Any,
        dtype: Any,
    ) -> None:
        """Copies the weights to the device.

        Args:
            torch: The package.
            architecture: What the model is made of.
            weights: Its tensors.
            head: Of an encoder; None for a reranker, whose head the architecture describes.
            device: A torch device.
            dtype: Of weights, products and activations; sums of residuals, norms, rotations and
                what follows the last layer are float32.

        Raises:
            UnsupportedModelError: The model has no reranker's head that is known.
            ModelError: A tensor is missing.
        """
        self._torch = torch
        self._architecture = architecture
        self._dtype = dtype
        self._activation = activation_of(torch, architecture.activation)

        def tensor(name: str, kind: Any = dtype) -> Any:
            return torch.from_numpy(weights.float32(name)).to(device, kind)

        def dense(name: str, kind: Any = dtype) -> Dense:
            return tensor(f"{name}.weight", kind), tensor(f"{name}.bias", kind)

        def float32(name: str) -> Dense:
            return dense(name, torch.float32)

        self._words = tensor("embeddings.words.weight")
        self._positions = self._types = self._projection = self._final_norm = None
        if architecture.num_positions:
            positions = tensor("embeddings.positions.weight", torch.float32)
            self._positions = positions[architecture.position_offset :]
        if architecture.type_vocab_size:
            self._types = tensor("embeddings.types.weight", torch.float32)
        self._embedding_norm = float32("embeddings.norm")
        if architecture.embedding_size != architecture.hidden_size:
            self._projection = dense("embeddings.projection")
        if architecture.norm_first:
            self._final_norm = float32("final_norm")
        self._convolution = None
        if architecture.convolution is not None:
            self._convolution = dense("convolution"), float32("convolution_norm")
        positions = self._relative_positions(tensor, float32)
        self._layers = [
            self._read_layer(number, kind, dense, positions)
            for number, kind in enumerate(architecture.layers)
        ]
        self._rotary = {
            kind.rotary: torch.tensor(kind.rotary, dtype=torch.float32, device=device)
            for kind in architecture.layers
            if kind.rotary is not None
        }
        has_bias = architecture.relative_distance is not None
        relative_bias = tensor("relative_bias", torch.float32) if has_bias else None
        self._kernel = attention_kernel(torch, device, dtype, architecture, relative_bias)
        self.is_packed = self._kernel.is_packed
        self._output: Callable[[Any, PackedTokens], Any]
        if head is not None:
            self._output = EmbeddingOutput(torch, head, float32)
        elif architecture.head is not None:
            self._output = LogitOutput(torch, architecture.head, float32, architecture.norm_eps)
        else:
            raise UnsupportedModelError(
                f"config.json: no reranker's head is known of {architecture.family!r}"
            )

    def _relative_positions(
        self, tensor: Callable[..., Any], float32: Callable[[str], Dense]
    ) -> Any:
        """DeBERTa's rows before their projections, float32 `[num_rows, hidden_size]`, or None."""
        disentangled = self._architecture.disentangled
        if disentangled is None:
            return None
        rows = tensor("relative.embeddings.weight", self._torch.float32)
        return self._norm(rows, float32("relative.norm")) if disentangled.norm else rows

    def _read_layer(
        self, number: int, kind: LayerAttention, dense: Callable[..., Dense], positions: Any
    ) -> _Layer:
        torch, architecture = self._torch, self._architecture
        place = f"layers.{number}."

        def joined(*names: str) -> Dense:
            parts = [dense(place + name) for name in names]
            weights, biases = (torch.cat(column) for column in zip(*parts, strict=True))
            return weights, biases

        def norm(name: str) -> Dense:
            return dense(place + name, torch.float32)

        def projected(name: str) -> Any:
            rows = torch.nn.functional.linear(positions, *dense(place + name, torch.float32))
            heads = rows.reshape(-1, architecture.num_heads, architecture.head_dim)
            return heads.transpose(0, 1).to(self._dtype)

        disentangled, layer_positions = architecture.disentangled, None
        if disentangled is not None:
            layer_positions = LayerPositions(
                projected("attention.position_key") if disentangled.position_keys else None,
                projected("attention.position_query") if disentangled.position_queries else None,
            )
        has_attention_norm = number > 0 or architecture.first_attention_norm
        return _Layer(
            kind,
            layer_positions,
            projections=joined("attention.query", "attention.key", "attention.value"),
            output=dense(place + "attention.output"),
            attention_norm=norm("attention_norm") if has_attention_norm else None,
            up=joined("mlp.gate", "mlp.up") if architecture.gated else dense(place + "mlp.up"),
            down=dense(place + "mlp.down"),
            mlp_norm=norm("mlp_norm"),
        )

    @property
    def vocabulary_size(self) -> int:
        """Ids of tokens that there are."""
        return len(self._words)

    def forward(
        self,
        token_ids: Any,
        offsets: Any,
        query_lengths: Any,
        max_len: int,
        *,
        has_empty: bool = False,
    ) -> Any:
        """Computes logits float32 `[n]`, or embeddings float32 `[n, output_width]`, normalised.

        Args:
            token_ids: int32, on the device.
            offsets: int32 `[n + 1]`, on the device.
            query_lengths: int32 `[n]`, on the device.
            max_len: Tokens of the longest sequence, or more.
            has_empty: Whether sequences at the end may be empty; their outputs mean nothing.
        """
        packed = PackedTokens(self._torch, offsets, len(token_ids), max_len, has_empty=has_empty)
        hidden = self._embed(token_ids, query_lengths, packed)
        windows = {kind.window for kind in self._architecture.layers}
        attention = {window: self._kernel.over(packed, window) for window in windows}
        rotations = {
            rotary: self._rotation(frequencies, packed)
            for rotary, frequencies in self._rotary.items()
        }
        embedded = hidden
        for number, layer in enumerate(self._layers):
            rotation = None if layer.kind.rotary is None else rotations[layer.kind.rotary]
            hidden = self._layer(layer, hidden, attention[layer.kind.window], rotation)
            if number == 0 and self._convolution is not None:
                hidden = self._convolved(hidden, embedded, packed)
        if self._final_norm is not None:
            hidden = self._norm(hidden, self._final_norm)
        return self._output(hidden, packed)

    def _embed(self, token_ids: Any, query_lengths: Any, packed: PackedTokens) -> Any:
        hidden = self._words[token_ids.long()].float()
        if self._positions is not None:
            hidden = hidden + self._positions[packed.position]
        if self._types is not None:
            is_passage = packed.position >= query_lengths[packed.sequence]
            hidden = hidden + self._types[is_passage.long().clamp(max=len(self._types) - 1)]
        hidden = self._norm(hidden, self._embedding_norm)
        if self._projection is not None:
            hidden = self._linear(hidden, self._projection).float()
        return hidden

    def _convolved(self, hidden: Any, embedded: Any, packed: PackedTokens) -> Any:
        """What DeBERTa's convolution makes of the first layer's output; float32 in and out."""
        convolution = self._architecture.convolution
        assert convolution is not None
        assert self._convolution is not None
        tensors, norm = self._convolution
        convolved = self._torch.nn.functional.conv1d(
            packed.padded(embedded.to(self._dtype)).transpose(1, 2),
            *tensors,
            padding=convolution.kernel_size // 2,
            groups=convolution.groups,
        )
        added = packed.unpadded(convolved.transpose(1, 2)).float()
        activation = activation_of(self._torch, convolution.activation)
        return self._norm(hidden + activation(added), norm)

    def _rotation(self, frequencies: Any, packed: PackedTokens) -> Rotation:
        angles = (packed.position[:, None].float() * frequencies)[:, None, :]
        return angles.cos(), angles.sin()

    def _layer(
        self, layer: _Layer, hidden: Any, attention: Attention, rotation: Rotation | None
    ) -> Any:
        """One transformer layer; float32 in and out."""
        if self._architecture.norm_first:
            normed = hidden
            if layer.attention_norm is not None:
                normed = self._norm(hidden, layer.attention_norm)
            hidden = hidden + self._attend(layer, normed, attention, rotation)
            return hidden + self._mlp(layer, self._norm(hidden, layer.mlp_norm))
        hidden = hidden + self._attend(layer, hidden, attention, rotation)
        if layer.attention_norm is not None:
            hidden = self._norm(hidden, layer.attention_norm)
        return self._norm(hidden + self._mlp(layer, hidden), layer.mlp_norm)

    def _attend(
        self, layer: _Layer, hidden: Any, attention: Attention, rotation: Rotation | None
    ) -> Any:
        heads = (-1, self._architecture.num_heads, self._architecture.head_dim)
        projected = self._linear(hidden, layer.projections)
        query, key, value = (part.reshape(heads) for part in projected.chunk(3, dim=-1))
        if rotation is not None:
            query, key = self._rotated(query, rotation), self._rotated(key, rotation)
        return self._linear(attention(query, key, value, layer.positions).flatten(1), layer.output)

    def _rotated(self, heads: Any, rotation: Rotation) -> Any:
        """Components i and i + head_dim / 2 of each head, turned by the angle of i."""
        cosines, sines = rotation
        first, second = heads.float().chunk(2, dim=-1)
        turned = (first * cosines - second * sines, second * cosines + first * sines)
        return self._torch.cat(turned, dim=-1).to(self._dtype)

    def _mlp(self, layer: _Layer, hidden: Any) -> Any:
        inner = self._linear(hidden, layer.up)
        if self._architecture.gated:
            gate, up = inner.chunk(2, dim=-1)
            return self._linear(self._activation(gate) * up, layer.down)
        return self._linear(self._activation(inner), layer.down)

    def _linear(self, x: Any, tensors: Dense) -> Any:
        return self._torch.nn.functional.linear(x.to(self._dtype), *tensors)

    def _norm(self, x: Any, tensors: Dense) -> Any:
        return self._torch.nn.functional.layer_norm(
            x.float(), x.shape[-1:], *tensors, eps=self._architecture.norm_eps
        )
