"""The forward pass of a BERT-family model in PyTorch, packed: no layer computes padding.

Only where PyTorch has no attention for sequences of unequal length is attention alone padded.
Tensors are packed `[num_tokens, …]` unless said otherwise; `n` is the number of sequences.
"""

import importlib
from collections.abc import Callable
from typing import Any

from twopass.engines.base import ModelKind
from twopass.engines.model.architecture import BertArchitecture
from twopass.engines.model.folder import Pooling
from twopass.engines.model.weights import BertWeights

Attention = Callable[[Any, Any, Any, "PackedTokens"], Any]
"""From query, key, value `[num_tokens, num_heads, head_dim]` to the heads' outputs, same shape."""


class PackedTokens:
    """Where the tokens of each sequence of a packed batch are, on the device.

    Attributes:
        offsets: int32 `[n + 1]`.
        lengths: int64 `[n]`.
        sequence: Which sequence each token is of, int64.
        position: Its place in it, int64.
        max_len: Tokens of the longest.
    """

    def __init__(self, torch: Any, offsets: Any, num_tokens: int, max_len: int) -> None:
        count = len(offsets) - 1
        device = offsets.device
        self.offsets = offsets
        self.lengths = offsets.diff().long()
        self.max_len = max_len
        # The size is told, so that the host does not wait for the device to count.
        self.sequence = torch.arange(count, device=device).repeat_interleave(
            self.lengths, output_size=num_tokens
        )
        starts = offsets[:-1].long()
        self.position = torch.arange(num_tokens, device=device) - starts[self.sequence]


def variable_length_attention(torch: Any, device: Any, head_dim: int) -> Attention | None:
    """PyTorch's kernel for packed sequences; None where it, or a GPU it runs on, is missing."""
    # Flash attention needs compute capability 8.0, and heads of a multiple of 8, at most 256.
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        return None
    if head_dim % 8 or head_dim > 256:
        return None
    try:
        kernel = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    except (ImportError, AttributeError):  # before PyTorch 2.10
        return None

    def attend(query: Any, key: Any, value: Any, packed: PackedTokens) -> Any:
        ends, longest = packed.offsets, packed.max_len
        return kernel(query, key, value, ends, ends, longest, longest)

    return attend


def padded_attention(torch: Any) -> Attention:
    """The same by padding: `scaled_dot_product_attention` over `[n, num_heads, max_len, …]`."""

    def attend(query: Any, key: Any, value: Any, packed: PackedTokens) -> Any:
        places = packed.sequence, packed.position
        shape = (len(packed.lengths), packed.max_len, *query.shape[1:])

        def padded(rows: Any) -> Any:
            result = rows.new_zeros(shape)
            result[places] = rows
            return result.transpose(1, 2)

        columns = torch.arange(packed.max_len, device=query.device)
        is_real = (columns < packed.lengths[:, None])[:, None, None, :]
        context = torch.nn.functional.scaled_dot_product_attention(
            padded(query), padded(key), padded(value), attn_mask=is_real
        )
        return context.transpose(1, 2)[places]

    return attend


