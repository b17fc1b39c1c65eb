"""How many machines a design takes, what they cost, and where it breaks.

A design breaks where one thing can't be had twice: the memory of one machine, for a collection that
is held whole; one thread, for a list that one thread finds; one process, that reads all calls.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from twopass.benchmarks.scale.constants import Constants, Machine, Prices


class Design(StrEnum):
    """How the parts stand on machines."""

    ONE_NODE = "one node"
    REPLICAS = "replicas"
    ENGINES_APART = "engines apart"
    POSTGRES = "Postgres"
    MILVUS = "Milvus"


class Device(StrEnum):
    """What computes the models."""

    CPU = "CPUs"
    GPU = "GPUs"


@dataclass(frozen=True, slots=True)
class Demand:
    """What is to be answered.

    Attributes:
        documents: Documents that are searched.
        searches: Searches a second, at the busiest.
        depth: Candidates that the second pass reads; 0 for none.
        words: Whether candidates are found by words too.
        part_read: Part of a sharded collection that a search reads: 1, or less where a filter on a
            partition key leaves shards out.
        utilisation: Part of their time for which machines compute at the busiest; the rest is room
            for bursts, and for latency.
        spare: Machines of each role that may fail without anything being missed.
        patience_ms: Longest that one thread may take to find a list.
    """

    documents: float
    searches: float = 1_000.0
    depth: int = 50
    words: bool = True
    part_read: float = 1.0
    utilisation: float = 0.6
    spare: int = 1
    patience_ms: float = 250.0


@dataclass(frozen=True, slots=True)
class Role:
    """Machines of one kind.

    Attributes:
        name: What they do.
        machine: Which they are.
        count: How many.
        disk_bytes: Disk of each.
        pass_: The pass that they work for, 1 or 2; 0 for what both need.
    """

    name: str
    machine: Machine
    count: int
    disk_bytes: float = 0.0
    pass_: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A design for a demand.

    Attributes:
        design: Which.
        device: What computes the models.
        demand: What is answered.
        roles: Its machines; empty where it breaks.
        breaks: Why it can't be had; empty where it can.
        month: Price of a month.
        second_pass: Part of the price that the second pass has; None where its machines do more.
    """

    design: Design
    device: Device
    demand: Demand
    roles: Sequence[Role] = ()
    breaks: Sequence[str] = ()
    month: float = 0.0
    second_pass: float | None = None


@dataclass(slots=True)
class _Draft:
    roles: list[Role] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)


