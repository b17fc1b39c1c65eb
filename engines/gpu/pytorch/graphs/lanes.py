"""Graphs on several streams, so that two forwards are under way on the device at once.

Graphs of one stream compute one after another, since they share their memory; a lane is a stream
with graphs and memory of its own. A second lane is opened where memory has room for it.
"""

import logging
from collections.abc import Callable, Sequence

from twopass.engines.errors import OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.graphs.capture import TorchGraphs

_logger = logging.getLogger("twopass.engines")

# A further lane takes what the one before it took. As much again is left to batches without a
# graph, and twice that to whatever else is to come.
_ROOM = 4


def open_lanes(make: Callable[[], TorchGraphs], most: int) -> Sequence[TorchGraphs]:
    """Opens lanes and captures the usual shapes in each.

    Args:
        make: Makes a lane; all share a switch.
        most: Lanes at most, at least 1.

    Returns:
        At least one; the first alone where memory has no room for more, or where it is off.
    """
    lanes: list[TorchGraphs] = []
    while len(lanes) < most:
        try:
            lane = make()
            before = lane.free_bytes()
            lane.warm_up()
        except OutOfDeviceMemoryError as error:
            if not lanes:
                raise
            _say_one(str(error))
            break
        lanes.append(lane)
        if not lane.is_on:
            break
        free = lane.free_bytes()
        if len(lanes) < most and free < _ROOM * (before - free):
            _say_one(f"{free >> 20:,} MiB are free, a lane took {(before - free) >> 20:,}")
            break
    return lanes


def _say_one(reason: str) -> None:
    _logger.info("graphs compute one at a time, memory has no room for two: %s", reason)
