"""How many forwards may be under way at once: as many as there are streams with graphs."""

import logging

import pytest

from twopass.engines.errors import OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.graphs.lanes import open_lanes

from .fake_torch import OutOfMemoryError
from .opened_graphs import Opened


@pytest.fixture
def opened():
    return Opened()


def test_each_lane_has_graphs_and_a_stream_of_its_own(opened):
    lanes = open_lanes(opened.lane, 2)
    assert [len(lane.cache) > 5 for lane in lanes] == [True, True]
    assert lanes[0].stream is not lanes[1].stream
    assert lanes[0].inputs is not lanes[1].inputs


def test_one_lane_is_opened_where_memory_has_no_room_for_two(opened, caplog):
    caplog.set_level(logging.INFO)
    opened.cuda.free, opened.cuda.graph_bytes = 100 << 20, 24 << 20  # the first takes a quarter
    lanes = open_lanes(opened.lane, 2)
    assert len(lanes) == 1
    assert lanes[0].is_on
    assert "no room for two" in caplog.text


def test_memory_that_the_second_lane_lacks_leaves_the_first(opened):
    made = []

    def make():
        if made:
            raise OutOfDeviceMemoryError("no memory")
        made.append(opened.lane())
        return made[0]

    assert open_lanes(make, 2) == made
    assert made[0].is_on


def test_a_lane_that_computes_something_else_leaves_none_on(opened):
    opened.cuda.skew = 1_000.0
    lanes = open_lanes(opened.lane, 2)
    assert [lane.is_on for lane in lanes] == [False]
    assert opened.cuda.graphs == []


def test_memory_that_the_first_lane_lacks_is_an_error(opened):
    def fault():
        raise OutOfMemoryError("CUDA out of memory")

    opened.cuda.empty_cache = fault
    with pytest.raises((OutOfDeviceMemoryError, OutOfMemoryError)):
        open_lanes(opened.lane, 2)