class Planner:
    """Plans designs from constants and prices."""

    def __init__(self, constants: Constants, prices: Prices) -> None:
        """Takes what is known."""
        self._known = constants
        self._prices = prices
        self._of: dict[Design, Callable[[Demand, Device, _Draft], None]] = {
            Design.ONE_NODE: self._one_node,
            Design.REPLICAS: self._replicas,
            Design.ENGINES_APART: self._engines_apart,
            Design.POSTGRES: self._postgres,
            Design.MILVUS: self._milvus,
        }

    def plan(self, design: Design, device: Device, demand: Demand) -> Estimate:
        """The cheapest machines for a design, or why there are none."""
        draft = _Draft()
        self._of[design](demand, device, draft)
        if draft.breaks:
            return Estimate(design, device, demand, breaks=tuple(draft.breaks))
        months = [self._month(role) for role in draft.roles]
        total = sum(months)
        if design in (Design.ONE_NODE, Design.REPLICAS):
            part = self._second_part(demand) if device is Device.CPU else None
        else:
            paid = zip(months, draft.roles, strict=True)
            part = sum(month for month, role in paid if role.pass_ == 2) / total
        return Estimate(design, device, demand, tuple(draft.roles), (), total, part)

    # --- what a search computes ------------------------------------------------------------------

    def first_pass_core_ms(self, demand: Demand, documents: float) -> float:
        """Both lists and the candidates' token ids, from one index of so many documents."""
        words = self._known.words_core_ms(documents) if demand.words else 0.0
        load = self._known["load_core_ms"] * demand.depth / 50
        return self._known.nearest_core_ms(documents) + words + load

    def postgres_words_core_ms(self, demand: Demand) -> float:
        """The list by words in PostgreSQL: frequent words find nothing in a large collection."""
        known = self._known
        words = known.words_core_ms(demand.documents) * known["postgres_words_factor"]
        return min(words, known["postgres_words_most_core_ms"]) if demand.words else 0.0

    def second_pass_core_ms(self, demand: Demand) -> float:
        """All pairs of a search, on CPUs."""
        return self._tokens(demand) * self._known["rerank_core_us_per_token"] / 1000

    def searches_of_one_process(self, demand: Demand) -> float:
        """Searches a second that one server's process reads and answers: Python has one lock."""
        return demand.utilisation * 1000 / self._known["front_core_ms"]

    def memory_bytes(self, demand: Demand) -> float:
        """Memory of a server that holds the collection, with room to merge its vectors."""
        known = self._known
        each = known["memory_bytes_per_document"] + known["merge_bytes_per_document"]
        return known["server_memory_bytes"] + demand.documents * each

    def gpus_that_compare_all(self, demand: Demand) -> int:
        """GPUs that find the nearest of all vectors exactly; 0 where one can't hold them."""
        bytes_held = demand.documents * 2 * 384
        if bytes_held > 0.9 * self._known["gpu_memory_bytes"]:
            return 0
        each = self._known["gpu_exact_searches_per_second"] * 1e6 / demand.documents
        return math.ceil(demand.searches / (each * demand.utilisation)) + demand.spare

    def _tokens(self, demand: Demand) -> float:
        return demand.depth * self._known["tokens_per_pair"]

    def _models_core_ms(self, demand: Demand) -> float:
        return self.second_pass_core_ms(demand) + self._known["embed_core_ms"]

    def _second_part(self, demand: Demand) -> float:
        """Of the time that a node without a GPU computes."""
        second = self.second_pass_core_ms(demand)
        first = self.first_pass_core_ms(demand, demand.documents) + self._known["embed_core_ms"]
        return second / (second + first + self._known["front_core_ms"])

    # --- designs ---------------------------------------------------------------------------------

    def _one_node(self, demand: Demand, device: Device, draft: _Draft) -> None:
        most = self.searches_of_one_process(demand)
        if demand.searches > most:
            draft.breaks.append(
                f"one process reads and answers {most:,.0f} searches a second at "
                f"{demand.utilisation:.0%} of its time"
            )
        self._holds(demand, device, draft, demand.searches, 1, "server")

    def _replicas(self, demand: Demand, device: Device, draft: _Draft) -> None:
        """As many nodes as are cheapest; each holds all documents."""
        fewest = math.ceil(demand.searches / self.searches_of_one_process(demand))
        options = []
        for count in range(fewest, fewest + 200):
            option = _Draft()
            self._holds(
                demand, device, option, demand.searches / count, count + demand.spare, "servers"
            )
            if not option.breaks:
                options.append(option)
            elif not options and count == fewest:
                draft.breaks = option.breaks
        if options:
            best = min(options, key=lambda o: sum(map(self._month, o.roles)))
            draft.roles, draft.breaks = best.roles, []

    def _engines_apart(self, demand: Demand, device: Device, draft: _Draft) -> None:
        fronts = math.ceil(demand.searches / self.searches_of_one_process(demand))
        self._holds(
            demand, None, draft, demand.searches / fronts, fronts + demand.spare, "fronts", pass_=1
        )
        self._engines(demand, device, draft)

    def _postgres(self, demand: Demand, device: Device, draft: _Draft) -> None:
        known = self._known
        nearest = known["postgres_nearest_core_ms"] * max(
            1.0, math.log(demand.documents) / math.log(20_000)
        )
        core_ms = nearest + self.postgres_words_core_ms(demand)
        core_ms += known["load_core_ms"] * demand.depth / 50
        self._patient(demand, core_ms, draft, "a statement")
        memory = demand.documents * known["postgres_memory_bytes_per_document"]
        disk = demand.documents * known["postgres_disk_bytes_per_document"]
        self._databases(demand, core_ms, memory, disk, draft)
        self._fronts(demand, draft)
        self._engines(demand, device, draft)

    def _milvus(self, demand: Demand, device: Device, draft: _Draft) -> None:
        known = self._known
        segment = min(demand.documents, known["milvus_segment_documents"])
        segments = math.ceil(demand.documents / segment)
        read = max(1.0, segments * demand.part_read)
        core_ms = read * self.first_pass_core_ms(demand, segment)
        self._patient(demand, self.first_pass_core_ms(demand, segment), draft, "a segment")
        vectors = demand.documents * 4 * 384
        memory = vectors * known["milvus_memory_part"]
        memory += demand.documents * known["words_bytes_per_document"] * demand.words
        disk = vectors * known["milvus_disk_factor"]
        cores = demand.searches * core_ms / 1000 / demand.utilisation
        best = min(
            (
                Role(
                    "query nodes",
                    machine,
                    max(math.ceil(memory / (0.8 * machine.memory_bytes)),
                        math.ceil(cores / machine.cores)) + demand.spare,
                    pass_=1,
                )
                for machine in self._without_gpus()
            ),
            key=self._month,
        )  # fmt: skip
        rest = demand.documents * known["disk_bytes_per_document"]
        each = (disk + rest) / best.count
        draft.roles.append(Role(best.name, best.machine, best.count, each, 1))
        small = self._cheapest(8, 16e9)
        assert small is not None
        draft.roles.append(Role("coordinators, proxies, log", small, 3 + 3 + 3, 100e9, 1))
        self._fronts(demand, draft)
        self._engines(demand, device, draft)

    # --- roles -----------------------------------------------------------------------------------

    def _holds(
        self,
        demand: Demand,
        device: Device | None,
        draft: _Draft,
        searches: float,
        count: int,
        name: str,
        *,
        pass_: int = 0,
    ) -> None:
        """Servers that hold all documents; `device` None where models are elsewhere."""
        first = self.first_pass_core_ms(demand, demand.documents)
        core_ms = first + self._known["front_core_ms"]
        gpus = 0.0
        if device is Device.CPU:
            core_ms += self._models_core_ms(demand)
        elif device is Device.GPU:
            gpus = searches * self._gpu_seconds(demand) / demand.utilisation
        cores = searches * core_ms / 1000 / demand.utilisation
        memory = self.memory_bytes(demand)
        slowest = self._known.words_core_ms(demand.documents) if demand.words else 0.0
        self._patient(demand, max(slowest, self._known.nearest_core_ms(demand.documents)), draft,
                      "the list by words")  # fmt: skip
        machine = self._cheapest(cores, memory, math.ceil(gpus) if gpus else 0)
        if machine is None:
            draft.breaks.append(
                f"no machine of the list has {cores:,.0f} cores, {memory / 1e9:,.0f} GB of memory"
                + (f" and {math.ceil(gpus)} GPUs" if gpus else "")
            )
            return
        disk = 2 * demand.documents * self._known["disk_bytes_per_document"]  # a snapshot too
        draft.roles.append(Role(name, machine, count, disk, pass_))

    def _fronts(self, demand: Demand, draft: _Draft) -> None:
        """Fronts without a collection: two processes a machine of eight cores."""
        count = math.ceil(demand.searches / self.searches_of_one_process(demand))
        machine = self._cheapest(2, 4e9)
        assert machine is not None
        processes = max(1, machine.cores // 3)
        needed = math.ceil(count / processes) + demand.spare
        draft.roles.append(Role("fronts", machine, needed))

    def _engines(self, demand: Demand, device: Device, draft: _Draft) -> None:
        if device is Device.GPU:
            (machine, *_) = sorted(
                (m for m in self._prices.machines if m.gpus), key=lambda m: m.hour / m.gpus
            )
            gpus = demand.searches * self._gpu_seconds(demand) / demand.utilisation
            count = math.ceil(gpus / machine.gpus) + demand.spare
        else:
            cores = demand.searches * self._models_core_ms(demand) / 1000 / demand.utilisation
            machine = min(self._without_gpus(), key=lambda m: m.hour / m.cores)
            count = math.ceil(cores / machine.cores) + demand.spare
        draft.roles.append(Role("engines", machine, count, pass_=2))

    def _databases(
        self, demand: Demand, core_ms: float, memory: float, disk: float, draft: _Draft
    ) -> None:
        """A primary, and standbys that hold everything too and answer searches with it."""
        cores = demand.searches * core_ms / 1000 / demand.utilisation
        fitting = [m for m in self._without_gpus() if m.memory_bytes * 0.8 >= memory]
        if not fitting:
            draft.breaks.append(
                f"no machine of the list has {memory / 0.8 / 1e9:,.0f} GB of memory for what must "
                "not be read from disk"
            )
            return
        counts = {m.name: math.ceil(cores / m.cores) + demand.spare for m in fitting}
        roles = [Role("Postgres, standbys too", m, counts[m.name], disk, 1) for m in fitting]
        draft.roles.append(min(roles, key=self._month))

    def _patient(self, demand: Demand, ms: float, draft: _Draft, what: str) -> None:
        if ms > demand.patience_ms:
            draft.breaks.append(
                f"{what} takes one thread {ms:,.0f} ms, {demand.patience_ms:,.0f} ms are wanted"
            )

    def _gpu_seconds(self, demand: Demand) -> float:
        return self._tokens(demand) / self._known["gpu_rerank_tokens_per_second"]

    def _without_gpus(self) -> list[Machine]:
        return [m for m in self._prices.machines if not m.gpus]

    def _cheapest(self, cores: float, memory: float, gpus: int = 0) -> Machine | None:
        fitting = [
            m
            for m in self._prices.machines
            if m.cores >= cores and m.memory_bytes >= memory and m.gpus >= gpus
            and (gpus or not m.gpus)
        ]  # fmt: skip
        return min(fitting, key=lambda m: m.hour, default=None)

    def _month(self, role: Role) -> float:
        disk = role.disk_bytes / 1e9 * self._prices.disk_gb_month
        return role.count * (role.machine.hour * self._prices.hours_a_month + disk)
