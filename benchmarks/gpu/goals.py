"""What is wanted of a MiniLM-L6 on an H100 or H200, and whether a run has shown it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.figures import median_of
from twopass.benchmarks.gpu.outcome import Outcome, Row, obstacle_of, rows_of

Outcomes = Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal, and what a run says of it.

    Attributes:
        goal: What it is about.
        wanted: What was to be shown.
        measured: What was, with whose figure it is; else why nothing was.
        value: The same as a number; None where nothing was measured.
        is_met: Whether it is met; None where nothing was measured.
    """

    goal: str
    wanted: str
    measured: str
    value: float | None
    is_met: bool | None


@dataclass(frozen=True, slots=True)
class _Found:
    value: float
    words: str
    is_whole: bool = True  # whether what no number says holds, too


@dataclass(frozen=True, slots=True)
class _Goal:
    """A bound on a figure that is read from a run.

    Attributes:
        name: What it is about.
        wanted: The bound in words.
        checks: From which it is read.
        find: Reads it; None where the checks have not enough rows.
        is_met: Whether a value is within the bound.
    """

    name: str
    wanted: str
    checks: tuple[str, ...]
    find: Callable[[Outcomes], _Found | None]
    is_met: Callable[[float], bool]

    def judged(self, outcomes: Outcomes, *, is_dry: bool) -> Judged:
        found = self.find(outcomes)
        if found is None:
            reasons = dict.fromkeys(obstacle_of(outcomes, name) for name in self.checks)
            reason = "; ".join(filter(None, reasons)) or "no such rows"
            return Judged(self.name, self.wanted, reason, None, None)
        is_met = found.is_whole and self.is_met(found.value)
        told = f"(on a CPU) {found.words}" if is_dry else found.words
        return Judged(self.name, self.wanted, told, found.value, None if is_dry else is_met)


def judge(outcomes: Outcomes, *, is_dry: bool = False) -> tuple[Judged, ...]:
    """Every goal, in the order of the table, as far as a run has measured it.

    Args:
        outcomes: Of the checks so far.
        is_dry: Whether they ran on a CPU, where no goal is met or missed.
    """
    return tuple(goal.judged(outcomes, is_dry=is_dry) for goal in _goals(outcomes))


def _goals(outcomes: Outcomes) -> list[_Goal]:
    served = [each.name for each in outcomes if each.name.startswith(f"{names.SERVER}: ")]
    servers = tuple(filter(_is_gpu_server, served)) or (names.server_of("torch fp16"),)
    return [
        _Goal(
            "40 passages of 128 tokens in process, p50",
            "< 1 ms",
            (names.LATENCY,),
            _latency_in_process,
            lambda value: value < 1,
        ),
        _Goal(
            "40 passages through gRPC, p50",
            "< 3 ms",
            servers,
            lambda found: _latency_through(found, "gRPC"),
            lambda value: value < 3,
        ),
        _Goal(
            "pairs/s at 128 tokens",
            ">= 110,000",
            (names.FIXED,),
            lambda found: _fastest(rows_of(found, names.FIXED)),
            lambda value: value >= 110_000,
        ),
        _Goal(
            "mixed lengths, times plain padded PyTorch (batches of 32)",
            ">= 6 x",
            (names.MIXED,),
            _times_plain,
            lambda value: value >= 6,
        ),
        _Goal(
            "the server's pairs/s, of its engine's at the same lengths",
            ">= 60 %",
            (*servers, names.SERVED),
            _share_of_engine,
            lambda value: value >= 0.6,
        ),
        _Goal(
            "training, pairs/s",
            ">= 50,000",
            (names.TRAINING,),
            lambda found: _fastest(
                rows_of(found, names.TRAINING) + rows_of(found, names.TRAINING_COMPILED), "way"
            ),
            lambda value: value >= 50_000,
        ),
        _Goal(
            "TensorRT-RTX on a GPU that it refuses",
            "one sentence, under a second, once",
            (names.TENSORRT,),
            _refusal,
            lambda value: value < 1,
        ),
    ]


