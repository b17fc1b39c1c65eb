"""Graphs and the slots that replay them on a fake device, and batches whose logits are known."""

from contextlib import contextmanager

import numpy as np

from twopass.engines.gpu.pytorch.graphs.cache import GraphSwitch
from twopass.engines.gpu.pytorch.graphs.capture import InGraphs, TorchGraphs
from twopass.engines.gpu.pytorch.graphs.keys import GraphSteps
from twopass.engines.gpu.pytorch.graphs.slots import GraphSlot
from twopass.engines.onnx.bucket_grid import Launch

from ....small_models import batch_of, random_rows
from .fake_torch import FakeEncoder, FakeTorch, logit_of

MAX_TOKENS, MAX_LONGEST = 256, 24
STEPS = GraphSteps.for_attention(MAX_TOKENS, MAX_LONGEST, is_packed=True)


class SlotWithout:
    """Computes on the host, as it is, what has no graph."""

    def __init__(self):
        self.launches, self.faults = [], []

    def start(self, batch, launch):
        self.launches.append(len(launch.rows))
        for fault in self.faults:
            fault(launch)
        self.values = expected(batch, launch.rows)

    def finish(self):
        return self.values


class Opened:
    """Graphs and slots on a fake device, in a pipeline or alone."""

    def __init__(self, *, kind=GraphSlot, num_slots=2, num_lanes=1, fused=None, torch=None):
        self.torch = torch or FakeTorch()
        self.cuda = self.torch.cuda
        self.encoder = FakeEncoder(self.torch)
        self.fused = None if fused is None else FakeEncoder(self.torch, **fused)
        self.inside = InGraphs(self.encoder, self.fused)
        self.switch = GraphSwitch()
        self.lanes = [self.lane() for _ in range(num_lanes)]
        self.graphs = self.lanes[0]
        self.without = [SlotWithout() for _ in range(num_slots)]
        self.slots = [
            kind(self.torch, self.lanes[place % num_lanes], slot)
            for place, slot in enumerate(self.without)
        ]

    def beside(self):
        """Another engine on the same device."""
        return Opened(torch=self.torch)

    def lane(self):
        return TorchGraphs(
            self.torch,
            self.inside,
            STEPS,
            device="cuda",
            dtype=np.float16,
            row_shape=(),
            switch=self.switch,
        )

    @contextmanager
    def open(self):
        yield self.slots
        self.cuda.synchronize()
        for lane in self.lanes:
            lane.close()

    def capture_missed(self):
        return any(lane.cache.capture_missed() for lane in self.lanes)

    @property
    def num_without(self):
        return sum(len(slot.launches) for slot in self.without)


def expected(batch, rows):
    sequences = [batch.token_ids[batch.offsets[r] : batch.offsets[r + 1]] for r in rows]
    pairs = zip(sequences, batch.query_lengths[rows], strict=True)
    return np.array([logit_of(*pair) for pair in pairs], np.float32)


def batch_with(lengths, seed=0):
    return batch_of(random_rows(lengths, seed), [max(1, n // 3) for n in lengths])


def launch_of(batch):
    return Launch(np.arange(len(batch), dtype=np.int32), int(batch.lengths.max()))


def computed(slot, lengths):
    batch = batch_with(lengths)
    launch = launch_of(batch)
    slot.start(batch, launch)
    np.testing.assert_array_equal(slot.finish(), expected(batch, launch.rows))


def capture(opened, *lengths):
    """Captures what batches of these lengths take, alone."""
    for lane in opened.lanes:
        lane.cache.warm_up([STEPS.key(sum(n), len(n), max(n)) for n in lengths])
        assert lane.is_on


def plan(batch):
    """Launches of at most twelve sequences, in another order than the batch's."""
    rows = np.argsort(batch.lengths, kind="stable").astype(np.int32)
    parts = np.array_split(rows, -(-len(rows) // 12))
    return [Launch(part, int(batch.lengths[part].max())) for part in parts]
