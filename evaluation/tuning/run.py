"""The whole of it: reads, computes, chooses, tries. Prints nothing, writes to no server."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from twopass.client import Client, Collection, Model, RetrieveMode, Truncation
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.runs import EvaluationError
from twopass.evaluation.tuning.arithmetic import CUTOFF, GridQuery, Qualities, order, qualities
from twopass.evaluation.tuning.choice import Aim
from twopass.evaluation.tuning.defaults import unset_answers, with_fusion, without_fusion
from twopass.evaluation.tuning.kept import Kept
from twopass.evaluation.tuning.pace import measured_pace, num_searches, searching
from twopass.evaluation.tuning.reading import Bar, Reading, read_all
from twopass.evaluation.tuning.settings import DEPTHS, MODES, Grid, Reader, Settings
from twopass.evaluation.tuning.trial import Check, Timed, Tried, timed, tried

_MOST_TIMED = 8
_PACE_QUERIES = 6
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is compared and looked for.

    Attributes:
        modes: How candidates are found.
        depths: How many are found and reranked.
        rerankers: Ids on the server; empty for all that it holds.
        truncations: What is read of a passage that is too long.
        aim: What is looked for.
        check: Which queries tell what the choice is worth; None to go by their number.
        num_timed: Queries by which the frontier is timed.
        concurrency: Queries under way at once while reading.
        kept: Folder of what earlier runs read; None keeps nothing.
    """

    modes: Sequence[RetrieveMode] = MODES
    depths: Sequence[int] = DEPTHS
    rerankers: Sequence[str] = ()
    truncations: Sequence[Truncation] = ("truncate",)
    aim: Aim = field(default_factory=Aim)
    check: Check | None = None
    num_timed: int = 30
    concurrency: int = 2
    kept: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would read, before it reads.

    Attributes:
        collection: The collection as the server describes it.
        defaults: What a search that sets nothing does.
        grid: What is compared.
        num_queries: Judged queries.
        most_pairs: Most pairs that each reranker may read.
    """

    collection: Collection
    defaults: Settings
    grid: Grid
    num_queries: int
    most_pairs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuned:
    """What a run found.

    Attributes:
        plan: What was read.
        tried: The choice and what it is worth.
        qualities: Mean nDCG@10 over all judged queries of the ways in the picture.
        milliseconds: Milliseconds of these ways: measured, or told by pairs and pace.
        times: The ways that were really searched.
        judged: Share of the first ten that is judged, with the defaults and with the choice.
        measured: nDCG@10 of every way for every query.
        num_pairs: Pairs that rerankers read, those of earlier runs included.
        seconds: How long it took.
    """

    plan: Plan
    tried: Tried
    qualities: Mapping[Settings, float]
    milliseconds: Mapping[Settings, float]
    times: Mapping[Settings, Timed]
    judged: tuple[float, float]
    measured: Qualities
    num_pairs: int
    seconds: float


class Tuning:
    """One run against one collection of a running server."""

    def __init__(
        self, client: Client, dataset: Dataset, wanted: Wanted, *, timed_on: str = ""
    ) -> None:
        """Prepares a run.

        Args:
            client: Client of the server.
            dataset: Queries and judgements; `dataset.collection` is the collection.
            wanted: What is compared and looked for.
            timed_on: The collection whose searches are timed; "" for the same.
        """
        self._timed_on = timed_on or dataset.collection
        self._client = client
        self._dataset = dataset
        self._wanted = wanted
        self._models: dict[str, Model] = {}

    def planned(self) -> Plan:
        """Asks the server what there is; reads nothing of the judged queries but the first few.

        Raises:
            EvaluationError: There is nothing to compare.
        """
        wanted, client = self._wanted, self._client
        described = client.get_collection(self._dataset.collection)
        rerankers = [model for model in client.models() if model.kind == "reranker"]
        self._models = {model.id: model for model in rerankers}
        names = [_model_id(rerankers, name) for name in wanted.rerankers] or list(self._models)
        # Without an encoder nothing embeds a judged query.
        by_words = described.schema.client_vectors or described.encoder_problem
        modes: Sequence[RetrieveMode] = ("lexical",) if by_words else wanted.modes
        grid = Grid(
            modes=modes,
            ks=wanted.depths,
            depths=wanted.depths,
            readers=[Reader(name, cut) for name in names for cut in wanted.truncations],
        )
        queries = self._dataset.queries
        answers = unset_answers(client, described.name, queries)
        defaults = without_fusion(answers, described)
        reading = self._reading(described, grid.with_way(defaults))
        defaults = with_fusion(defaults, answers, queries, reading)
        grid = grid.with_way(defaults)
        deepest = max((depth for depth in grid.depths if depth <= grid.most), default=0)
        # Both lists and little beside: what some fusion puts among the first.
        most = min(described.num_documents, 2 * deepest) * len(queries)
        return Plan(
            collection=described,
            defaults=defaults,
            grid=grid,
            num_queries=len(queries),
            most_pairs=most if grid.readers else 0,
        )

    def revision(self, settings: Settings) -> str:
        """What the reranker of some settings is known by; "" where nobody reranks."""
        return "" if settings.reader is None else self._models[settings.reader.model].revision

    def run(self, plan: Plan, bar: Bar) -> Tuned:
        """Reads, chooses and tries.

        Args:
            plan: What `planned` returned.
            bar: Shows progress.

        Raises:
            EvaluationError: The second pass did not run on a query.
        """
        began = time.perf_counter()
        reading = self._reading(plan.collection, plan.grid)
        minimum, defaults = reading.dense_minimum, plan.defaults
        queries = read_all(reading, self._dataset, bar=bar)
        with bar("settings computed", len(queries)) as advance:
            measured = qualities(queries, plan.grid, minimum, advance)
        search = searching(self._client, self._timed_on)
        texts = list(self._dataset.queries.values())
        with bar("pace", num_searches(plan.grid, min(_PACE_QUERIES, len(texts)))) as advance:
            pace = measured_pace(search, texts[:_PACE_QUERIES], plan.grid, advance)
        milliseconds = {way.cost: pace.milliseconds(way) for way in measured.ways}
        own_blends = {name: model.blend for name, model in self._models.items()}
        times: dict[Settings, Timed] = {}
        wanted = self._wanted
        is_compared = self._timed_on == plan.collection.name

        def found() -> Tried:
            return tried(measured, milliseconds, defaults, own_blends, wanted.aim, wanted.check)

        result = found()
        some = [(self._dataset.queries[one.id], one) for one in queries[: wanted.num_timed]]
        for _ in range(_ROUNDS):
            unknown = [way for way in _shown(result, defaults) if way not in times]
            if not unknown:
                break
            # The defaults are searched beside them each time: loads differ from minute to minute.
            ways = list(dict.fromkeys((defaults, *unknown)))
            with bar("frontier searched", len(ways) * len(some)) as advance:
                times |= timed(search, some, ways, minimum, advance, is_compared=is_compared)
            milliseconds |= {way.cost: one.milliseconds for way, one in times.items()}
            result = found()
        chosen = result.choice.settings
        if chosen not in times:  # times that change from round to round: it is chosen no more
            ways = [defaults, chosen]
            with bar("choice searched", 2 * len(some)) as advance:
                times |= timed(search, some, ways, minimum, advance, is_compared=is_compared)
            milliseconds |= {way.cost: one.milliseconds for way, one in times.items()}
        pictured = list(dict.fromkeys((*result.choice.standing, *times)))
        return Tuned(
            plan=plan,
            tried=result,
            qualities={way: float(measured.of(way).mean()) for way in pictured},
            milliseconds={way: milliseconds[way.cost] for way in pictured},
            times=times,
            judged=(_judged(queries, defaults, minimum), _judged(queries, chosen, minimum)),
            measured=measured,
            num_pairs=sum(
                int(np.isfinite(logits).sum()) for one in queries for logits in one.logits.values()
            ),
            seconds=time.perf_counter() - began,
        )

    def _reading(self, described: Collection, grid: Grid) -> Reading:
        metric = described.schema.metric
        return Reading(
            client=self._client,
            collection=described.name,
            grid=grid,
            dense_minimum=None if metric == "inner_product" else -1.0,
            kept=Kept(self._kept_file(described, grid), self._known_by()),
            concurrency=self._wanted.concurrency,
        )

    def _known_by(self) -> dict[str, str]:
        """Rerankers by what decides their logits: what they are, and what computes them."""
        return {
            name: f"{model.revision} {model.engine} {model.precision} {model.device}"
            for name, model in self._models.items()
        }

    def _kept_file(self, described: Collection, grid: Grid) -> Path | None:
        """A file of this state of the collection, this k and these modes."""
        if self._wanted.kept is None:
            return None
        schema = described.schema
        state = (described.sequence, schema.encoder_revision, str(grid.most), *grid.modes)
        digest = hashlib.sha256("\n".join(state).encode()).hexdigest()[:16]
        return self._wanted.kept / f"{described.name}-{digest}.jsonl"


def _model_id(rerankers: Iterable[Model], name: str) -> str:
    for model in rerankers:
        if name == model.id or name in model.other_ids:
            return model.id
    held = ", ".join(model.id for model in rerankers) or "none"
    raise EvaluationError(
        f"{name}: the server holds no such reranker; it holds {held}. Name it in --more-models "
        "when the server starts"
    )


def _shown(result: Tried, defaults: Settings) -> list[Settings]:
    """The ways that are timed: the choice, the best, the defaults, and some of the frontier."""
    choice = result.choice
    wanted = [defaults, choice.settings, choice.best]
    left = [way for way in choice.frontier if way not in wanted]
    room = _MOST_TIMED - len(set(wanted))
    step = max(1, -(-len(left) // room)) if room > 0 else len(left) + 1
    return list(dict.fromkeys((*wanted, *left[::step])))


def _judged(queries: Sequence[GridQuery], way: Settings, minimum: float | None) -> float:
    """Share of the first ten hits that have a judgement."""
    shown = judged = 0
    for query in queries:
        top = order(query, way, minimum)[:CUTOFF]
        shown += len(top)
        judged += sum(name in query.grades for name in top)
    return judged / shown if shown else 0.0
