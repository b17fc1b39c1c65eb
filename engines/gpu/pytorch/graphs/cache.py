"""Which graphs an engine holds: captured at start and between batches, within a budget of memory.

Nothing here knows what captures them. Used by the one thread that owns the device.
"""

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

from twopass.engines.errors import OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.graphs.keys import GraphKey

_logger = logging.getLogger("twopass.engines")

# A graph of a hundred kernels takes about a megabyte beside the memory that all share.
_MAX_GRAPHS = 256
_WARM_UP_SECONDS = 5.0
# A shape that came once may never come again. One that takes another's place, or for which batches
# wait, has to come often.
_FEW_MISSES, _MANY_MISSES = 2, 16
# Capturing takes at most this share of the time while nothing waits, since something may come
# meanwhile, and while batches do.
_IDLE_SHARE, _BUSY_SHARE = 0.1, 0.02
_MAX_COUNTED = 1_024


class Graph(Protocol):
    """One shape's forward pass, captured."""

    def replay(self) -> None:
        """Queues it; its inputs are where they were when it was captured."""

    def close(self) -> None:
        """Frees it, once it is not under way."""


class GraphSwitch:
    """Whether an engine uses graphs, in all of its caches: once off, off for good.

    Attributes:
        is_on: Whether it does.
    """

    def __init__(self) -> None:
        """Is on, and knows no cache yet."""
        self.is_on = True
        self._caches: list[GraphCache] = []

    def add(self, cache: "GraphCache") -> None:
        """A cache whose graphs are given up with the others'."""
        self._caches.append(cache)

    @property
    def num_graphs(self) -> int:
        """Graphs in all caches."""
        return sum(len(cache) for cache in self._caches)

    def turn_off(self, reason: str) -> None:
        """Gives all graphs up; one log line says why, and a second time is a no-op."""
        if self.is_on:
            self.is_on = False
            _logger.warning("CUDA graphs are off for this engine, it goes on without: %s", reason)
        for cache in self._caches:
            cache.close()


class GraphCache:
    """Graphs by key, those not used for longest given up first.

    Attributes:
        switch: Of the engine, which turns this cache's graphs off with all others.
        num_replays: Launches that had a graph.
        num_misses: Launches that had none.
    """

    def __init__(
        self,
        capture: Callable[[GraphKey], Graph],
        free_bytes: Callable[[], int],
        budget_bytes: int,
        *,
        switch: GraphSwitch | None = None,
        max_graphs: int = _MAX_GRAPHS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Captures nothing yet.

        Args:
            capture: Captures a key and checks what it computes; raises `OutOfDeviceMemoryError`
                where memory is short, and anything else where graphs are not to be used.
            free_bytes: The device's free memory.
            budget_bytes: Of it, what graphs may take together.
            switch: Shared by the caches of an engine; None for one of its own.
            max_graphs: Most graphs.
            clock: Seconds.
        """
        self.switch = switch or GraphSwitch()
        self.switch.add(self)
        self.num_replays = self.num_misses = 0
        self._capture = capture
        self._free_bytes = free_bytes
        self._left = budget_bytes
        self._capacity = max_graphs
        self._clock = clock
        self._graphs = OrderedDict[GraphKey, Graph]()
        self._misses = Counter[GraphKey]()
        self._idle_again_at = self._busy_again_at = clock()

    @property
    def is_on(self) -> bool:
        """Whether graphs are used; not once one failed or computed something else."""
        return self.switch.is_on

    def __len__(self) -> int:
        """Graphs held."""
        return len(self._graphs)

    def __contains__(self, key: GraphKey) -> bool:
        """Whether a key's graph is held."""
        return key in self._graphs

    def warm_up(self, keys: Iterable[GraphKey], seconds: float = _WARM_UP_SECONDS) -> None:
        """Captures keys in order, as far as time and memory go."""
        end = self._clock() + seconds
        for key in keys:
            if not self.is_on or len(self) >= self._capacity or self._clock() >= end:
                return
            if key not in self:
                self._try(key)

    def find(self, key: GraphKey) -> Graph | None:
        """A key's graph; None where the launch is to run without.

        A key that was missed often is captured here, though a batch waits, but seldom.
        """
        if not self.is_on:
            return None
        graph = self._graphs.get(key)
        if graph is None:
            self._count_miss(key)
            if self._misses[key] >= _MANY_MISSES and self._clock() >= self._busy_again_at:
                self._try(key)
            graph = self._graphs.get(key)
            if graph is None:
                self.num_misses += 1
                return None
        self._graphs.move_to_end(key)
        self.num_replays += 1
        return graph

    def capture_missed(self) -> bool:
        """Captures the key that was missed most; for when nothing waits.

        Returns:
            Whether one was, so that there may be another.
        """
        if not self.is_on or not self._misses or not self._capacity:
            return False
        key, count = self._misses.most_common(1)[0]
        is_full = len(self) >= self._capacity
        if count < (_MANY_MISSES if is_full else _FEW_MISSES):
            return False
        if self._clock() < self._idle_again_at:
            return False
        self._try(key)
        return True

    def close(self) -> None:
        """Frees all graphs."""
        while self._graphs:
            key, graph = self._graphs.popitem()
            try:
                graph.close()
            except Exception as error:  # of a failed device, which the next launch finds
                _logger.warning("CUDA graph of %s not closed cleanly: %s", key, error)
        self._misses.clear()

    def _count_miss(self, key: GraphKey) -> None:
        if len(self._misses) >= _MAX_COUNTED and key not in self._misses:
            self._misses.clear()
        self._misses[key] += 1

    def _try(self, key: GraphKey) -> None:
        """Captures a key where it may; whatever goes wrong, the engine goes on."""
        self._misses.pop(key, None)
        if not self._capacity:
            return
        began = self._clock()
        try:
            while len(self) >= self._capacity:
                self._graphs.popitem(last=False)[1].close()
            before = self._free_bytes()
            self._graphs[key] = self._capture(key)
            self._left -= max(0, before - self._free_bytes())
        except OutOfDeviceMemoryError as error:
            self._capacity = len(self)
            _logger.warning(
                "%d CUDA graphs are held, the device's memory has no room for more: %s",
                len(self),
                error,
            )
        except Exception as error:
            self.switch.turn_off(f"{key}: {type(error).__name__}: {error}")
        else:
            if self._left <= 0:  # from here on one takes another's place
                self._capacity = min(self._capacity, len(self))
        finally:
            end = self._clock()
            self._idle_again_at = end + (end - began) / _IDLE_SHARE
            self._busy_again_at = end + (end - began) / _BUSY_SHARE
