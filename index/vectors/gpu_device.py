"""Copies of immutable faiss indexes on a GPU; the indexes on the CPU stay the masters.

This module hides what faiss's GPU part is like (read in its sources, 1.15):

- An index on a GPU, and the `StandardGpuResources` that it lives by, have one user at a time. So
  each copy has resources of its own: collections are searched, and bases copied, side by side.
- It returns at most 2,048 neighbours, and looks through at most as many lists.
- It ignores an IDSelector silently; that of faiss-gpu-cuvs does not, for some kinds. None is given.
- `GpuIndexCagra` reads its search parameters unchecked: any but its own would crash the process.
"""

import logging
import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import faiss
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.engines.installing import how_to_install
from twopass.index.arrays import Int64s
from twopass.index.device_use import DeviceUse

_LOG = logging.getLogger("twopass.index")

MAX_NEIGHBOURS = 2_048
"""Most neighbours, and most lists of an IVF index, of a search on a GPU."""
MAX_GRAPH_NEIGHBOURS = 512
"""Most neighbours of a walk through CAGRA's graph by one block of threads a query.

Several blocks a query go further, but what they find hangs on how many queries come at once.
"""
# Memory for searches, by the vectors: two blocks of 256 queries compared with all. faiss would take
# 1.5 GB for each copy.
_SCRATCH_BYTES_PER_VECTOR = 2 * 256 * 4
_MIN_SCRATCH_BYTES, _MAX_SCRATCH_BYTES = 16 << 20, 256 << 20
# HNSW of fewer components than this is compared with all on a GPU: an H200 does 64 queries among
# 100,000 vectors of 384 in under a millisecond, exactly. A graph is worth its minutes above.
_GRAPH_COMPONENTS = 1_000_000 * 384
_GRAPH_LINKS = 64  # of CAGRA; 4 bytes each
# Largest number that half precision holds, less what rounding may add.
_MAX_HALF = 65_000.0
_BLOCK = 65_536  # vectors read at once


class GpuUnavailableError(Exception):
    """faiss has no GPU part, or there is no GPU."""


