"""What a forward pass does to each token's vector alone, between products and attention.

`RowOps` is the seam: `PlainRowOps` takes PyTorch's own operations one after another and is the
reference; `fused_rows.py` does the same in fewer kernels. Rows are packed `[num_tokens, …]`.
Nothing here makes the host wait for the device.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from twopass.engines.gpu.pytorch.forward.attention import PackedTokens
from twopass.engines.gpu.pytorch.forward.outputs import Dense, activation_of
from twopass.engines.model.architecture import Architecture

Rotation = tuple[Any, Any]
"""Cosines and sines of each token's angles, float32 `[num_tokens, 1, head_dim / 2]`."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Token vectors between blocks, `[num_tokens, hidden_size]`.

    Attributes:
        wide: What sums of residuals read.
        narrow: The same for products, which convert it to their type where it has another.
    """

    wide: Any
    narrow: Any

    def at(self, places: Any) -> "Hidden":
        """The rows at places, int64 `[n]`."""
        wide = self.wide[places]
        return Hidden(wide, wide if self.narrow is self.wide else self.narrow[places])


@dataclass(frozen=True, slots=True)
class EmbeddingTables:
    """What a token's vector is the sum of, and the norm of the sum; None where there is none.

    Attributes:
        words: By token id, in the type of products.
        positions: By place in the sequence, float32.
        types: By token type, float32.
        norm: float32.
    """

    words: Any
    positions: Any
    types: Any
    norm: Dense


class RowOps(Protocol):
    """The operations on rows of one model.

    Attributes:
        reads_chosen_rows: Whether the last layer computes only what the output reads.
    """

    reads_chosen_rows: bool

    def embed(
        self, tables: EmbeddingTables, token_ids: Any, query_lengths: Any, packed: PackedTokens
    ) -> Hidden:
        """Sums of tables' rows, normed; arguments as of `TorchEncoder.forward`."""

    def hidden(self, product: Any) -> Hidden:
        """A product as token vectors."""

    def norm(self, hidden: Hidden, norm: Dense) -> Hidden:
        """Normed vectors."""

    def add_norm(self, hidden: Hidden, added: Any, norm: Dense, *, is_last: bool = False) -> Hidden:
        """Normed sums; `wide` is float32 where they are the last."""

    def add_and_norm(
        self, hidden: Hidden, added: Any, norm: Dense, *, is_last: bool = False
    ) -> tuple[Hidden, Hidden]:
        """Sums, and the same normed, whose `wide` is float32 where they are the last."""

    def heads(self, projected: Any, rotation: Rotation | None) -> tuple[Any, Any, Any]:
        """Queries, keys and values `[num_tokens, num_heads, head_dim]` of a joint product.

        Args:
            projected: `[num_tokens, 3 * hidden_size]`, which may be overwritten.
            rotation: Of queries and keys: components i and i + head_dim / 2 of each head are
                turned by the angle of i. None leaves them as they are.
        """

    def activate(self, inner: Any) -> Any:
        """The MLP's activation; where it is gated, of the first half, times the second."""


class PlainRowOps:
    """By PyTorch's own operations; sums, norms and rotations are float32."""

    reads_chosen_rows = False

    def __init__(self, torch: Any, architecture: Architecture, dtype: Any) -> None:
        """Takes the package, the model, and the type of products."""
        self._torch = torch
        self._architecture = architecture
        self._dtype = dtype
        self._activation = activation_of(torch, architecture.activation)

    def embed(
        self, tables: EmbeddingTables, token_ids: Any, query_lengths: Any, packed: PackedTokens
    ) -> Hidden:
        """See `RowOps`."""
        hidden = tables.words[token_ids.long()].float()
        if tables.positions is not None:
            hidden = hidden + tables.positions[packed.position]
        if tables.types is not None:
            is_passage = packed.position >= query_lengths[packed.sequence]
            hidden = hidden + tables.types[is_passage.long().clamp(max=len(tables.types) - 1)]
        return self._normed(hidden, tables.norm)

    def hidden(self, product: Any) -> Hidden:
        """See `RowOps`."""
        wide = product.float()
        return Hidden(wide, wide)

    def norm(self, hidden: Hidden, norm: Dense) -> Hidden:
        """See `RowOps`."""
        return self._normed(hidden.wide, norm)

    def add_norm(self, hidden: Hidden, added: Any, norm: Dense, *, is_last: bool = False) -> Hidden:
        """See `RowOps`."""
        del is_last  # all is float32
        return self._normed(hidden.wide + added, norm)

    def add_and_norm(
        self, hidden: Hidden, added: Any, norm: Dense, *, is_last: bool = False
    ) -> tuple[Hidden, Hidden]:
        """See `RowOps`."""
        del is_last
        wide = hidden.wide + added
        return Hidden(wide, wide), self._normed(wide, norm)

    def heads(self, projected: Any, rotation: Rotation | None) -> tuple[Any, Any, Any]:
        """See `RowOps`."""
        heads = (-1, self._architecture.num_heads, self._architecture.head_dim)
        query, key, value = (part.reshape(heads) for part in projected.chunk(3, dim=-1))
        if rotation is not None:
            query, key = self._rotated(query, rotation), self._rotated(key, rotation)
        return query, key, value

    def activate(self, inner: Any) -> Any:
        """See `RowOps`."""
        if self._architecture.gated:
            gate, up = inner.chunk(2, dim=-1)
            return self._activation(gate) * up
        return self._activation(inner)

    def _rotated(self, heads: Any, rotation: Rotation) -> Any:
        cosines, sines = rotation
        first, second = heads.float().chunk(2, dim=-1)
        turned = (first * cosines - second * sines, second * cosines + first * sines)
        return self._torch.cat(turned, dim=-1).to(self._dtype)

    def _normed(self, x: Any, norm: Dense) -> Hidden:
        wide = self._torch.nn.functional.layer_norm(
            x.float(), x.shape[-1:], *norm, eps=self._architecture.norm_eps
        )
        return Hidden(wide, wide)
