"""As much of PyTorch with CUDA as graphs need, in NumPy: a device that is as late as it may be.

What is queued on a stream runs when somebody waits for it and not before, or at any earlier moment
that `Cuda.chance` draws, so that a buffer that is used again too early gives wrong numbers.
Whatever the moment, two steps that touch the same memory, one of them writing, have to be ordered
by streams, events or the host: else the later one raises `RaceError`. What no graph may hold,
raises while one is captured.
"""

from contextlib import contextmanager, nullcontext
from threading import get_ident

import numpy as np


class AcceleratorError(RuntimeError):
    """Of the device; named as PyTorch's."""


class OutOfMemoryError(RuntimeError):
    """No memory is left; named as PyTorch's."""


class RaceError(AssertionError):
    """Two steps may touch the same memory in either order."""


class Step:
    """Work on a stream, and the memory that it touches.

    Attributes:
        clock: How many steps of each stream are done before it, its own among them.
    """

    def __init__(self, name, do, reads=(), writes=()):
        self.name, self.do, self.reads, self.writes = name, do, reads, writes
        self.clock = {}

    def conflicts_with(self, other):
        pairs = [(a, b) for a in self.writes for b in (*other.reads, *other.writes)]
        pairs += [(a, b) for a in self.reads for b in other.writes]
        return any(np.shares_memory(*pair) for pair in pairs)


def merge(clock, other):
    for stream, count in other.items():
        clock[stream] = max(clock.get(stream, 0), count)


class Tensor:
    """An array, and where it lies."""

    def __init__(self, cuda, array, place):
        self.cuda, self.array, self.place = cuda, array, place

    def __getitem__(self, part):
        return Tensor(self.cuda, self.array[part], self.place)

    def __len__(self):
        return len(self.array)

    @property
    def shape(self):
        return self.array.shape

    def numpy(self):
        assert self.place != "cuda", "the host can not read the device's memory"
        return self.array

    def cpu(self):
        self.cuda.forbid("waiting")
        self.cuda.current.synchronize()
        return Tensor(self.cuda, self.array.copy(), "host")

    def to(self, device):
        assert self.place == "host"
        self.cuda.forbid("a copy of pageable memory")
        return Tensor(self.cuda, self.array.copy(), device)

    def copy_(self, source, *, non_blocking=False):
        assert self.array.shape == source.array.shape
        if {self.place, source.place} != {"cuda"}:
            assert non_blocking, "it would make the host wait"
            assert "host" not in {self.place, source.place}, (
                "only page-locked memory is copied late"
            )
        as_queued = source.array.copy() if source.place == "page-locked" else None

        def copy():
            if as_queued is not None:
                assert np.array_equal(source.array, as_queued), "the host wrote what was to be read"
            np.copyto(self.array, source.array)

        name = f"{source.place} to {self.place}"
        self.cuda.queue(Step(name, copy, [source.array], [self.array]))


class Stream:
    """Steps in order; none is done before it is waited for, or drawn."""

    def __init__(self, cuda):
        self.cuda, self.waiting, self.num_done = cuda, [], 0
        self.clock, self.names, self.pool = {}, [], None
        cuda.streams.append(self)

    def append(self, step):
        merge(self.clock, self.cuda.host_clock)
        self.clock[self] = self.end + 1
        step.clock = dict(self.clock)
        self.names.append(step.name)
        self.cuda.check(step, self)
        self.waiting.append(step)

    def wait_event(self, event):
        self.cuda.forbid("waiting for another stream")
        self.cuda.num_stream_waits += 1
        stream, place = event.stream, event.place
        merge(self.clock, event.clock)
        self.append(Step("wait", lambda: stream.run(place)))

    def run(self, until):
        while self.num_done < until:
            self.num_done += 1
            self.waiting.pop(0).do()

    @property
    def end(self):
        return self.num_done + len(self.waiting)

    def synchronize(self):
        self.cuda.forbid("waiting")
        self.cuda.num_host_waits += 1
        self.run(self.end)
        merge(self.cuda.host_clock, self.clock)


class Event:
    """A place in a stream."""

    def __init__(self, cuda):
        self.cuda, self.stream, self.place, self.clock = cuda, None, 0, {}

    def record(self, stream):
        self.stream, self.place, self.clock = stream, stream.end, dict(stream.clock)

    def synchronize(self):
        self.cuda.forbid("waiting")
        self.cuda.num_host_waits += 1
        self.stream.run(self.place)
        merge(self.cuda.host_clock, self.clock)


class CUDAGraph:
    """What was queued while it was captured."""

    def __init__(self, cuda):
        self.cuda, self.work, self.stream, self.pool = cuda, None, None, None

    def replay(self):
        assert self.work is not None, "it was given back, or never captured"
        assert self.cuda.current is self.stream, "graphs share memory: one stream for all"
        self.cuda.replays += 1
        for fault in self.cuda.replay_faults:
            fault()
        for step in self.work:
            writes = [*step.writes, self.pool]
            self.cuda.queue(Step(step.name, step.do, step.reads, writes))

    def reset(self):
        assert not self.stream.waiting, "it may be under way"
        self.work = None
        self.cuda.free += self.cuda.graph_bytes
        self.cuda.graphs.remove(self)


