"""Slots that replay graphs: every legal order of what they queue, and what they wait for."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.graphs.slots import GraphSlot, OverlappedSlot
from twopass.engines.gpu.slots import SlotPipeline

from .fake_torch import AcceleratorError, RaceError
from .opened_graphs import Opened, batch_with, capture, computed, expected, launch_of, plan

KINDS = [GraphSlot, OverlappedSlot]
# Slots and lanes: as engines have them, more slots than lanes, and one of each.
SHAPES = [(2, 1), (2, 2), (3, 2), (4, 1), (1, 1)]


def names(value):
    return value.__name__ if isinstance(value, type) else "{} slots, {} lanes".format(*value)


@pytest.fixture(params=KINDS, ids=names)
def kind(request):
    return request.param


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(1, 24), min_size=1, max_size=30), max_size=8),
    kind=st.sampled_from(KINDS),
    shape=st.sampled_from(SHAPES),
    seed=st.none() | st.integers(0, 1 << 30),
)
def test_every_sequence_of_every_batch_is_computed_in_its_place(batches, kind, shape, seed):
    opened = Opened(kind=kind, num_slots=shape[0], num_lanes=shape[1])
    for lane in opened.lanes:
        lane.warm_up()
    opened.cuda.chance = None if seed is None else random.Random(seed)
    pipeline = SlotPipeline("test", opened.open, plan, idle=opened.capture_missed)
    ready = [batch_with(lengths, seed) for seed, lengths in enumerate(batches)]
    futures = [pipeline.submit(batch) for batch in ready]
    pipeline.close()
    for batch, future in zip(ready, futures, strict=True):
        np.testing.assert_array_equal(future.result(0), expected(batch, np.arange(len(batch))))
    assert opened.switch.is_on
    assert opened.cuda.graphs == []


@settings(max_examples=60, deadline=None)
@given(
    orders=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30),
    kind=st.sampled_from(KINDS),
    shape=st.sampled_from(SHAPES),
    seed=st.none() | st.integers(0, 1 << 30),
)
def test_slots_may_be_started_and_finished_in_any_order(orders, kind, shape, seed):
    opened = Opened(kind=kind, num_slots=shape[0], num_lanes=shape[1])
    capture(opened, [24, 5, 9], [7, 7])
    opened.cuda.chance = None if seed is None else random.Random(seed)
    flying = {}
    for number, (place, is_large) in enumerate(orders):
        slot = opened.slots[place % len(opened.slots)]
        if slot in flying:
            np.testing.assert_array_equal(slot.finish(), flying.pop(slot))
        else:
            batch = batch_with([24, 5, 9] if is_large else [6, 8], number)
            slot.start(batch, launch_of(batch))
            flying[slot] = expected(batch, np.arange(len(batch)))
    for slot, values in flying.items():
        np.testing.assert_array_equal(slot.finish(), values)
    assert opened.num_without == 0


def test_an_order_that_nothing_keeps_is_found(kind):
    opened = Opened(kind=kind)
    capture(opened, [24, 5, 9])
    first, second = batch_with([24, 5, 9]), batch_with([24, 6, 8])
    slot = opened.slots[0]
    slot.start(first, launch_of(first))
    with (
        opened.cuda.stream(opened.cuda.Stream()),
        pytest.raises(RaceError),
    ):  # of another slot, unordered
        opened.graphs.inputs[:3].copy_(opened.graphs.inputs[3:6])
    slot.start(second, launch_of(second))  # the first is still under way
    with pytest.raises(AssertionError, match="the host wrote what was to be read"):
        slot.finish()


def test_a_launch_is_one_copy_one_graph_and_one_copy_back():
    opened = Opened()
    capture(opened, [20, 3, 17])
    names = opened.graphs.stream.names
    names.clear()
    computed(opened.slots[0], [20, 3, 17])
    assert names == ["page-locked to cuda", "forward", "cuda to cuda", "cuda to page-locked"]
    assert opened.num_without == 0


def test_the_stream_of_graphs_copies_nothing_from_or_to_the_host_where_copies_overlap():
    opened = Opened(kind=OverlappedSlot)
    capture(opened, [20, 3, 17])
    names = opened.graphs.stream.names
    names.clear()
    computed(opened.slots[0], [20, 3, 17])
    assert names == ["wait", "cuda to cuda", "forward", "cuda to cuda", "cuda to cuda"]


def test_the_host_waits_once_a_launch_and_for_no_other(kind):
    opened = Opened(kind=kind)
    capture(opened, [24, 5, 9])
    first, second = batch_with([24, 5, 9]), batch_with([24, 6, 8])
    before = opened.cuda.num_host_waits
    for slot, batch in zip(opened.slots, (first, second), strict=True):
        slot.start(batch, launch_of(batch))
    assert opened.cuda.num_host_waits == before
    opened.slots[0].finish()
    assert opened.cuda.num_host_waits == before + 1
    if kind is OverlappedSlot:  # the second is not done because the first is
        copies = opened.slots[1]._copies
        assert copies.waiting
    opened.slots[1].finish()
    assert opened.cuda.num_host_waits == before + 2


@pytest.mark.parametrize(("kind", "waits"), [(GraphSlot, 0), (OverlappedSlot, 2)], ids=["", ""])
def test_streams_wait_for_each_other_twice_a_launch_where_copies_overlap(kind, waits):
    opened = Opened(kind=kind)
    capture(opened, [24, 5, 9])
    computed(opened.slots[0], [24, 5, 9])
    assert opened.cuda.num_stream_waits == waits


def test_graphs_of_two_lanes_wait_for_none_of_each_other():
    opened = Opened(kind=OverlappedSlot, num_lanes=2)
    capture(opened, [24, 5, 9])
    first, second = batch_with([24, 5, 9]), batch_with([24, 6, 8])
    for slot, batch in zip(opened.slots, (first, second), strict=True):
        slot.start(batch, launch_of(batch))
    np.testing.assert_array_equal(opened.slots[1].finish(), expected(second, np.arange(3)))
    assert opened.lanes[0].stream.waiting  # nothing of the first was done for the second
    np.testing.assert_array_equal(opened.slots[0].finish(), expected(first, np.arange(3)))


def test_slots_under_way_keep_their_inputs_and_results_apart(kind):
    opened = Opened(kind=kind)
    capture(opened, [24, 5, 9])
    first, second = batch_with([24, 5, 9]), batch_with([24, 6, 8])
    opened.slots[0].start(first, launch_of(first))
    opened.slots[1].start(second, launch_of(second))  # before anything of the first was copied
    results = [slot.finish() for slot in opened.slots]
    np.testing.assert_array_equal(results[0], expected(first, np.arange(3)))
    np.testing.assert_array_equal(results[1], expected(second, np.arange(3)))


def test_memory_that_a_batch_lacks_is_taken_from_the_graphs_of_all_lanes(kind):
    opened = Opened(kind=kind, num_lanes=2)
    for lane in opened.lanes:
        lane.warm_up()

    def fault(launch):
        if opened.cuda.graphs:
            raise OutOfDeviceMemoryError("no memory")

    opened.without[0].faults.append(fault)
    batch = batch_with([24] * 11)
    with pytest.raises(OutOfDeviceMemoryError):
        opened.slots[0].start(batch, launch_of(batch))
    computed(opened.slots[0], [24] * 11)
    assert not opened.switch.is_on


def test_a_device_that_fails_is_not_taken_for_a_graph_that_does(kind):
    opened = Opened(kind=kind)
    capture(opened, [5, 9])

    def fault():
        raise AcceleratorError("illegal address")

    opened.cuda.replay_faults.append(fault)
    batch = batch_with([5, 9])
    with pytest.raises(DeviceError, match="illegal address"):
        opened.slots[0].start(batch, launch_of(batch))


def test_a_replay_that_is_refused_runs_as_it_did(kind, caplog):
    opened = Opened(kind=kind, num_lanes=2)
    capture(opened, [5, 9])

    def fault():
        raise RuntimeError("graph was destroyed")

    opened.cuda.replay_faults.append(fault)
    computed(opened.slots[0], [5, 9])
    computed(opened.slots[1], [5, 9])
    assert opened.num_without == 2
    assert not opened.switch.is_on
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "graph was destroyed" in warnings[0]
