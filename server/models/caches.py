"""Least recently used caches, bounded in bytes. Safe to use from several threads."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from twopass.server.telemetry.metrics import Metrics

_Value = TypeVar("_Value")


class ByteCache(Generic[_Value]):
    """Values by key, the least recently used forgotten first."""

    def __init__(self, name: str, max_bytes: int, metrics: Metrics) -> None:
        """Starts empty.

        Args:
            name: In metrics.
            max_bytes: Of all entries together; 0 keeps none.
            metrics: Where look-ups are counted.
        """
        self.name = name
        self.num_bytes = 0
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._entries: OrderedDict[Hashable, tuple[_Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get_all(self, keys: Sequence[Hashable]) -> list[_Value | None]:
        """The values of keys, in their order; None for each that is not there."""
        found: list[_Value | None] = []
        with self._lock:
            for key in keys:
                entry = self._entries.get(key)
                if entry is not None:
                    self._entries.move_to_end(key)
                found.append(entry[0] if entry else None)
        num_misses = sum(value is None for value in found)
        self._metrics.cache_looked_up(
            self.name, num_hits=len(found) - num_misses, num_misses=num_misses
        )
        return found

    def put_all(self, entries: Iterable[tuple[Hashable, _Value, int]]) -> None:
        """Keeps values, and forgets others until all fit.

        Args:
            entries: Key, value, and the bytes that both take.
        """
        with self._lock:
            for key, value, size in entries:
                if size > self._max_bytes:
                    continue
                if (old := self._entries.pop(key, None)) is not None:
                    self.num_bytes -= old[1]
                self._entries[key] = (value, size)
                self.num_bytes += size
            while self.num_bytes > self._max_bytes:
                _, (_, size) = self._entries.popitem(last=False)
                self.num_bytes -= size
