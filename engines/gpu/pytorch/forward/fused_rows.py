"""`RowOps` in few kernels: what stands between two products is read once and written once.

The kernels are Triton's (`triton_rows.py`). Sums of residuals are kept in float16 where every sum
is normed at once, so that they stay small, and products are float16; else in float32.
"""

import importlib
from typing import Any

from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.pytorch.forward.attention import PackedTokens
from twopass.engines.gpu.pytorch.forward.outputs import Dense
from twopass.engines.gpu.pytorch.forward.row_ops import (
    EmbeddingTables,
    Hidden,
    PlainRowOps,
    Rotation,
)
from twopass.engines.model.architecture import Architecture

# A row longer than this needs more registers than a program has.
_MAX_WIDTH = 8_192


def find_kernels() -> Any:
    """Imports the module of kernels.

    Raises:
        EngineUnavailableError: Triton is missing, or does not load.
    """
    try:
        return importlib.import_module("twopass.engines.gpu.pytorch.forward.triton_rows")
    except Exception as error:  # whatever Triton meets in an environment that it is not made for
        raise EngineUnavailableError(f"Triton does not load ({error})") from error


class FusedRowOps:
    """By kernels of our own; implements `RowOps`."""

    reads_chosen_rows = True

    def __init__(self, torch: Any, kernels: Any, architecture: Architecture, dtype: Any) -> None:
        """Compiles nothing yet: a kernel is compiled when it is first launched.

        Args:
            torch: The package.
            kernels: From `find_kernels`.
            architecture: The model.
            dtype: Of products.

        Raises:
            EngineUnavailableError: The model's rows are too long.
        """
        widest = max(architecture.hidden_size, architecture.embedding_size)
        if widest > _MAX_WIDTH:
            raise EngineUnavailableError(
                f"rows of {widest} columns, at most {_MAX_WIDTH} are fused"
            )
        self._torch = torch
        self._kernels = kernels
        self._architecture = architecture
        self._dtype = dtype
        # What norms give is some units at most. Sums that are normed only for the next block grow
        # from layer to layer, beyond what float16 can add to.
        is_narrow = dtype is torch.float16 and not architecture.norm_first
        self._wide = torch.float16 if is_narrow else torch.float32
        self._plain = PlainRowOps(torch, architecture, dtype)

    def embed(
        self, tables: EmbeddingTables, token_ids: Any, query_lengths: Any, packed: PackedTokens
    ) -> Hidden:
        """See `RowOps`."""
        num_rows, width = len(token_ids), tables.words.shape[1]
        words, positions, types = tables.words, tables.positions, tables.types
        found = self._empty((num_rows, width), words.device)
        rows, columns = self._kernels.rows_a_program(width)
        self._kernels.embed_norm[(self._kernels.blocks(num_rows, rows),)](
            token_ids,
            packed.position,
            packed.sequence,
            query_lengths,
            words,
            words if positions is None else positions,
            words if types is None else types,
            *tables.norm,
            found.wide,
            found.narrow,
            num_rows,
            WIDTH=width,
            EPS=self._architecture.norm_eps,
            HAS_POSITIONS=positions is not None,
            NUM_TYPES=0 if types is None else len(types),
            STORES_NARROW=found.narrow is not found.wide,
            ROWS=rows,
            COLUMNS=columns,
        )
        return found

    def hidden(self, product: Any) -> Hidden:
        """See `RowOps`."""
        return Hidden(product.to(self._wide), product)

    def norm(self, hidden: Hidden, norm: Dense) -> Hidden:
        """See `RowOps`."""
        return self._add_norm(hidden, None, norm)[1]

    def add_norm(self, hidden: Hidden, added: Any, norm: Dense, *, is_last: bool = False) -> Hidden:
        """See `RowOps`."""
        return self._add_norm(hidden, added, norm, is_last=is_last)[1]

    def add_and_norm(
        self, hidden: Hidden, added: Any, norm: Dense, *, is_last: bool = False
    ) -> tuple[Hidden, Hidden]:
        """See `RowOps`."""
        return self._add_norm(hidden, added, norm, keeps_sum=not is_last, is_last=is_last)

    def heads(self, projected: Any, rotation: Rotation | None) -> tuple[Any, Any, Any]:
        """See `RowOps`."""
        if rotation is not None:
            num_heads, half = 2 * self._architecture.num_heads, self._architecture.head_dim // 2
            self._kernels.rotate[(len(projected),)](
                projected,
                *rotation,
                WIDTH=projected.shape[1],
                NUM_HEADS=num_heads,
                HALF=half,
                HEADS=_power_of_two(num_heads),
                COLUMNS=_power_of_two(half),
            )
        return self._plain.heads(projected, None)

    def activate(self, inner: Any) -> Any:
        """See `RowOps`."""
        if not self._architecture.gated:  # one kernel as it is
            return self._plain.activate(inner)
        num_rows, width = len(inner), inner.shape[1] // 2
        result = inner.new_empty((num_rows, width))
        block = min(_power_of_two(width), 1_024)
        self._kernels.gated_activation[(num_rows, self._kernels.blocks(width, block))](
            inner,
            result,
            WIDTH=width,
            ACTIVATION=self._architecture.activation.value,
            BLOCK=block,
        )
        return result

    def _add_norm(
        self,
        hidden: Hidden,
        added: Any,
        norm: Dense,
        *,
        keeps_sum: bool = False,
        is_last: bool = False,
    ) -> tuple[Hidden, Hidden]:
        """The sum, where it is kept, and its norm."""
        wide = hidden.wide
        num_rows, width = wide.shape
        if is_last:  # nothing but the output reads it, in float32
            normed = wide.new_empty(wide.shape, dtype=self._torch.float32)
            found = Hidden(normed, normed)
        else:
            found = self._empty(wide.shape, wide.device)
        total = wide.new_empty(wide.shape) if keeps_sum else wide
        rows, columns = self._kernels.rows_a_program(width)
        self._kernels.add_norm[(self._kernels.blocks(num_rows, rows),)](
            wide,
            wide if added is None else added,
            *norm,
            total,
            found.wide,
            found.narrow,
            num_rows,
            WIDTH=width,
            EPS=self._architecture.norm_eps,
            ADDS=added is not None,
            STORES_SUM=keeps_sum,
            STORES_NARROW=found.narrow is not found.wide,
            ROWS=rows,
            COLUMNS=columns,
        )
        return Hidden(total, total), found

    def _empty(self, shape: tuple[int, ...], device: Any) -> Hidden:
        """Room for vectors, once or in both types."""
        wide = self._torch.empty(shape, dtype=self._wide, device=device)
        if self._wide is self._dtype:
            return Hidden(wide, wide)
        return Hidden(wide, self._torch.empty(shape, dtype=self._dtype, device=device))


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()