class Cuda:
    """`torch.cuda`.

    Attributes:
        free: Free bytes; each graph takes `graph_bytes`.
        graphs: Captured and not given back.
        capture_faults: Called when a capture begins.
        during_captures: Called while a graph is captured.
        replay_faults: Called when a graph is replayed.
        skew: Added to what graphs compute, to make them wrong.
        chance: A `random.Random` that draws what is done early, or None.
        num_host_waits: Times that the host waited for anything.
        num_stream_waits: Times that a stream was told to wait for another.
    """

    def __init__(self):
        self.streams, self.steps, self.host_clock, self.chance = [], [], {}, None
        self.num_host_waits = self.num_stream_waits = 0
        self.free, self.graph_bytes = 1 << 30, 1 << 20
        self.graphs, self.capture_faults, self.replay_faults = [], [], []
        self.replays = 0
        self.skew = 0.0
        self.capturing = self.capturing_by = None
        self.during_captures = []
        self.default = self.current = Stream(self)

    def forbid(self, what):
        if self.capturing is not None:
            raise AcceleratorError(f"{what} while a graph is captured")

    def queue(self, step):
        assert self.capturing is None or self.capturing_by == get_ident(), (
            "another thread queues work while a graph is captured"
        )
        if self.capturing is not None:
            self.capturing.work.append(step)
            return
        self.current.append(step)
        while self.chance is not None and self.chance.random() < 0.6:
            stream = self.chance.choice(self.streams)
            stream.run(min(stream.num_done + 1, stream.end))

    def check(self, step, stream):
        """Holds a step to be ordered after those under way that touch its memory."""
        self.steps = [  # what the host knows to be done comes before all that it queues
            (other, place, number)
            for other, place, number in self.steps
            if self.host_clock.get(place, 0) < number
        ]
        for other, place, number in self.steps:
            if step.clock.get(place, 0) < number and step.conflicts_with(other):
                raise RaceError(f"{other.name}, and {step.name}")
        self.steps.append((step, stream, step.clock[stream]))

    def Stream(self, device=None):
        return Stream(self)

    def Event(self):
        return Event(self)

    def CUDAGraph(self):
        return CUDAGraph(self)

    @contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph, *, pool, stream, capture_error_mode):
        assert stream.pool is None or stream.pool is pool, "graphs of a stream share a pool"
        stream.pool = graph.pool = pool
        assert capture_error_mode == "thread_local", "other threads use the device meanwhile"
        stream.synchronize()
        for fault in self.capture_faults:
            fault()
        with self.stream(stream):
            graph.work, graph.stream = [], stream
            self.capturing, self.capturing_by = graph, get_ident()
            for meanwhile in self.during_captures:
                meanwhile()
            try:
                yield
            finally:
                self.capturing = None
        self.free -= self.graph_bytes
        self.graphs.append(graph)

    def graph_pool_handle(self):
        return np.zeros(1)

    def mem_get_info(self, device):
        return self.free, 1 << 40

    def empty_cache(self):
        self.forbid("freeing memory")

    def synchronize(self):
        self.forbid("waiting")
        self.num_host_waits += 1
        for stream in self.streams:
            stream.run(stream.end)
            merge(self.host_clock, stream.clock)

    def device(self, device):
        return nullcontext()


class FakeTorch:
    """`torch`."""

    int32, float32, float16 = np.int32, np.float32, np.float16
    AcceleratorError, OutOfMemoryError = AcceleratorError, OutOfMemoryError
    finfo = staticmethod(np.finfo)

    def __init__(self):
        self.cuda = Cuda()

    def inference_mode(self):
        return nullcontext()

    def from_numpy(self, array):
        return Tensor(self.cuda, array, "host")

    def empty(self, shape, *, dtype, pin_memory):
        assert pin_memory
        self.cuda.forbid("page-locking memory")
        return Tensor(self.cuda, np.full(shape, 77, dtype), "page-locked")

    def zeros(self, shape, *, dtype, device):
        return Tensor(self.cuda, np.zeros(shape, dtype), device)


class FakeEncoder:
    """A model whose logit depends on every token, its place, and the query's length."""

    vocabulary_size = 1_000

    def __init__(self, torch, *, off_by=0.0):
        self.cuda, self.off_by = torch.cuda, off_by
        self.launches, self.faults = [], []

    def forward(self, token_ids, offsets, query_lengths, max_len, *, has_empty=False):
        results = np.zeros(len(query_lengths), np.float32)
        skew = self.cuda.skew if self.cuda.capturing else 0.0
        for fault in self.faults:
            fault()
        shape = len(token_ids), len(query_lengths), max_len
        self.launches.append(shape)

        def compute():
            starts, lengths = offsets.array[:-1], np.diff(offsets.array)
            assert offsets.array[0] == 0
            assert offsets.array[-1] == len(token_ids)
            assert lengths.max() <= max_len
            assert lengths.min() >= (0 if has_empty else 1)
            for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
                ids = token_ids.array[start : start + length]
                results[row] = logit_of(ids, query_lengths.array[row]) + skew + self.off_by

        reads = [token_ids.array, offsets.array, query_lengths.array]
        self.cuda.queue(Step("forward", compute, reads, [results]))
        return Tensor(self.cuda, results, "cuda")


def logit_of(ids, query_length):
    """The logit of one sequence, far from 0 and different for sequences that differ."""
    weights = np.where(np.arange(len(ids)) < query_length, 3, 1) * np.arange(1, len(ids) + 1)
    return np.float32((np.asarray(ids, np.int64) * weights).sum() % 10_007)
