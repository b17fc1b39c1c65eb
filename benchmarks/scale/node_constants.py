"""What searches cost on one machine, as `measuring` finds it and `node` simulates it."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Rest:
    """What a search costs that finds the machine idle: caches are cold, threads and cores asleep.

    Attributes:
        seconds: How long the machine has been idle.
        times: Processor time of the search, by that of one that follows on another at once.
        front_ms: Time in which nothing of it computes, on its way through the server.
        second_ms: The same in the second pass: batches to and fro.
    """

    seconds: float
    times: float
    front_ms: float
    second_ms: float


@dataclass(frozen=True, slots=True)
class NodeConstants:
    """What searches cost, one at a time. Times are milliseconds, in the mean.

    Attributes:
        num_cores: Cores that server and callers share.
        tokenize_ms: By the clock, as all that end in `_ms` but have no `core` in their names.
        embed_ms: By the clock; a query is embedded by one thread.
        retrieve_ms: Of the slower list.
        load_ms: Of the candidates' token ids.
        rest_ms: What is left of the server's time beside the second pass.
        wire_ms: What is left of the caller's.
        front_core_ms: Processor time of the server for a search beside its second pass.
        loop_core_ms: That part of it which the server's event loop takes, one thread for all
            searches.
        client_core_ms: Processor time of the caller.
        core_us_per_token: Processor time of a token of the second pass, microseconds, while all
            cores compute.
        alone_us_per_token: The same while one core computes and the others are idle.
        second_core_ms: Processor time of the second pass beside the engine's: pairs are put
            together, outputs in order.
        second_loop_core_ms: That part of it which the event loop takes.
        loop_turns: How often the event loop's thread wakes up for a search.
        turn_ms: For how long a thread that wakes up waits for a core at most, while all compute.
        packing: Part of the threads that wake up and wait although a core is idle.
        rests: What a search costs that finds the machine idle, by how long it was; ascending, the
            first for one that follows on another.
        rerank_lengths: Tokens of each pair, of each query that is asked.
    """

    num_cores: int
    tokenize_ms: float
    embed_ms: float
    retrieve_ms: float
    load_ms: float
    rest_ms: float
    wire_ms: float
    front_core_ms: float
    loop_core_ms: float
    client_core_ms: float
    core_us_per_token: float
    alone_us_per_token: float
    second_core_ms: float
    second_loop_core_ms: float
    loop_turns: float
    turn_ms: float
    packing: float
    rests: Sequence[Rest]
    rerank_lengths: Sequence[Sequence[int]]

    @property
    def mean_tokens(self) -> float:
        """Tokens of a search's second pass."""
        return sum(map(sum, self.rerank_lengths)) / len(self.rerank_lengths)

    @property
    def core_ms(self) -> float:
        """Processor time of a search of both passes that follows on another, with the caller's."""
        engine = self.mean_tokens * self.core_us_per_token / 1000
        return self.front_core_ms + self.second_core_ms + engine + self.client_core_ms

    @property
    def most_per_second(self) -> float:
        """Searches a second that take all of the cores' time."""
        return self.num_cores * 1000 / self.core_ms

    @property
    def alone_speed(self) -> float:
        """How much faster a core is while the others are idle, at least 1."""
        return max(1.0, self.core_us_per_token / self.alone_us_per_token)

    @property
    def away_ms(self) -> float:
        """What the wire takes without the caller's own computing."""
        return max(0.0, self.wire_ms - self.client_core_ms)

    @property
    def stages_ms(self) -> float:
        """What a search without a second pass takes on the server and on the wire."""
        stages = (self.tokenize_ms, self.embed_ms, self.retrieve_ms, self.load_ms, self.rest_ms)
        return sum(stages) + self.away_ms

    @property
    def working_part(self) -> float:
        """Part of the stages' time in which one thread computes, at most 1."""
        return min(1.0, self.front_core_ms / self.stages_ms) if self.stages_ms else 0.0

    @property
    def loop_part(self) -> float:
        """Part of the stages' work that the event loop does, at most 1."""
        work = min(self.front_core_ms, self.stages_ms)
        return min(1.0, self.loop_core_ms / work) if work else 0.0

    @property
    def loop_turn_ms(self) -> float:
        """What the event loop computes each time it wakes up; infinite where that was not asked."""
        turns = self.loop_turns
        return (self.loop_core_ms + self.second_loop_core_ms) / turns if turns else math.inf

    @property
    def beside_core_ms(self) -> float:
        """Processor time of the server that nobody waits for: two lists at once, threads' ends."""
        return max(0.0, self.front_core_ms - self.stages_ms)

    def after_rest(self, seconds: float) -> Rest:
        """What a search costs after so long a rest, on straight lines between measurements."""
        for less, more in itertools.pairwise(self.rests):
            if seconds < more.seconds:
                part = (seconds - less.seconds) / (more.seconds - less.seconds)
                return Rest(
                    seconds,
                    less.times + part * (more.times - less.times),
                    less.front_ms + part * (more.front_ms - less.front_ms),
                    less.second_ms + part * (more.second_ms - less.second_ms),
                )
        return self.rests[-1]


def median_constants(measured: Sequence[NodeConstants]) -> NodeConstants:
    """The median of each constant; pairs and lengths of pauses are those of the first."""
    first = measured[0]
    names = (f.name for f in fields(first) if f.name not in ("rests", "rerank_lengths"))
    changes = {name: statistics.median(getattr(m, name) for m in measured) for name in names}
    changes["num_cores"] = first.num_cores
    rests = tuple(
        Rest(
            same[0].seconds,
            *(
                statistics.median(getattr(rest, name) for rest in same)
                for name in ("times", "front_ms", "second_ms")
            ),
        )
        for same in zip(*(m.rests for m in measured), strict=True)
    )
    return replace(first, **changes, rests=rests)
