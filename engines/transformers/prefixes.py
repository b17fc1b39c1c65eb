"""What a decoder remembers of tokens that many sequences begin with: their keys and values."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from twopass.engines.base.sequences import Int32s


class LayerState(NamedTuple):
    """Keys and values of one layer, each `[1, num_heads, num_tokens, head_dim]`."""

    keys: Any
    values: Any


class Prefix(NamedTuple):
    """Tokens that sequences begin with, and what every layer remembers of them.

    Attributes:
        token_ids: int32 `[num_tokens]`.
        layers: One state a layer.
    """

    token_ids: Int32s
    layers: Sequence[LayerState]

    @property
    def num_bytes(self) -> int:
        """Memory of keys and values."""
        return sum(tensor.nbytes for state in self.layers for tensor in state)

    def first(self, num_tokens: int) -> "Prefix":
        """The first tokens, as views: what a token leaves behind depends on none after it."""
        layers = [LayerState(*(t[:, :, :num_tokens] for t in state)) for state in self.layers]
        return Prefix(self.token_ids[:num_tokens], layers)


class PrefixCache:
    """The prefixes used last, bounded in bytes. For one thread.

    A set's prefix (system prompt, instruction, query) is found again when its passages come in
    several batches, and the beginning of one (system prompt, instruction) by every other query.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._prefixes: OrderedDict[bytes, Prefix] = OrderedDict()
        self._num_bytes = 0

    @property
    def num_bytes(self) -> int:
        """Memory of all that is kept."""
        return self._num_bytes

    def longest(self, token_ids: Int32s) -> Prefix | None:
        """What is known of the longest beginning of some tokens; None where nothing is."""
        best, best_length = None, 0
        for key, prefix in self._prefixes.items():
            if (length := _num_common(prefix.token_ids, token_ids)) > best_length:
                best, best_length = key, length
        if best is None:
            return None
        self._prefixes.move_to_end(best)
        return self._prefixes[best].first(best_length)

    def put(self, prefix: Prefix) -> None:
        """Keeps a prefix, evicting those not used for the longest time; none that is too large."""
        key, size = prefix.token_ids.tobytes(), prefix.num_bytes
        if size > self._max_bytes or key in self._prefixes:
            return
        while self._num_bytes + size > self._max_bytes:
            _, evicted = self._prefixes.popitem(last=False)
            self._num_bytes -= evicted.num_bytes
        self._prefixes[key] = prefix
        self._num_bytes += size

    def clear(self) -> None:
        """Forgets all."""
        self._prefixes.clear()
        self._num_bytes = 0


def _num_common(first: Int32s, second: Int32s) -> int:
    """How many leading tokens are equal."""
    length = min(len(first), len(second))
    differs = first[:length] != second[:length]
    return int(np.argmax(differs)) if differs.any() else length