class TorchBert:
    """Weights on a device, and the pass through them."""

    def __init__(
        self,
        torch: Any,
        architecture: BertArchitecture,
        weights: BertWeights,
        *,
        kind: ModelKind,
        pooling: Pooling,
        device: Any,
        dtype: Any,
    ) -> None:
        """Copies the weights to the device.

        Args:
            torch: The package.
            architecture: Shape of the model.
            weights: Its tensors.
            kind: What comes out: logits or embeddings.
            pooling: Of an encoder.
            device: A torch device.
            dtype: Of weights, products and activations; sums of residuals, norms and the head are
                float32.

        Raises:
            ModelError: A tensor is missing.
        """
        self._torch = torch
        self._architecture = architecture
        self._pooling = pooling
        self._dtype = dtype
        self.attention = variable_length_attention(torch, device, architecture.head_dim)
        self.is_packed = self.attention is not None
        self.attention = self.attention or padded_attention(torch)

        def tensor(name: str, kind: Any = dtype) -> Any:
            return torch.from_numpy(weights[name]).to(device, kind)

        def dense(name: str, kind: Any = dtype) -> tuple[Any, Any]:
            return tensor(name + ".weight", kind), tensor(name + ".bias", kind)

        def norm(name: str) -> tuple[Any, Any]:
            return dense(name, torch.float32)

        self._words = tensor("embeddings.word_embeddings.weight")
        positions = tensor("embeddings.position_embeddings.weight", torch.float32)
        self._positions = positions[architecture.position_offset :]
        self._types = tensor("embeddings.token_type_embeddings.weight", torch.float32)
        self._embedding_norm = norm("embeddings.LayerNorm")
        self._layers = []
        for number in range(architecture.num_layers):
            prefix = f"encoder.layer.{number}."
            parts = [dense(f"{prefix}attention.self.{p}") for p in ("query", "key", "value")]
            self._layers.append(
                {
                    # One product of three times the width instead of three.
                    "projections": tuple(torch.cat(column) for column in zip(*parts, strict=True)),
                    "attended": dense(f"{prefix}attention.output.dense"),
                    "attended_norm": norm(f"{prefix}attention.output.LayerNorm"),
                    "inner": dense(f"{prefix}intermediate.dense"),
                    "outer": dense(f"{prefix}output.dense"),
                    "outer_norm": norm(f"{prefix}output.LayerNorm"),
                }
            )
        self._head = []
        if kind is ModelKind.RERANKER:
            is_roberta = "classifier.out_proj.weight" in weights
            names = (
                ("classifier.dense", "classifier.out_proj")
                if is_roberta
                else ("pooler.dense", "classifier")
            )
            self._head = [dense(name, torch.float32) for name in names]

    def forward(self, token_ids: Any, offsets: Any, query_lengths: Any, max_len: int) -> Any:
        """Computes logits float32 `[n]`, or embeddings float32 `[n, hidden_size]`, normalised.

        Args:
            token_ids: int32, on the device.
            offsets: int32 `[n + 1]`, on the device.
            query_lengths: int32 `[n]`, on the device.
            max_len: Tokens of the longest sequence.
        """
        packed = PackedTokens(self._torch, offsets, len(token_ids), max_len)
        hidden = self._embed(token_ids, query_lengths, packed)
        for layer in self._layers:
            hidden = self._layer(layer, hidden, packed)
        if self._head:
            return self._logits(hidden[packed.offsets[:-1].long()])
        return self._pooled(hidden, packed)

    def _embed(self, token_ids: Any, query_lengths: Any, packed: PackedTokens) -> Any:
        is_passage = packed.position >= query_lengths[packed.sequence]
        types = self._types[is_passage.long().clamp(max=len(self._types) - 1)]
        hidden = self._words[token_ids.long()].float() + self._positions[packed.position] + types
        return self._norm(hidden, self._embedding_norm)

    def _layer(self, layer: dict[str, Any], hidden: Any, packed: PackedTokens) -> Any:
        """One transformer layer, post-norm as in BERT; float32 in and out."""
        linear, gelu = self._torch.nn.functional.linear, self._torch.nn.functional.gelu
        heads = (-1, self._architecture.num_heads, self._architecture.head_dim)
        projected = linear(hidden.to(self._dtype), *layer["projections"])
        query, key, value = (part.reshape(heads) for part in projected.chunk(3, dim=-1))
        assert self.attention is not None
        context = self.attention(query, key, value, packed).flatten(1)
        hidden = self._norm(hidden + linear(context, *layer["attended"]), layer["attended_norm"])
        approximate = "none" if self._architecture.gelu == "erf" else "tanh"
        inner = gelu(linear(hidden.to(self._dtype), *layer["inner"]), approximate=approximate)
        return self._norm(hidden + linear(inner, *layer["outer"]), layer["outer_norm"])

    def _norm(self, x: Any, weights: tuple[Any, Any]) -> Any:
        return self._torch.nn.functional.layer_norm(
            x.float(), x.shape[-1:], *weights, eps=self._architecture.layer_norm_eps
        )

    def _logits(self, first: Any) -> Any:
        """Pooler and classifier over the first token of each sequence."""
        linear = self._torch.nn.functional.linear
        inner, outer = self._head
        return linear(linear(first, *inner).tanh(), *outer).squeeze(1)

    def _pooled(self, hidden: Any, packed: PackedTokens) -> Any:
        if self._pooling is Pooling.CLS:
            pooled = hidden[packed.offsets[:-1].long()]
        else:  # the sum points where the mean does
            pooled = self._torch.segment_reduce(hidden, "sum", lengths=packed.lengths, axis=0)
        return self._torch.nn.functional.normalize(pooled, dim=1)
