"""Whose processor time it is: the way's through the server, the second pass', the engine's."""

from dataclasses import dataclass

from twopass.benchmarks.scale.alone import Alone


@dataclass(frozen=True, slots=True)
class Passes:
    """Processor time of the server for a search of both passes, core-milliseconds in the mean.

    Attributes:
        front: Of its way through the server, first pass included.
        front_loop: That part of it which the event loop takes.
        second: Of the second pass beside the engine's.
        second_loop: That part of it which the event loop takes.
    """

    front: float
    front_loop: float
    second: float
    second_loop: float


def told_apart(first: Alone, both: Alone, engine_core_ms: float) -> Passes:
    """Divides what searches of both passes cost.

    After a second pass the processor's caches hold the model, so that the same way through the
    server takes longer, and costs as much more, than in searches without one.

    Args:
        first: Searches without a second pass.
        both: The same with one.
        engine_core_ms: What of it the engine's computing is.
    """
    slower = both.way_ms / first.way_ms
    front_loop = min(both.loop_core_ms, first.loop_core_ms * slower)
    second_loop = both.loop_core_ms - front_loop
    # The engine's speed is measured apart: it must not leave less than was seen of the loop.
    rest = max(both.loop_core_ms, both.server_core_ms - engine_core_ms)
    second = max(second_loop, rest - first.server_core_ms * slower)
    return Passes(rest - second, front_loop, second, second_loop)
