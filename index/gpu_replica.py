"""A copy of an immutable faiss index on a GPU; the index on the CPU stays the master.

What a GPU does otherwise than a CPU ends here: its indexes are not safe to search from two threads,
return 2,048 neighbours at most, and ignore an IDSelector without a word.
"""

import logging
from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s

Int64s: TypeAlias = NDArray[np.int64]
Clone: TypeAlias = Callable[[faiss.Index], faiss.Index]

_logger = logging.getLogger("twopass.index")

MAX_NEIGHBOURS = 2_048
# With a filter, this many times the neighbours asked for are fetched and sifted.
_OVER_FETCH = 4


class GpuUnavailableError(Exception):
    """faiss has no GPU part, or there is no GPU."""


def gpu_cloner(*, scratch_bytes: int = 256 << 20, use_float16: bool = False) -> Clone:
    """Makes what copies an index to the first GPU.

    Args:
        scratch_bytes: Memory for searches; faiss would take 1.5 GB.
        use_float16: Whether vectors are stored in half precision: half the memory, and scores off
            by some 1e-3.

    Raises:
        GpuUnavailableError: faiss has no GPU part, or there is no GPU; says which.
    """
    if not hasattr(faiss, "StandardGpuResources"):
        raise GpuUnavailableError("this faiss has no GPU part: pip install 'twopass[faiss-gpu]'")
    if not faiss.get_num_gpus():
        raise GpuUnavailableError("faiss sees no NVIDIA GPU")
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(scratch_bytes)
    options = faiss.GpuClonerOptions()
    options.useFloat16 = use_float16
    return lambda index: faiss.index_cpu_to_gpu(resources, 0, index, options)


class GpuReplica:
    """Searches the copy, and the master where the copy can't or has failed."""

    def __init__(self, master: faiss.Index, clone: Clone) -> None:
        """Copies the index; one that does not fit stays on the CPU, with a log line.

        Args:
            master: Never changed from now on. Its ids are the keys.
            clone: Copies an index to the device.
        """
        self._master = master
        self._lock = Lock()
        self._copy: faiss.Index | None = None
        try:
            self._copy = clone(master)
        except RuntimeError as error:
            _fall_back("the index does not fit on the GPU", error)

    @property
    def is_on_gpu(self) -> bool:
        """Whether searches are the GPU's; false once it has failed."""
        return self._copy is not None

    def search(
        self, queries: Float32s, k: int, *, allowed: Int64s | None = None
    ) -> tuple[Float32s, Int64s]:
        """The nearest of each query: scores and keys, `[num_queries, k]`, -1 where there are fewer.

        Args:
            queries: float32 `[num_queries, dimension]`.
            k: At least 1.
            allowed: Keys that may be found; None allows all.
        """
        if allowed is None:
            return self._nearest(queries, k)
        wanted = min(_OVER_FETCH * k, MAX_NEIGHBOURS, max(1, int(self._master.ntotal)))
        if self._copy is not None and wanted >= k:
            scores, keys = self._nearest(queries, wanted)
            kept = np.isin(keys, allowed)
            if (kept.sum(axis=1) >= k).all():
                # A stable sort of booleans: what is kept comes first, in its order.
                first = np.argsort(~kept, axis=1, kind="stable")[:, :k]
                return np.take_along_axis(scores, first, 1), np.take_along_axis(keys, first, 1)
        selector = faiss.IDSelectorBatch(allowed)
        parameters = faiss.SearchParameters(sel=selector)
        found: tuple[Float32s, Int64s] = self._master.search(queries, k, params=parameters)
        return found

    def _nearest(self, queries: Float32s, k: int) -> tuple[Float32s, Int64s]:
        found: tuple[Float32s, Int64s]
        copy = self._copy
        if copy is not None and k <= MAX_NEIGHBOURS:
            try:
                with self._lock:
                    found = copy.search(queries, k)
            except RuntimeError as error:
                self._copy = None
                _fall_back("the GPU failed in a search", error)
            else:
                return found
        found = self._master.search(queries, k)
        return found


def _fall_back(what: str, error: Exception) -> None:
    _logger.warning("first pass goes on on the CPU: %s (%s)", what, error)