def _is_gpu_server(name: str) -> bool:
    return names.is_ours(name.removeprefix(f"{names.SERVER}: "))


def _latency_in_process(outcomes: Outcomes) -> _Found | None:
    rows = [row for row in rows_of(outcomes, names.LATENCY) if row.get("passages") == 40]
    return _least(rows, "p50 ms", lambda row: str(row.get("engine")))


def _latency_through(outcomes: Outcomes, wire: str) -> _Found | None:
    rows = [
        row | {"engine": each.name.removeprefix(f"{names.SERVER}: ")}
        for each in outcomes
        if _is_gpu_server(each.name)
        for row in each.rows
        if (row.get("wire"), row.get("passages"), row.get("under way")) == (wire, 40, 1)
    ]
    return _least(rows, "p50 ms", lambda row: str(row["engine"]))


def _least(rows: Sequence[Row], column: str, whose: Callable[[Row], str]) -> _Found | None:
    found = [
        (value, whose(row))
        for row in rows
        if names.is_ours(whose(row)) and (value := median_of(row.get(column))) is not None
    ]
    if not found:
        return None
    value, engine = min(found)
    return _Found(value, f"{value:.2f} ms ({engine})")


def _fastest(rows: Sequence[Row], whose: str = "engine") -> _Found | None:
    found = [
        (value, str(row.get(whose, "")))
        for row in rows
        if (whose != "engine" or names.is_ours(str(row.get("engine"))))
        and (value := median_of(row.get("pairs/s"))) is not None
    ]
    if not found:
        return None
    value, engine = max(found)
    return _Found(value, f"{value:,.0f} ({engine})" if engine else f"{value:,.0f}")


def _times_plain(outcomes: Outcomes) -> _Found | None:
    rows = rows_of(outcomes, names.MIXED)
    ours = _fastest(rows)
    plain = {
        str(row["engine"]): value
        for row in rows
        if str(row.get("engine")).startswith(names.PLAIN)
        and (value := median_of(row.get("pairs/s"))) is not None
    }
    padded = next((value for name, value in plain.items() if name.endswith("of 32")), None)
    if ours is None or padded is None:
        return None
    others = [
        f"{ours.value / value:.1f} x {name.removeprefix(names.PLAIN).strip(', ')}"
        for name, value in plain.items()
    ]
    return _Found(ours.value / padded, f"{ours.words}: {', '.join(others)}")


def _share_of_engine(outcomes: Outcomes) -> _Found | None:
    """Of the server that does most: its engine is the one that it ran on."""
    best: tuple[float, float, str] | None = None
    engines = {row.get("engine"): median_of(row.get("pairs/s")) for row in _served(outcomes)}
    for each in filter(lambda each: _is_gpu_server(each.name), outcomes):
        engine = each.name.removeprefix(f"{names.SERVER}: ")
        speeds = [median_of(row.get("pairs/s")) for row in each.rows if row.get("wire") == "gRPC"]
        known = [speed for speed in speeds if speed is not None]
        own = engines.get(engine)
        if known and own and (best is None or max(known) > best[0]):
            best = max(known), own, engine
    if best is None:
        return None
    served, own, engine = best
    words = f"{served / own:.0%} ({served:,.0f} of {own:,.0f}, {engine})"
    return _Found(served / own, words)


def _served(outcomes: Outcomes) -> list[Row]:
    return rows_of(outcomes, names.SERVED)


def _refusal(outcomes: Outcomes) -> _Found | None:
    for row in rows_of(outcomes, names.TENSORRT):
        seconds = median_of(row.get("seconds"))
        if not row.get("refused") or seconds is None:
            continue
        words = str(row.get("words", ""))
        again = median_of(row.get("seconds when asked again"))
        if "\n" in words or row.get("plans built") or again is None or again > seconds:
            return _Found(seconds, f"{seconds:.2f} s, then {again} s: {words!r}", is_whole=False)
        return _Found(seconds, f"{seconds:.2f} s, then {again:.3f} s: {words}")
    return None