class Form(StrEnum):
    """How a copy compares: with all vectors in float32 or float16, in lists, or by a graph."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    LISTS = "lists"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True, eq=False)
class DeviceCopy:
    """An index on a GPU; one user at a time.

    Attributes:
        index: faiss's index there.
        form: How it compares.
        num_bytes: What it takes of the GPU's memory, with what its searches take.
        max_norm: Length of its longest vector; 0 where nobody asks (`Form.FLOAT16` alone).
    """

    index: Any
    form: Form
    num_bytes: int
    max_norm: float = 0.0

    def search(self, queries: Float32s, k: int, effort: int) -> tuple[Float32s, Int64s]:
        """Finds neighbours as the GPU sees them, best first; -1 where there is none.

        Args:
            queries: float32 `[num_queries, dimension]`.
            k: 1 to `MAX_NEIGHBOURS`; of a graph to `MAX_GRAPH_NEIGHBOURS`, and at most `effort`.
            effort: How many lists to look through; how many candidates of a graph to keep, a
                multiple of 32. Not read for other forms.

        Raises:
            RuntimeError: The GPU failed.
        """
        found: tuple[Float32s, Int64s] = self.index.search(queries, k, params=self._asked(effort))
        return found

    def _asked(self, effort: int) -> Any:
        if self.form is Form.LISTS:
            return faiss.SearchParametersIVF(nprobe=effort)
        if self.form is not Form.GRAPH:
            return None
        parameters = faiss.SearchParametersCagra()
        parameters.itopk_size = effort
        # One block of threads a query, however many queries there are: else the number would decide
        # between two ways of walking, and what a query finds would hang on what it came with.
        if hasattr(faiss, "search_algo_SINGLE_CTA"):
            parameters.algo = faiss.search_algo_SINGLE_CTA
        return parameters


class Usage:
    """What the process has had of its GPU for vectors since it began. Safe for threads."""

    def __init__(self) -> None:
        self._changing = threading.RLock()  # the garbage collector may close a copy anywhere
        self._now = DeviceUse()

    @property
    def now(self) -> DeviceUse:
        """The figures as they are."""
        return self._now

    def add(self, **more: float) -> None:
        """Adds to figures, by the names of `DeviceUse`."""
        with self._changing:
            now = {name: getattr(self._now, name) + by for name, by in more.items()}
            self._now = replace(self._now, **now)


USAGE = Usage()
"""That of all indexes of this process, which share the GPU."""


class GpuDevice:
    """The first GPU: copies indexes to it, and knows whether it has been lost.

    Attributes:
        num_losses: How often it has failed as a whole; copies made before are lost with it.
        usage: Counts what is had of it.
    """

    def __init__(
        self,
        *,
        scratch_bytes: int | None = None,
        use_float16: bool = False,
        graph_components: int = _GRAPH_COMPONENTS,
        usage: Usage = USAGE,
    ) -> None:
        """Uses nothing of it yet.

        Args:
            scratch_bytes: Memory for the searches of one copy; None goes by its vectors, 16 to
                256 MiB.
            use_float16: Whether exact kinds are copied in half precision: half the memory.
            graph_components: From how many components on (vectors times dimension) an HNSW index
                becomes a CAGRA graph, where faiss has that, rather than be compared with all.
            usage: Counts what is had of it.
        """
        self._scratch_bytes = scratch_bytes
        self._use_float16 = use_float16
        self._graph_components = graph_components
        self._changing = threading.Lock()
        self._is_down = False
        self.num_losses = 0
        self.usage = usage

    def __call__(self, master: Any) -> DeviceCopy:
        """Copies an index.

        Args:
            master: A faiss index of one of the kinds of `IndexKind`, not empty.

        Raises:
            RuntimeError: It does not fit, has no form there, or the GPU fails.
        """
        if isinstance(master, faiss.IndexIVF):
            return self._copied(master, Form.LISTS)
        if not isinstance(master, faiss.IndexHNSW):
            is_half = self._use_float16 or not isinstance(master, faiss.IndexFlat)
            return self._copied(master, Form.FLOAT16 if is_half else Form.FLOAT32)
        if hasattr(faiss, "GpuIndexCagra") and master.ntotal * master.d >= self._graph_components:
            return self._graph(master)
        return self._copied(faiss.downcast_index(master.storage), Form.FLOAT16)

    def note_success(self) -> None:
        """Notes that a copy was made and computes: the next failure is worth a line again."""
        with self._changing:
            self._is_down = False

    def note_failure(self, what: str, error: Exception, *, is_told: bool = True) -> None:
        """Counts that the CPU takes over, and logs it: once for a GPU that is lost as a whole.

        Args:
            what: What failed.
            error: The error.
            is_told: Whether it is counted and logged; not where it is the same as before.
        """
        with self._changing:
            was_down = self._is_down
            if _is_of_device(error) and not was_down:
                self._is_down = True
                self.num_losses += 1
        if not is_told:
            return
        self.usage.add(num_fallbacks=1)
        if not was_down:
            _LOG.warning("first pass goes on on the CPU: %s (%s)", what, error)

    def _copied(self, master: Any, form: Form) -> DeviceCopy:
        resources, scratch = self._resources(master.ntotal)
        options = faiss.GpuClonerOptions()
        options.useFloat16 = form is Form.FLOAT16
        if hasattr(options, "use_cuvs"):  # it has no form for SQfp16, and other bounds
            options.use_cuvs = False
        max_norm = 0.0
        if form is Form.FLOAT16:
            max_norm = _longest(master)
        index = faiss.index_cpu_to_gpu(resources, 0, master, options)
        component = 2 if form is Form.FLOAT16 or _is_half(master) else 4
        size = component * master.d + (8 if form is Form.LISTS else 0)
        return DeviceCopy(index, form, size * master.ntotal + scratch, max_norm)

    def _graph(self, master: Any) -> DeviceCopy:
        """Builds a graph of its own for the vectors of an HNSW index.

        faiss copies only graphs that were CAGRA's before: those of HNSW have as many links as they
        happen to have.
        """
        resources, scratch = self._resources(master.ntotal)
        config = faiss.GpuIndexCagraConfig()
        config.graph_degree = _GRAPH_LINKS
        config.intermediate_graph_degree = 2 * _GRAPH_LINKS
        if hasattr(config, "store_dataset"):
            config.store_dataset = True  # else it would read ours on the CPU later
        index = faiss.GpuIndexCagra(resources, master.d, master.metric_type, config)
        storage = faiss.downcast_index(master.storage)
        index.train(storage.reconstruct_n(0, storage.ntotal))
        size = 4 * master.d + 4 * _GRAPH_LINKS
        return DeviceCopy(index, Form.GRAPH, size * master.ntotal + scratch)

    def _resources(self, num_vectors: int) -> tuple[Any, int]:
        wanted = _SCRATCH_BYTES_PER_VECTOR * num_vectors
        scratch = self._scratch_bytes
        if scratch is None:
            scratch = min(max(wanted, _MIN_SCRATCH_BYTES), _MAX_SCRATCH_BYTES)
        resources = faiss.StandardGpuResources()
        resources.setTempMemory(scratch)
        # Page-locked memory serves copies of queries of 256 MB and more, and is 256 MB for each.
        resources.setPinnedMemory(0)
        return resources, scratch


def find_gpu(*, scratch_bytes: int | None = None, use_float16: bool = False) -> GpuDevice:
    """Looks for the first GPU, which copies indexes.

    Args:
        scratch_bytes: Memory for the searches of one copy; None goes by its vectors.
        use_float16: Whether exact kinds are stored in half precision: half the memory. Scores are
            the master's all the same.

    Raises:
        GpuUnavailableError: faiss has no GPU part, or there is no GPU; says which.
    """
    if not hasattr(faiss, "StandardGpuResources"):
        raise GpuUnavailableError(f"this faiss has no GPU part: {how_to_install('faiss-gpu')}")
    if not faiss.get_num_gpus():
        raise GpuUnavailableError("faiss sees no NVIDIA GPU")
    return GpuDevice(scratch_bytes=scratch_bytes, use_float16=use_float16)


def is_for_want_of_memory(error: Exception) -> bool:
    """Whether a failure says only that memory was short at that moment."""
    told = str(error).lower()
    return "out of memory" in told or "cudamalloc" in told or "memory allocation" in told


def _is_of_device(error: Exception) -> bool:
    """Whether a failure is one after which nothing on the GPU can be used: CUDA's own are."""
    told = str(error).lower()
    return ("cuda" in told or "cublas" in told) and not is_for_want_of_memory(error)


def _is_half(master: Any) -> bool:
    return isinstance(master, (faiss.IndexScalarQuantizer, faiss.IndexIVFScalarQuantizer))


def _longest(master: Any) -> float:
    """The length of the longest vector.

    Raises:
        RuntimeError: A component is beyond what half precision holds.
    """
    longest = 0.0
    for start in range(0, master.ntotal, _BLOCK):
        vectors = master.reconstruct_n(start, min(_BLOCK, master.ntotal - start))
        if np.abs(vectors).max() > _MAX_HALF:
            raise RuntimeError("a component is too large for half precision")
        longest = max(longest, float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max())))
    return longest
