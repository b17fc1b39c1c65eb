"""Least recently used caches, bounded in bytes. Safe to use from several threads."""

import threading
from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from cachetools import LRUCache

from twopass.server.telemetry.metrics import Metrics

_Value = TypeVar("_Value")


class ByteCache(Generic[_Value]):
    """Values by key; the least recently used is evicted first."""

    def __init__(self, name: str, max_bytes: int, metrics: Metrics) -> None:
        """Starts empty.

        Args:
            name: The cache's label in metrics.
            max_bytes: Most bytes of all entries together; 0 keeps none.
            metrics: Where look-ups are counted.
        """
        self.name = name
        self._metrics = metrics
        # Each value with the bytes that it takes.
        self._entries: LRUCache[Hashable, tuple[_Value, int]] = LRUCache(
            max_bytes, getsizeof=lambda entry: entry[1]
        )
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """The bytes of all entries together."""
        return int(self._entries.currsize)

    def __len__(self) -> int:
        return len(self._entries)

    def get_all(self, keys: Sequence[Hashable]) -> list[_Value | None]:
        """The values of keys, in their order; None for each that is absent."""
        with self._lock:
            entries = [self._entries.get(key) for key in keys]
        found = [entry[0] if entry else None for entry in entries]
        num_misses = entries.count(None)
        self._metrics.cache_looked_up(
            self.name, num_hits=len(found) - num_misses, num_misses=num_misses
        )
        return found

    def put_all(self, entries: Iterable[tuple[Hashable, _Value, int]]) -> None:
        """Keeps values, evicting others until all fit; a value larger than the cache is not kept.

        Args:
            entries: Key, value, and the bytes that both take.
        """
        with self._lock:
            for key, value, size in entries:
                if size <= self._entries.maxsize:
                    self._entries[key] = (value, size)
