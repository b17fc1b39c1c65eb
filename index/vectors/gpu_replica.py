"""A copy of an immutable faiss index on a GPU; the index on the CPU stays the master.

This module hides where faiss's GPU indexes differ: they are not safe to search from two threads,
return at most 2,048 neighbours, and ignore an IDSelector silently.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import faiss
import numpy as np

from twopass.engines.base import Float32s
from twopass.engines.installing import how_to_install
from twopass.index.arrays import Bools, Int64s

Clone: TypeAlias = Callable[[Any], Any]
"""Copies a faiss index to a device; RuntimeError where it does not fit, or has no form there."""

_LOG = logging.getLogger("twopass.index")

MAX_NEIGHBOURS = 2_048
# Where not every vector may be found, this many times `k` are fetched and filtered.
_OVER_FETCH = 4


class GpuUnavailableError(Exception):
    """faiss has no GPU part, or there is no GPU."""


def gpu_cloner(*, scratch_bytes: int = 256 << 20, use_float16: bool = False) -> Clone:
    """Makes the function that copies an index to the first GPU.

    Args:
        scratch_bytes: Memory for searches; faiss would take 1.5 GB.
        use_float16: Whether vectors are stored in half precision: half the memory, and scores off
            by some 1e-3.

    Raises:
        GpuUnavailableError: faiss has no GPU part, or there is no GPU; says which.
    """
    if not hasattr(faiss, "StandardGpuResources"):
        raise GpuUnavailableError(f"this faiss has no GPU part: {how_to_install('faiss-gpu')}")
    if not faiss.get_num_gpus():
        raise GpuUnavailableError("faiss sees no NVIDIA GPU")
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(scratch_bytes)
    options = faiss.GpuClonerOptions()
    options.useFloat16 = use_float16
    return lambda index: faiss.index_cpu_to_gpu(resources, 0, index, options)


class GpuReplica:
    """Searches the copy, or reports that it can't. Not thread-safe: one thread searches it."""

    def __init__(self, master: Any, clone: Clone) -> None:
        """Copies the index. A failure is counted and logged, and leaves no copy.

        Args:
            master: A faiss index that is never changed from now on.
            clone: Copies an index to the device.
        """
        self._num_vectors = int(master.ntotal)
        self._copy: Any = None
        try:
            self._copy = clone(master)
        except RuntimeError as error:
            _fall_back("the index can't be copied to the GPU", error)

    @property
    def is_on_gpu(self) -> bool:
        """Whether the GPU answers searches; false once it has failed."""
        return self._copy is not None

    def search(
        self, queries: Float32s, k: int, parameters: Any, chosen: Bools | None
    ) -> tuple[Float32s, Int64s] | None:
        """Finds the nearest vectors of each query; None where the master has to be searched.

        Args:
            queries: float32 `[num_queries, dimension]`.
            k: Most vectors to find for each query, at least 1.
            parameters: faiss's search parameters, without a selector; None for its defaults.
            chosen: Which vectors may be found, bool `[num_vectors]`; None for all.

        Returns:
            Scores and positions, `[num_queries, k]`; positions are -1 where fewer were found.
        """
        if chosen is None:
            return self._nearest(queries, k, parameters)
        wanted = min(_OVER_FETCH * k, MAX_NEIGHBOURS, self._num_vectors)
        if wanted < k:
            return None
        found = self._nearest(queries, wanted, parameters)
        if found is None:
            return None
        scores, positions = found
        kept = (positions >= 0) & chosen[positions]
        if (kept.sum(axis=1) < k).any():
            return None
        # A stable sort of booleans puts what is kept first, in its order.
        first = np.argsort(~kept, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, first, 1), np.take_along_axis(positions, first, 1)

    def _nearest(
        self, queries: Float32s, k: int, parameters: Any
    ) -> tuple[Float32s, Int64s] | None:
        if self._copy is None or k > MAX_NEIGHBOURS:
            return None
        try:
            found: tuple[Float32s, Int64s] = self._copy.search(queries, k, params=parameters)
        except RuntimeError as error:
            self._copy = None
            _fall_back("the GPU failed in a search", error)
            return None
        return found


class Fallbacks:
    """How often the CPU took over from the GPU since the process began. Safe for threads."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self.count = 0

    def add(self) -> None:
        """Counts one fallback."""
        with self._counting:
            self.count += 1


FALLBACKS = Fallbacks()
"""The fallbacks of all indexes, which share the GPU."""


def _fall_back(what: str, error: Exception) -> None:
    FALLBACKS.add()
    _LOG.warning("first pass goes on on the CPU: %s (%s)", what, error)
