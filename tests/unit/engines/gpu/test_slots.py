"""The pipeline with slots of the host: ONNX Runtime computes for real, only the device is none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.errors import (
    DeviceError,
    EngineError,
    EngineUnavailableError,
    OutOfDeviceMemoryError,
)
from twopass.engines.gpu.slots import SlotPipeline
from twopass.engines.model.folder import open_model
from twopass.engines.onnx.bucket_grid import BucketGrid
from twopass.engines.onnx.graph_writer import ComputeType
from twopass.engines.onnx.half_precision import graph_of
from twopass.engines.onnx.padded_inputs import PaddedInputs

from .. import bert_reference
from ..small_models import batch_of, random_rows, random_tensors, small_config, write_model

GRID = BucketGrid((8, 16, 24), 64)
CONFIG = small_config()
TENSORS = random_tensors(CONFIG)


class HostSlot:
    """Packs as a device's slot does, and computes the step's shape when it is waited for."""

    def __init__(self, host, number):
        self.host, self.number = host, number
        self.inputs = PaddedInputs(GRID, pad_id=0)

    def start(self, batch, launch):
        self.host.event("start", self.number, launch)
        self.inputs.pack(batch, launch)
        self.launch = launch

    def finish(self):
        self.host.event("finish", self.number, self.launch)
        seq_len, num_rows = self.launch.seq_len, len(self.launch.rows)
        step = GRID.step(seq_len, num_rows)
        feeds = {
            "input_ids": self.inputs.input_ids[: step * seq_len].reshape(step, seq_len),
            "lengths": self.inputs.lengths[:step],
            "query_lengths": self.inputs.query_lengths[:step],
        }
        return self.host.session.run(None, feeds)[0][:num_rows]


class Host:
    """A device that is none: what happened on it in order, and what is to go wrong."""

    def __init__(self, session):
        self.session = session
        self.reset()

    def reset(self):
        self.events, self.faults = [], []
        self.threads = set()
        self.gate = threading.Event()
        self.gate.set()

    def event(self, what, slot, launch):
        self.gate.wait()
        self.threads.add(threading.get_ident())
        self.events.append((what, slot, len(launch.rows), launch.seq_len))
        for fault in self.faults:
            fault(what, slot, launch)

    @contextmanager
    def opened(self) -> Iterator[list[HostSlot]]:
        self.events.append("open")
        yield [HostSlot(self, number) for number in range(2)]
        self.events.append("close")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = write_model(tmp_path_factory.mktemp("small"), CONFIG, TENSORS)
    graph = graph_of(open_model(str(folder)), ComputeType.F32)
    return onnxruntime.InferenceSession(graph.SerializeToString())


@pytest.fixture
def host(session):
    return Host(session)


@pytest.fixture
def pipeline(host):
    pipeline = SlotPipeline("test", host.opened, GRID.plan)
    yield pipeline
    host.gate.set()
    pipeline.close()


def submitted(pipeline, lengths):
    rows = random_rows(lengths)
    return pipeline.submit(batch_of(rows, [max(1, n // 3) for n in lengths]))


def expected(lengths):
    return [
        bert_reference.logit(TENSORS, CONFIG, row, max(1, len(row) // 3))
        for row in random_rows(lengths)
    ]


@settings(max_examples=30)
@given(batches=st.lists(st.lists(st.integers(1, 24), min_size=1, max_size=30), max_size=6))
def test_every_sequence_of_every_batch_is_computed_in_its_place(session, batches):
    pipeline = SlotPipeline("test", Host(session).opened, GRID.plan)
    futures = [submitted(pipeline, lengths) for lengths in batches]
    pipeline.close()
    for lengths, future in zip(batches, futures, strict=True):
        np.testing.assert_allclose(future.result(0), expected(lengths), rtol=1e-4, atol=1e-5)


def test_a_batch_starts_while_the_one_before_it_computes(host, pipeline):
    host.gate.clear()
    futures = [submitted(pipeline, [8] * 3) for _ in range(4)]
    host.gate.set()
    for future in futures:
        future.result()
    order = [(what, slot) for what, slot, *_ in host.events[1:]]
    assert order == [
        *[("start", 0), ("start", 1)],
        *[("finish", 0), ("start", 0), ("finish", 1), ("start", 1)],
        *[("finish", 0), ("finish", 1)],
    ]
    assert pipeline.num_slots == 2


def test_one_thread_alone_touches_the_device(host, pipeline):
    for future in [submitted(pipeline, [5, 20]) for _ in range(5)]:
        future.result()
    assert len(host.threads) == 1
    assert host.threads != {threading.get_ident()}


def out_of_memory_above(num_rows, where):
    def fault(what, slot, launch):
        if what == where and len(launch.rows) > num_rows:
            raise OutOfDeviceMemoryError("no memory")

    return fault


@pytest.mark.parametrize("where", ["start", "finish"])
def test_a_batch_that_does_not_fit_is_computed_in_halves(host, pipeline, where):
    host.faults.append(out_of_memory_above(4, where))
    lengths = [3, 8, 1, 5, 7, 8, 2]
    future = submitted(pipeline, lengths)
    np.testing.assert_allclose(future.result(), expected(lengths), rtol=1e-4, atol=1e-5)
    assert [rows for what, _, rows, _ in host.events[1:] if what == "finish"][-2:] == [3, 4]


@pytest.mark.parametrize("where", ["start", "finish"])
def test_it_is_halved_once_then_it_is_an_error_and_the_engine_goes_on(host, pipeline, where):
    host.faults.append(out_of_memory_above(2, where))
    future = submitted(pipeline, [8] * 8)
    with pytest.raises(EngineError, match="4 sequences of 8 tokens do not fit"):
        future.result()
    assert submitted(pipeline, [8, 8]).result().shape == (2,)


def test_a_single_sequence_that_does_not_fit_is_an_error_at_once(host, pipeline):
    host.faults.append(out_of_memory_above(0, "start"))
    with pytest.raises(EngineError, match="1 sequences of 24 tokens"):
        submitted(pipeline, [20]).result()


def test_others_in_flight_keep_their_results_when_one_does_not_fit(host, pipeline):
    host.faults.append(out_of_memory_above(4, "start"))
    host.gate.clear()
    futures = [submitted(pipeline, lengths) for lengths in ([3, 4], [8] * 8, [5])]
    host.gate.set()
    for future, lengths in zip(futures, ([3, 4], [8] * 8, [5]), strict=True):
        np.testing.assert_allclose(future.result(), expected(lengths), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("where", ["start", "finish"])
def test_a_failed_device_fails_all_that_waits_and_all_that_comes(host, pipeline, where):
    def fault(what, slot, launch):
        if what == where:
            raise DeviceError("illegal address")

    host.gate.clear()
    host.faults.append(fault)
    futures = [submitted(pipeline, [8] * 3) for _ in range(5)]
    host.gate.set()
    for future in futures:
        with pytest.raises(DeviceError, match="illegal address"):
            future.result()
    with pytest.raises(DeviceError, match="illegal address"):
        submitted(pipeline, [8]).result()


def test_a_mistake_of_ours_fails_all_that_waits_and_all_that_comes(host):
    def mistaken():
        raise KeyError("a shape")

    with_mistake = SlotPipeline("test", host.opened, GRID.plan, idle=mistaken)
    for _ in range(2):
        with pytest.raises(DeviceError, match="KeyError: 'a shape'"):
            submitted(with_mistake, [8]).result(60)
    with_mistake.close()


def test_a_batch_that_can_not_be_packed_harms_no_other(host, pipeline):
    def fault(what, slot, launch):
        if launch.seq_len == 24:
            raise ValueError("bad offsets")

    host.faults.append(fault)
    bad, good = submitted(pipeline, [20]), submitted(pipeline, [3])
    with pytest.raises(ValueError, match="bad offsets"):
        bad.result()
    assert good.result().shape == (1,)


def test_what_was_submitted_is_finished_before_the_device_closes(host):
    pipeline = SlotPipeline("test", host.opened, GRID.plan)
    futures = [submitted(pipeline, [9]) for _ in range(20)]
    pipeline.close()
    pipeline.close()
    assert all(future.result(0).shape == (1,) for future in futures)
    assert (host.events[0], host.events[-1]) == ("open", "close")
    with pytest.raises(RuntimeError, match="closed"):
        submitted(pipeline, [9])


def test_a_device_that_does_not_open_is_said_where_the_engine_is_made():
    @contextmanager
    def opened():
        raise EngineUnavailableError("no GPU")
        yield

    with pytest.raises(EngineUnavailableError, match="no GPU"):
        SlotPipeline("test", opened, GRID.plan)
