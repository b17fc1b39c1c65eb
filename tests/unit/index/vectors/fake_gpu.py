"""faiss's GPU part on a CPU: what the names of faiss-gpu do, as strictly as a GPU would have it."""

import threading
import time
from types import SimpleNamespace

import faiss
import numpy as np

MAX_K = 2_048


class FakeGpu:
    """A GPU in faiss's place. Scores differ a little with the number of queries of a call.

    Attributes:
        calls: Of each search, how many queries and how many neighbours it was asked for.
        call_seconds: How long a search takes, however many queries it has.
        failure: What searches raise instead; None to search.
        refusal: What copying raises instead; None to copy.
        memory: Bytes that copies may take together.
        copies: Those that were made, oldest first.
        is_wrong: Whether searches find other vectors than the nearest.
        gate: Searches wait while it is closed.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.call_seconds = 0.0
        self.failure: Exception | None = None
        self.refusal: Exception | None = None
        self.memory = 1 << 40
        self.copies: list[FakeIndex] = []
        self.is_wrong = False
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def install(self, monkeypatch, *, with_cagra=False) -> "FakeGpu":
        """Gives faiss the names of its GPU part, until the test ends."""
        names = {
            "StandardGpuResources": FakeResources,
            "GpuClonerOptions": lambda: SimpleNamespace(useFloat16=False, use_cuvs=True),
            "index_cpu_to_gpu": self._copied,
            "get_num_gpus": lambda: 1,
        }
        if with_cagra:
            names |= {
                "GpuIndexCagraConfig": lambda: SimpleNamespace(store_dataset=False),
                "GpuIndexCagra": lambda *given: FakeGraph(self, *given),
                "SearchParametersCagra": FakeCagraParameters,
                "search_algo_SINGLE_CTA": 0,
            }
        for name, value in names.items():
            monkeypatch.setattr(faiss, name, value, raising=False)
        return self

    @property
    def num_calls(self) -> int:
        return len(self.calls)

    def _copied(self, resources, device, master, options):
        assert device == 0
        assert options.use_cuvs is False, "cuVS has no form for some kinds"
        is_half = options.useFloat16 or isinstance(master, faiss.IndexScalarQuantizer)
        if isinstance(master, faiss.IndexHNSW):
            raise RuntimeError("This index type is not implemented on GPU.")
        return self.keep(FakeIndex(self, resources, faiss.clone_index(master), is_half=is_half))

    def keep(self, copy: "FakeIndex") -> "FakeIndex":
        if self.refusal is not None:
            raise self.refusal
        taken = sum(len(faiss.serialize_index(one.index)) for one in [*self.copies, copy])
        if taken > self.memory:
            raise RuntimeError("Error: 'err == cudaSuccess' failed: cudaMalloc error out of memory")
        self.copies.append(copy)
        return copy


class FakeResources:
    """What one user at a time may use."""

    def __init__(self) -> None:
        self.using = threading.Lock()
        self.scratch = self.pinned = None

    def setTempMemory(self, size):
        self.scratch = size

    def setPinnedMemory(self, size):
        self.pinned = size


class FakeIndex:
    """A copy."""

    def __init__(self, gpu, resources, index, *, is_half=False) -> None:
        assert resources.pinned == 0, "256 MB of page-locked memory for each copy"
        self.gpu = gpu
        self.resources = resources
        self.index = index
        self.is_half = is_half

    def search(self, queries, k, params=None):
        assert 1 <= k <= MAX_K
        assert queries.dtype == np.float32
        assert queries.flags.c_contiguous
        assert self.resources.using.acquire(blocking=False), "two users of one copy"
        try:
            return self._search(queries, k, params)
        finally:
            self.resources.using.release()

    def _search(self, queries, k, params):
        gpu = self.gpu
        gpu.calls.append((len(queries), k))
        gpu.entered.release()
        assert gpu.gate.wait(30)
        time.sleep(gpu.call_seconds)
        if gpu.failure is not None:
            raise gpu.failure
        scores, positions = self._found(queries, k, params)
        if gpu.is_wrong:
            positions = positions[:, ::-1] // 2
        # Sums are added up in another order in a call of another size.
        noise = np.random.default_rng(len(queries)).uniform(-1e-6, 1e-6, scores.shape)
        scores = scores + (noise * np.abs(scores)).astype(np.float32)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, 1), np.take_along_axis(positions, order, 1)

    def _found(self, queries, k, params):
        index = self.index
        if isinstance(index, faiss.IndexIVF):
            assert isinstance(params, faiss.SearchParametersIVF)
            assert params.sel is None
            assert 1 <= params.nprobe <= MAX_K
            return index.search(queries, k, params=params)
        assert params is None
        if not self.is_half:
            return index.search(queries, k)
        halves = faiss.IndexFlat(index.d, index.metric_type)
        vectors = index.reconstruct_n(0, index.ntotal)
        halves.add(vectors.astype(np.float16).astype(np.float32))
        return halves.search(queries.astype(np.float16).astype(np.float32), k)


class FakeCagraParameters:
    """faiss's search parameters of CAGRA."""

    def __init__(self) -> None:
        self.itopk_size = 64
        self.algo = None


class FakeGraph(FakeIndex):
    """CAGRA, which walks a graph of its own."""

    def __init__(self, gpu, resources, dimension, metric, config) -> None:
        super().__init__(gpu, resources, faiss.IndexHNSWFlat(dimension, 32, metric))
        assert config.store_dataset, "it would read the CPU's vectors later"

    def train(self, vectors):
        self.index.add(vectors)
        self.gpu.keep(self)

    def _found(self, queries, k, params):
        assert isinstance(params, FakeCagraParameters), "it would read another's memory"
        assert k <= params.itopk_size <= 512
        assert params.itopk_size % 32 == 0
        assert params.algo == 0, "what is found would hang on the number of queries"
        asked = faiss.SearchParametersHNSW(efSearch=params.itopk_size)
        return self.index.search(queries, k, params=asked)
