"""What a search costs that finds the machine idle: measured after pauses, and told apart.

Processor time tells how much more is computed. What searches take by the clock beyond that, in the
simulation of the same searches, is delay.
"""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from twopass.benchmarks.scale.node import STAGES, Node
from twopass.benchmarks.scale.node_constants import NodeConstants, Rest

NO_REST = Rest(0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Paused:
    """Searches one at a time, each after a pause. Milliseconds, in the mean.

    Attributes:
        seconds: The pause.
        num: How many.
        front_ms: What the caller waited, without the second pass.
        second_ms: Of the second pass.
        core_ms: Processor time, the caller's included.
    """

    seconds: float
    num: int
    front_ms: float
    second_ms: float
    core_ms: float


def rested(constants: NodeConstants, paused: Sequence[Paused]) -> NodeConstants:
    """The constants with what pauses cost.

    Args:
        constants: Without rests.
        paused: Searches after each pause, by its length; the first without one.
    """
    least = paused[0].core_ms
    # A longer rest makes nothing cheaper: what says so is the measurement's error.
    times = list(itertools.accumulate((p.core_ms / least for p in paused), max))
    bare = replace(
        constants,
        rests=tuple(Rest(p.seconds, t, 0.0, 0.0) for p, t in zip(paused, times, strict=True)),
    )
    return replace(
        bare,
        rests=tuple(
            replace(
                rest,
                front_ms=max(0.0, measured.front_ms - front),
                second_ms=max(0.0, measured.second_ms - second),
            )
            for rest, measured in zip(bare.rests, paused, strict=True)
            for front, second in (_simulated(bare, measured),)
        ),
    )


def _simulated(constants: NodeConstants, paused: Paused) -> tuple[float, float]:
    """Milliseconds that these searches take: without the second pass, and of it."""
    node = Node(constants)
    node.one_at_a_time(paused.num, paused.seconds)
    means = {stage: 1000 * statistics.fmean(node.stages[stage]) for stage in STAGES}
    second = means.pop("second pass")
    return sum(means.values()), second
