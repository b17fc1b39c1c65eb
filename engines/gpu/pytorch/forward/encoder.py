"""The forward pass of an `Architecture` in PyTorch, packed: no layer computes padding.

Only where PyTorch has no attention for sequences of unequal length is attention alone padded.
Tensors are packed `[num_tokens, …]`; `n` is the number of sequences. Nothing here makes the host
wait for the device.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.gpu.pytorch.forward.attention import (
    Attention,
    LayerPositions,
    PackedTokens,
    attention_kernel,
)
from twopass.engines.gpu.pytorch.forward.outputs import (
    Dense,
    EmbeddingOutput,
    LogitOutput,
    activation_of,
)
from twopass.engines.gpu.pytorch.forward.row_ops import (
    EmbeddingTables,
    Hidden,
    PlainRowOps,
    Rotation,
    RowOps,
)
from twopass.engines.model.architecture import Architecture, LayerAttention
from twopass.engines.model.pooling import EmbeddingHead
from twopass.engines.model.weights import ModelWeights


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


_Attended = Callable[[_Layer, Any], Any]


class TorchEncoder:
    """Weights on a device, and the pass through them.

    Attributes:
        architecture: What the model is made of.
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
        self.architecture = architecture
        self._dtype = dtype
        self._ops: RowOps = PlainRowOps(torch, architecture, dtype)

        def tensor(name: str, kind: Any = dtype) -> Any:
            return torch.from_numpy(weights.float32(name)).to(device, kind)

        def dense(name: str, kind: Any = dtype) -> Dense:
            return tensor(f"{name}.weight", kind), tensor(f"{name}.bias", kind)

        def float32(name: str) -> Dense:
            return dense(name, torch.float32)

        positions = types = None
        words = tensor("embeddings.words.weight")
        if architecture.num_positions:
            positions = tensor("embeddings.positions.weight", torch.float32)
            positions = positions[architecture.position_offset :]
        if architecture.type_vocab_size:
            types = tensor("embeddings.types.weight", torch.float32)
        self._tables = EmbeddingTables(words, positions, types, float32("embeddings.norm"))
        self._projection = self._final_norm = None
        if architecture.embedding_size != architecture.hidden_size:
            self._projection = dense("embeddings.projection")
        if architecture.norm_first:
            self._final_norm = float32("final_norm")
        self._convolution = None
        if architecture.convolution is not None:
            self._convolution = dense("convolution"), float32("convolution_norm")
        relative = self._relative_positions(tensor, float32)
        self._layers = [
            self._read_layer(number, kind, dense, relative)
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
        self._output: EmbeddingOutput | LogitOutput
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
        disentangled = self.architecture.disentangled
        if disentangled is None:
            return None
        rows = tensor("relative.embeddings.weight", self._torch.float32)
        return self._norm(rows, float32("relative.norm")) if disentangled.norm else rows

    def _read_layer(
        self, number: int, kind: LayerAttention, dense: Callable[..., Dense], positions: Any
    ) -> _Layer:
        torch, architecture = self._torch, self.architecture
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
        return len(self._tables.words)

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
        hidden = self._ops.embed(self._tables, token_ids, query_lengths, packed)
        if self._projection is not None:
            hidden = self._ops.hidden(self._linear(hidden.narrow, self._projection))
        windows = {kind.window for kind in self.architecture.layers}
        attention = {window: self._kernel.over(packed, window) for window in windows}
        rotations = {
            rotary: self._rotation(frequencies, packed)
            for rotary, frequencies in self._rotary.items()
        }

        def attended(layer: _Layer, rows: Any) -> Any:
            rotation = None if layer.kind.rotary is None else rotations[layer.kind.rotary]
            return self._attended(layer, rows, attention[layer.kind.window], rotation)

        chosen = packed.first if self._ops.reads_chosen_rows and self._output.reads_first else None
        through = self._pre_norm if self.architecture.norm_first else self._post_norm
        hidden = through(hidden, packed, attended, chosen)
        if chosen is not None:
            return self._output.of_pooled(hidden.wide)
        return self._output(hidden.wide, packed)

    def with_ops(self, ops: RowOps) -> "TorchEncoder":
        """An encoder on the same tensors that computes rows in another way."""
        other = copy(self)
        other._ops = ops
        return other

    def _post_norm(
        self, hidden: Hidden, packed: PackedTokens, attended: _Attended, chosen: Any
    ) -> Hidden:
        """All layers of a model whose norms stand after their blocks.

        Args:
            hidden: Embeddings.
            packed: Where their sequences are.
            attended: What attention gives of rows, before its product.
            chosen: Places of the rows that are wanted, int64 `[n]`, or None for all.
        """
        embedded, last = hidden, len(self._layers) - 1
        for number, layer in enumerate(self._layers):
            is_last, convolves = number == last, number == 0 and self._convolution is not None
            assert layer.attention_norm is not None
            context = attended(layer, hidden.narrow)
            if is_last and chosen is not None and not convolves:
                context, hidden = context[chosen], hidden.at(chosen)
            added = self._linear(context, layer.output)
            hidden = self._ops.add_norm(hidden, added, layer.attention_norm)
            added = self._mlp(layer, hidden)
            hidden = self._ops.add_norm(
                hidden, added, layer.mlp_norm, is_last=is_last and not convolves
            )
            if convolves:
                hidden = self._convolved(hidden, embedded, packed, is_last=is_last)
                if is_last and chosen is not None:
                    hidden = hidden.at(chosen)
        return hidden

    def _pre_norm(
        self, hidden: Hidden, packed: PackedTokens, attended: _Attended, chosen: Any
    ) -> Hidden:
        """The same where norms stand before their blocks, and one after the last."""
        del packed  # no such model has a convolution
        first, last = self._layers[0], len(self._layers) - 1
        normed = hidden
        if first.attention_norm is not None:
            normed = self._ops.norm(hidden, first.attention_norm)
        for number, layer in enumerate(self._layers):
            is_last = number == last
            context = attended(layer, normed.narrow)
            if is_last and chosen is not None:
                context, hidden = context[chosen], hidden.at(chosen)
            added = self._linear(context, layer.output)
            hidden, normed = self._ops.add_and_norm(hidden, added, layer.mlp_norm)
            added = self._mlp(layer, normed)
            norm = self._final_norm if is_last else self._layers[number + 1].attention_norm
            assert norm is not None
            hidden, normed = self._ops.add_and_norm(hidden, added, norm, is_last=is_last)
        return normed

    def _convolved(
        self, hidden: Hidden, embedded: Hidden, packed: PackedTokens, *, is_last: bool
    ) -> Hidden:
        """What DeBERTa's convolution makes of the first layer's output."""
        convolution = self.architecture.convolution
        assert convolution is not None
        assert self._convolution is not None
        tensors, norm = self._convolution
        convolved = self._torch.nn.functional.conv1d(
            packed.padded(embedded.narrow.to(self._dtype)).transpose(1, 2),
            *tensors,
            padding=convolution.kernel_size // 2,
            groups=convolution.groups,
        )
        added = packed.unpadded(convolved.transpose(1, 2)).float()
        activation = activation_of(self._torch, convolution.activation)
        return self._ops.add_norm(hidden, activation(added), norm, is_last=is_last)

    def _rotation(self, frequencies: Any, packed: PackedTokens) -> Rotation:
        angles = (packed.position[:, None].float() * frequencies)[:, None, :]
        return angles.cos(), angles.sin()

    def _attended(
        self, layer: _Layer, rows: Any, attention: Attention, rotation: Rotation | None
    ) -> Any:
        """What attention gives of rows, `[num_tokens, hidden_size]`, before its product."""
        projected = self._linear(rows, layer.projections)
        query, key, value = self._ops.heads(projected, rotation)
        return attention(query, key, value, layer.positions).flatten(1)

    def _mlp(self, layer: _Layer, hidden: Hidden) -> Any:
        inner = self._linear(hidden.narrow, layer.up)
        return self._linear(self._ops.activate(inner), layer.down)

    def _linear(self, x: Any, tensors: Dense) -> Any:
        return self._torch.nn.functional.linear(x.to(self._dtype), *tensors)

    def _norm(self, x: Any, tensors: Dense) -> Any:
        return self._torch.nn.functional.layer_norm(
            x.float(), x.shape[-1:], *tensors, eps=self.architecture.norm_eps
        )
