"""Slots that replay graphs, over a device that is as late as it may be (`fake_torch.py`)."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.graphs.capture import ensure_alike, made_up
from twopass.engines.gpu.pytorch.graphs.keys import GraphKey
from twopass.engines.gpu.slots import SlotPipeline
from twopass.engines.onnx.bucket_grid import Launch

from .fake_torch import AcceleratorError, OutOfMemoryError
from .opened_graphs import (
    MAX_LONGEST,
    MAX_TOKENS,
    STEPS,
    Opened,
    batch_with,
    capture,
    computed,
    expected,
    launch_of,
    plan,
)


@pytest.fixture
def opened():
    return Opened()


def test_a_capture_while_launches_are_under_way_touches_none(opened):
    batch = batch_with([24, 5, 9])
    capture(opened, [24, 5, 9])
    opened.slots[0].start(batch, launch_of(batch))
    capture(opened, [10] * 20)
    np.testing.assert_array_equal(opened.slots[0].finish(), expected(batch, np.arange(3)))
    assert opened.num_without == 0


def test_another_engine_launches_before_a_capture_or_after_it(opened):
    other = opened.beside()
    capture(other, [7, 7])
    began, done = threading.Event(), threading.Event()

    def launch():
        began.set()
        computed(other.slots[0], [6, 8])
        done.set()

    def meanwhile():
        threading.Thread(target=launch, daemon=True).start()
        began.wait(60)
        assert not done.wait(0.05)

    opened.cuda.during_captures.append(meanwhile)
    opened.graphs.cache.warm_up([STEPS.key(10, 2, 7)])
    assert done.wait(60)
    assert opened.graphs.is_on
    assert other.num_without == 0


def test_a_shape_without_a_graph_runs_as_it_did_and_is_captured_when_nothing_waits(opened):
    slot = opened.slots[0]
    for _ in range(2):
        computed(slot, [7, 7])
    assert opened.without[0].launches == [2, 2]
    assert not opened.graphs.is_on
    assert opened.graphs.cache.capture_missed()
    computed(slot, [6, 8])
    assert opened.without[0].launches == [2, 2]
    assert opened.graphs.is_on


def test_a_pipeline_captures_what_it_missed_once_it_is_idle(opened):
    captured = threading.Event()

    def idle():
        did = opened.graphs.cache.capture_missed()
        if did:
            captured.set()
        return did

    pipeline = SlotPipeline("test", opened.open, plan, idle=idle)
    for _ in range(2):
        pipeline.submit(batch_with([7, 7])).result()
    assert captured.wait(60)
    pipeline.submit(batch_with([7, 7])).result()
    pipeline.close()
    assert opened.num_without == 2


def test_a_launch_beyond_the_steps_runs_as_it_did(opened):
    opened.graphs.warm_up()
    computed(opened.slots[0], [24] * 11)  # 264 tokens
    assert opened.without[0].launches == [11]


def test_wrong_results_turn_graphs_off_before_any_is_used(opened, caplog):
    opened.cuda.skew = 1_000.0
    opened.graphs.warm_up()
    assert not opened.graphs.is_on
    assert opened.cuda.graphs == []
    computed(opened.slots[0], [5, 9])
    assert opened.num_without == 1
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "results are" in warnings[0]


def test_an_error_of_a_capture_turns_graphs_off_and_the_engine_goes_on(opened, caplog):
    def fault():
        raise AcceleratorError("operation not permitted when stream is capturing")

    opened.cuda.capture_faults.append(fault)
    opened.graphs.warm_up()
    assert not opened.graphs.is_on
    computed(opened.slots[0], [5, 9])
    assert "not permitted when stream is capturing" in caplog.text
    assert opened.cuda.current is opened.cuda.default


def test_memory_that_a_capture_lacks_leaves_the_graphs_that_there_are(opened):
    capture(opened, [24, 5, 9])

    def fault():
        raise OutOfMemoryError("CUDA out of memory")

    opened.cuda.capture_faults.append(fault)
    opened.graphs.warm_up()
    capture(opened, [24, 5, 9])
    computed(opened.slots[0], [24, 5, 9])
    assert opened.num_without == 0


def test_memory_that_a_batch_lacks_is_taken_from_the_graphs(opened):
    opened.graphs.warm_up()

    def fault(launch):
        if opened.cuda.graphs:
            raise OutOfDeviceMemoryError("no memory")

    opened.without[0].faults.append(fault)
    batch = batch_with([24] * 11)
    with pytest.raises(OutOfDeviceMemoryError):
        opened.slots[0].start(batch, launch_of(batch))
    computed(opened.slots[0], [24] * 11)
    assert not opened.graphs.is_on


def test_a_device_that_fails_is_not_taken_for_a_graph_that_does(opened):
    capture(opened, [5, 9])

    def fault():
        raise AcceleratorError("illegal address")

    opened.cuda.replay_faults.append(fault)
    batch = batch_with([5, 9])
    with pytest.raises(DeviceError, match="illegal address"):
        opened.slots[0].start(batch, launch_of(batch))


def test_a_replay_that_is_refused_runs_as_it_did(opened, caplog):
    capture(opened, [5, 9])

    def fault():
        raise RuntimeError("graph was destroyed")

    opened.cuda.replay_faults.append(fault)
    computed(opened.slots[0], [5, 9])
    assert opened.num_without == 1
    assert not opened.graphs.is_on
    assert "graph was destroyed" in caplog.text


def test_a_batch_that_can_not_be_packed_harms_neither_graphs_nor_others(opened):
    capture(opened, [5, 9])
    batch = batch_with([5, 9])
    with pytest.raises((ValueError, IndexError)):
        opened.slots[0].start(batch, Launch(np.array([0, 7], np.int32), 9))
    computed(opened.slots[0], [5, 9])
    assert opened.graphs.is_on


def test_graphs_take_an_eighth_of_the_memory_that_is_free():
    opened = Opened()
    opened.cuda.graph_bytes = (1 << 30) // 32
    opened.graphs.warm_up()
    assert len(opened.cuda.graphs) == 4


@given(
    tokens=st.integers(1, MAX_TOKENS),
    count=st.integers(1, 60),
    longest=st.integers(1, MAX_LONGEST),
)
def test_a_made_up_batch_is_of_its_key_and_leaves_room_for_padding(tokens, count, longest):
    key = STEPS.key(min(tokens, count * longest), min(count, tokens), longest)
    batch = made_up(key, 1_000)
    assert 1 <= batch.lengths.min() <= batch.lengths.max() <= key.longest
    padding = key.tokens - batch.num_tokens
    assert 0 <= padding <= (key.sequences - len(batch)) * key.longest
    assert batch.token_ids.max() < 1_000


def test_made_up_lengths_are_unequal_where_they_can_be():
    batch = made_up(GraphKey(256, 16, 64), 1_000)
    assert len(set(batch.lengths.tolist())) > 1
    assert batch.num_tokens == 256 - 32


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([1.0, np.nan], [1.0, 2.0]),
        ([1.0, 2.1], [1.0, 2.0]),
        ([[0.6, 0.8], [0.8, 0.6]], [[0.6, 0.8], [0.6, 0.8]]),
        ([0.1], [0.0]),
    ],
    ids=["not a number", "a logit", "an embedding", "a small logit"],
)
def test_results_that_differ_are_told_apart(found, expected):
    found, expected = np.array(found, np.float32), np.array(expected, np.float32)
    with pytest.raises(ValueError, match=r"away from those without, 0\.03 is allowed"):
        ensure_alike(found, expected, 0.03)
    ensure_alike(expected + np.float32(0.01), expected, 0.03)


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]


def test_graphs_compute_with_fused_kernels_and_are_compared_with_launches_without():
    opened = Opened(fused={})
    opened.graphs.warm_up()
    capture(opened, [24, 5, 9])
    captured = len(opened.cuda.graphs)
    assert len(opened.fused.launches) == 1 + 2 * captured  # compiled; run once and captured
    assert len(opened.encoder.launches) == captured
    computed(opened.slots[0], [24, 5, 9])
    assert opened.num_without == 0


def test_fused_kernels_that_do_not_compile_are_left_out_with_one_line(caplog):
    opened = Opened(fused={})

    def fault():
        raise RuntimeError("Failed to find C compiler")

    opened.fused.faults.append(fault)
    opened.graphs.warm_up()
    capture(opened, [24, 5, 9])
    computed(opened.slots[0], [24, 5, 9])
    assert opened.num_without == 0
    assert len(warnings_of(caplog)) == 1
    assert "go on without: RuntimeError: Failed to find C compiler" in caplog.text


def test_fused_kernels_that_compute_something_else_are_left_out_with_one_line(caplog):
    opened = Opened(fused={"off_by": 1_000.0})
    opened.graphs.warm_up()
    capture(opened, [24, 5, 9])
    computed(opened.slots[0], [24, 5, 9])
    assert opened.num_without == 0
    (warning,) = warnings_of(caplog)
    assert "fused kernels are off for this engine" in warning
    assert "results are" in warning


def test_memory_that_fused_kernels_lack_says_nothing_about_them(caplog):
    opened = Opened(fused={})
    capture(opened, [24, 5, 9])

    def fault():
        raise OutOfMemoryError("CUDA out of memory")

    opened.cuda.capture_faults.append(fault)
    opened.graphs.warm_up()
    assert opened.inside.fused is opened.fused
    assert "fused" not in caplog.text
