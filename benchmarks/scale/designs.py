"""Designs under load: each with the machines that `planning` gives it, simulated.

What a front does in Python has one core, whatever the machine has: one process has one lock.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from twopass.benchmarks.scale.constants import Constants
from twopass.benchmarks.scale.planning import Demand, Design, Device, Estimate, Planner, Role
from twopass.benchmarks.scale.simulation.arbiter import Arbiter, Engine
from twopass.benchmarks.scale.simulation.arrivals import poisson_arrivals
from twopass.benchmarks.scale.simulation.callers import Callers, Outcome, Policy, Status
from twopass.benchmarks.scale.simulation.clock import Clock
from twopass.benchmarks.scale.simulation.engines import (
    RemoteEngine,
    SharedEngine,
    Speed,
    Straggling,
)
from twopass.benchmarks.scale.simulation.estimates import Estimate as Interval
from twopass.benchmarks.scale.simulation.estimates import quantile
from twopass.benchmarks.scale.simulation.fronts import Front, FrontWork, Search
from twopass.benchmarks.scale.simulation.processors import Cores
from twopass.benchmarks.scale.simulation.stores import Database, Finding, OwnStore, Shards, Store

# How the tokens of searches differ: the deviation of the logarithm, of Python's docstrings.
_SPREAD = 0.29
_BATCH_SECONDS = 0.020
_QUERY_TOKENS = 12
# As `max_queued_pairs` has it by default.
_MAX_QUEUED_PAIRS = 50_000
_MAX_SHARDS_EACH = 8


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong meanwhile.

    Attributes:
        straggling: How often a batch, or a shard, takes longer.
        lost_at: When a machine is lost, seconds; 0 for never. An engine where engines stand apart,
            else a server.
        back_after: Seconds until another stands in its place.
        noticed_after: Seconds until its connections are known to be dead.
        hedge_after: Seconds after which callers, or whoever asks shards, ask a second time; 0 for
            never.
    """

    straggling: Straggling = field(default_factory=Straggling)
    lost_at: float = 0.0
    back_after: float = 10.0
    noticed_after: float = 0.1
    hedge_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a design does under one load, over several seeds.

    Attributes:
        design: Which.
        rate: Searches asked a second.
        answered: Searches answered a second.
        p50_ms: Median latency.
        p99_ms: 99th percentile.
        failed: Part of the searches without an answer.
    """

    design: Design
    rate: float
    answered: Interval
    p50_ms: Interval
    p99_ms: Interval
    failed: Interval


class System:
    """A design's machines.

    Attributes:
        fronts: Its servers.
        engines: Engines apart; empty where servers compute themselves.
    """

    def __init__(
        self, plan: Estimate, planner: Planner, known: Constants, trouble: Trouble, seed: int
    ) -> None:
        """Builds it, idle.

        Args:
            plan: Its machines.
            planner: Knows what a search computes.
            known: The constants.
            trouble: Of which stragglers are taken from the beginning.
            seed: Of stragglers.
        """
        self.clock = Clock()
        self.fronts: list[Front] = []
        self.engines: list[RemoteEngine] = []
        self._plan = plan
        self._planner = planner
        self._known = known
        self._trouble = trouble
        self._seed = seed
        if plan.design in (Design.ONE_NODE, Design.REPLICAS):
            self._build_whole_nodes()
        else:
            self._build_parts()

    def _build_whole_nodes(self) -> None:
        (role,) = self._plan.roles
        for number in range(role.count):
            cores = Cores(self.clock, role.machine.cores)
            engine: Engine
            if self._plan.device is Device.GPU:
                engine = RemoteEngine(self.clock, self._speed(role), wire_seconds=0.0, seed=number)
            else:
                engine = SharedEngine(self.clock, cores, self._speed(role))
            store = OwnStore(self._finding(self._plan.demand.documents), cores)
            self._add_front(store, Arbiter(self.clock, [engine], max_queued=_MAX_QUEUED_PAIRS))

    def _build_parts(self) -> None:
        roles = {role.name: role for role in self._plan.roles}
        engines = roles.pop("engines")
        for number in range(engines.count):
            self.engines.append(
                RemoteEngine(
                    self.clock,
                    self._speed(engines),
                    wire_seconds=self._known["wire_ms"] / 1000,
                    straggling=self._trouble.straggling,
                    seed=self._seed * 1_000 + number,
                )
            )
        count = self._num_fronts()
        shared = self._remote_store(roles)
        # Every front's arbiter feeds every engine; one stands for all, which is kinder by little.
        arbiter = Arbiter(self.clock, self.engines, max_queued=_MAX_QUEUED_PAIRS * count)
        self._arbiter = arbiter
        for _ in range(count):
            store = shared
            if store is None:
                cores = Cores(self.clock, roles["fronts"].machine.cores)
                store = OwnStore(self._finding(self._plan.demand.documents), cores)
            self._add_front(store, arbiter)

    def _num_fronts(self) -> int:
        """Processes that take calls."""
        (role,) = (role for role in self._plan.roles if role.name == "fronts")
        if self._plan.design is Design.ENGINES_APART:
            return role.count
        return role.count * max(1, role.machine.cores // 3)

    def _remote_store(self, roles: dict[str, Role]) -> Store | None:
        wire = self._known["wire_ms"] / 1000
        demand = self._plan.demand
        if self._plan.design is Design.POSTGRES:
            (role,) = (role for name, role in roles.items() if name.startswith("Postgres"))
            copies = [Cores(self.clock, role.machine.cores) for _ in range(role.count)]
            finding = Finding(
                nearest=self._known["postgres_nearest_core_ms"] / 1000,
                words=self._planner.postgres_words_core_ms(demand) / 1000,
                load=self._known["load_core_ms"] / 1000,
            )
            return Database(self.clock, copies, finding, wire_seconds=wire)
        if self._plan.design is Design.MILVUS:
            return self._shards(roles["query nodes"], wire)
        return None

    def _shards(self, role: Role, wire: float) -> Shards:
        """Two copies where there are machines for it, each cut over as many as are left."""
        documents = self._plan.demand.documents
        each = max(1, role.count // 2)
        num_shards = min(each, _MAX_SHARDS_EACH)
        finding = self._finding(documents / num_shards)
        copies = [
            [Cores(self.clock, role.machine.cores) for _ in range(num_shards)]
            for _ in range(max(1, role.count // num_shards))
        ]
        return Shards(
            self.clock,
            copies,
            finding,
            wire_seconds=wire,
            straggling=self._trouble.straggling,
            hedge_after=self._trouble.hedge_after,
            seed=self._seed,
        )

    def _finding(self, documents: float) -> Finding:
        known, demand = self._known, self._plan.demand
        return Finding(
            nearest=known.nearest_core_ms(documents) / 1000,
            words=known.words_core_ms(documents) * demand.words / 1000,
            load=known["load_core_ms"] * demand.depth / 50 / 1000,
        )

    def _speed(self, role: Role) -> Speed:
        known, machine = self._known, role.machine
        if self._plan.device is Device.GPU:
            return Speed(
                seconds_per_token=1 / known["gpu_rerank_tokens_per_second"],
                seconds_per_batch=known["gpu_batch_seconds"] / 2,
                query_factor=0.0,
                query_seconds=known["gpu_batch_seconds"],
            )
        return Speed(
            seconds_per_token=known["rerank_core_us_per_token"] / 1e6 / machine.cores,
            batch_seconds=_BATCH_SECONDS,
            query_factor=0.0,
            query_seconds=known["embed_core_ms"] / 1000 / min(2, machine.cores),
        )

    def _add_front(self, store: Store, arbiter: Arbiter) -> None:
        half = self._known["front_core_ms"] / 2000
        work = FrontWork(half, half, self._known["wire_ms"] / 1000, _QUERY_TOKENS)
        self.fronts.append(Front(self.clock, Cores(self.clock, 1), work, store, arbiter))

    def _bring_back(self, engine: RemoteEngine) -> None:
        engine.come_back()
        self._arbiter.dispatch()  # what waits may have waited for it

    def run(self, arrivals: Sequence[float], searches: Iterator[Search]) -> list[Outcome]:
        """Sends searches, lets happen what is to go wrong, and waits for all."""
        trouble = self._trouble
        is_whole = not self.engines
        policy = Policy(hedge_after=trouble.hedge_after if is_whole else 0.0)
        callers = Callers(self.clock, self.fronts, policy)
        callers.send(arrivals, searches)
        if trouble.lost_at:
            back_at = trouble.lost_at + trouble.back_after
            if self.engines:
                lost = self.engines[0]
                self.clock.at(trouble.lost_at, lambda: lost.lose(trouble.noticed_after))
                self.clock.at(back_at, lambda: self._bring_back(lost))
            else:
                front = self.fronts[0]
                self.clock.at(trouble.lost_at, front.lose)
                self.clock.at(back_at, front.come_back)
        self.clock.run()
        return callers.outcomes


def searches_of(known: Constants, demand: Demand, seed: int) -> Iterator[Search]:
    """Searches whose pairs are as long as those measured, endless."""
    generator = random.Random(f"{seed} searches")  # noqa: S311  # no secret
    while True:
        factor = generator.lognormvariate(-(_SPREAD**2) / 2, _SPREAD)
        length = max(8, round(known["tokens_per_pair"] * factor))
        yield Search([length] * demand.depth)


def simulate(
    planner: Planner,
    known: Constants,
    plan: Estimate,
    rate: float,
    *,
    seconds: float,
    seeds: Sequence[int],
    trouble: Trouble | None = None,
) -> Figures:
    """Runs a design at a rate, once for each seed; a tenth of the time is not counted."""
    runs = []
    for seed in seeds:
        system = System(plan, planner, known, trouble or Trouble(), seed)
        arrivals = list(poisson_arrivals(rate, seconds, seed))
        outcomes = system.run(arrivals, searches_of(known, plan.demand, seed))
        runs.append(_figures([o for o in outcomes if o.intended >= seconds / 10], seconds))
    answered, p50, p99, failed = (Interval.of(column) for column in zip(*runs, strict=True))
    return Figures(plan.design, rate, answered, p50, p99, failed)


def _figures(outcomes: Sequence[Outcome], seconds: float) -> tuple[float, float, float, float]:
    good = [o for o in outcomes if o.status is Status.OK]
    latencies = [o.latency * 1000 for o in good] or [float("inf")]
    in_time = sum(o.ended < seconds for o in good)
    return (
        in_time / (0.9 * seconds),
        quantile(latencies, 0.5),
        quantile(latencies, 0.99),
        1 - len(good) / max(1, len(outcomes)),
    )
