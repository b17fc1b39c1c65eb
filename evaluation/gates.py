"""Whether measured quality is good enough to go on: above limits, and no worse than before.

Worse than before is what chance does not explain: the paired randomisation test, query by query,
its p-values adjusted for the number of comparisons, so that a run of many test collections and
modes raises no more false alarms than one comparison would.
"""

import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from twopass.evaluation.baseline import BaselineError, MeasuredSet
from twopass.evaluation.significance import LEVEL, holm, randomization_test

_LIMIT = re.compile(r"(?:(.+):)?([a-z]+)(?:@(\d+))?=(\S+)")
_MEASURES = {"ndcg": "ndcg", "mrr": "mrr", "recall": "recall", "ap": "average_precision"}
_OF_TEN = ("ndcg", "mrr")
# A smaller share of queries in common says too little of the whole.
_FEWEST_SHARED = 0.5


class GateError(Exception):
    """A limit is written wrongly, or names what was not measured; the message says which."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The least quality that is good enough.

    Attributes:
        text: As it was given.
        scopes: Test collections and ways of searching that it is for; empty for every test
            collection and the final order of every mode.
        measure: The measure, as `Quality` names it.
        k: The number of documents that the measure looks at; None where none was given.
        least: The least value.
    """

    text: str
    scopes: tuple[str, ...]
    measure: str
    k: int | None
    least: float


@dataclass(frozen=True, slots=True)
class Change:
    """A measure before and now, on the queries that both have.

    Attributes:
        before: Its mean in the baseline.
        after: Its mean now.
        num_queries: The queries in common.
        p_value: Probability that chance alone makes them differ so much, adjusted for the number
            of comparisons.
    """

    before: float
    after: float
    num_queries: int
    p_value: float

    @property
    def is_significant(self) -> bool:
        """Whether it is more than chance."""
        return self.p_value < LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One measure of one way of searching a test collection, and what is asked of it.

    Attributes:
        dataset: The test collection.
        way: The way of searching, such as "hybrid@50".
        measure: The measure as people write it, such as "ndcg@10"; "ms" for the median time of a
            search.
        value: What was measured.
        num_queries: On so many queries.
        limit: The least value; of "ms" the greatest. None without a limit.
        change: Against the baseline; None without one.
        problems: What is not good enough, a sentence each.
    """

    dataset: str
    way: str
    measure: str
    value: float
    num_queries: int
    limit: float | None = None
    change: Change | None = None
    problems: tuple[str, ...] = ()

    @property
    def has_passed(self) -> bool:
        """Whether everything is good enough."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is asked of measured quality.

    Attributes:
        limits: The least values.
        baseline: What was measured before, by test collection; None to compare with nothing.
        tolerance: A fall of the mean by no more than this is no regression, be it significant.
        allow_other_corpus: Whether to compare although the documents are others.
        max_ms: The greatest median time of a search, in milliseconds; None for any.
    """

    limits: tuple[Limit, ...] = ()
    baseline: Mapping[str, MeasuredSet] | None = None
    tolerance: float = 0.0
    allow_other_corpus: bool = False
    max_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says.

    Attributes:
        checks: Each measure, in the order of the test collections and modes.
        notes: What a reader must know of the comparison, such as queries that were left out.
    """

    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.has_passed)


def parse_limit(text: str) -> Limit:
    """Reads a limit: [SET:][WAY:]MEASURE=VALUE, as in "ndcg@10=0.80" or "docs:hybrid:mrr@10=0.7".

    Raises:
        GateError: It is written otherwise, names an unknown measure, or a value beyond 0 to 1.
    """
    match = _LIMIT.fullmatch(text.strip())
    example = "as in ndcg@10=0.80"
    if match is None:
        raise GateError(f"{text!r}: a measure and its least value are needed, {example}")
    scope, name, k, value = match.groups()
    if name not in _MEASURES:
        known = "ndcg@10, mrr@10, recall@K and ap@K"
        raise GateError(
            f"{text!r}: {name} is not measured; {known} are, K being the greatest depth"
        )
    if name in _OF_TEN and k not in (None, "10"):
        raise GateError(f"{text!r}: {name}@{k} is not measured, {name}@10 is")
    try:
        least = float(value)
    except ValueError:
        least = math.nan
    if not 0 <= least <= 1:
        raise GateError(f"{text!r}: {value} is no value from 0 to 1, {example}")
    scopes = tuple(scope.split(":")) if scope else ()
    return Limit(text, scopes, _MEASURES[name], int(k) if k else None, least)


def judge(sets: Sequence[MeasuredSet], gate: Gate) -> Verdict:
    """Compares what was measured with what is asked of it.

    Args:
        sets: What was measured.
        gate: What is asked.

    Raises:
        GateError: A limit names what was not measured.
        BaselineError: A test collection can't be compared with the baseline.
    """
    _ensure_measured(sets, gate.limits)
    checks: list[Check] = []
    notes: list[str] = []
    for each in sets:
        before = None
        if gate.baseline is not None:
            before = gate.baseline.get(each.name)
            notes += _notes(each, gate)
        for way, measure in _asked(each, gate):
            checks.append(_check(each, way, measure, gate, before))
        if gate.max_ms is not None:
            checks += _time_checks(each, gate.max_ms)
    return Verdict(tuple(_adjusted(checks, gate)), tuple(notes))


def ensure_comparable(sets: Sequence[MeasuredSet], gate: Gate) -> None:
    """Looks whether test collections can be compared with the baseline, before they are measured.

    Args:
        sets: The test collections, with or without values.
        gate: What is asked.

    Raises:
        BaselineError: One can't.
    """
    for each in sets if gate.baseline is not None else ():
        for _ in _notes(each, gate):
            pass


def name_of(measure: str, num_candidates: int) -> str:
    """A measure as people write it."""
    name = next(name for name, attribute in _MEASURES.items() if attribute == measure)
    return f"{name}@{10 if name in _OF_TEN else num_candidates}"


def final_ways(measured: MeasuredSet) -> list[str]:
    """The final order of each mode: of both passes at the greatest depth, or of the first alone."""
    ways = []
    for mode in measured.search_ms:
        depths = [
            int(way.removeprefix(f"{mode}@"))
            for way in measured.values
            if re.fullmatch(rf"{re.escape(mode)}@\d+", way)
        ]
        ways.append(f"{mode}@{max(depths)}" if depths else mode)
    return ways


def _ensure_measured(sets: Sequence[MeasuredSet], limits: Sequence[Limit]) -> None:
    names = {each.name for each in sets}
    ways = dict.fromkeys(way for each in sets for way in each.values)
    for limit in limits:
        for scope in limit.scopes:
            if scope not in names and scope not in ways:
                raise GateError(
                    f"{limit.text!r}: {scope} was not measured; there are the test collections "
                    f"{', '.join(sorted(names))} and the ways {', '.join(ways)}"
                )
        if len([scope for scope in limit.scopes if scope in names]) > 1:
            raise GateError(f"{limit.text!r}: names two test collections; give a limit for each")
        for each in sets:
            if limit.k not in (None, 10 if limit.measure in _OF_TEN else each.num_candidates):
                raise GateError(
                    f"{limit.text!r}: {each.name} was measured with {each.num_candidates:,} "
                    f"candidates, so {name_of(limit.measure, each.num_candidates)} is known"
                )


def _asked(measured: MeasuredSet, gate: Gate) -> list[tuple[str, str]]:
    """The ways and measures that are looked at: nDCG@10 of final orders, and what limits name."""
    asked = [(way, "ndcg") for way in final_ways(measured)] if gate.baseline is not None else []
    for limit in gate.limits:
        asked += [(way, limit.measure) for way in _ways_for(limit, measured)]
    order = {way: number for number, way in enumerate(measured.values)}
    return sorted(dict.fromkeys(asked), key=lambda item: order[item[0]])


def _ways_for(limit: Limit, measured: MeasuredSet) -> list[str]:
    """The ways of a test collection that a limit is for; empty where it is for another one."""
    ways = [scope for scope in limit.scopes if scope in measured.values]
    others = [scope for scope in limit.scopes if scope not in measured.values]
    if others and measured.name not in others:
        return []
    return ways or final_ways(measured)


def _check(
    measured: MeasuredSet, way: str, measure: str, gate: Gate, before: MeasuredSet | None
) -> Check:
    values = measured.values[way][measure]
    value = statistics.fmean(values.values())
    name = name_of(measure, measured.num_candidates)
    limits = [
        limit.least
        for limit in gate.limits
        if limit.measure == measure and way in _ways_for(limit, measured)
    ]
    limit = max(limits, default=None)
    problems = []
    if limit is not None and value < limit:
        problems.append(
            f"{measured.name}, {way}: {name} is {value:.4f} on {len(values):,} queries, at least "
            f"{limit:g} is asked for"
        )
    return Check(
        dataset=measured.name,
        way=way,
        measure=name,
        value=value,
        num_queries=len(values),
        limit=limit,
        change=_change(measured, way, measure, before),
        problems=tuple(problems),
    )


def _change(
    measured: MeasuredSet, way: str, measure: str, before: MeasuredSet | None
) -> Change | None:
    """The change since the baseline, its p-value as it is; None where that has no such values."""
    if before is None or way not in before.values:
        return None
    if measure not in _OF_TEN and before.num_candidates != measured.num_candidates:
        return None
    now, then = measured.values[way][measure], before.values[way][measure]
    shared = [query for query in _shared(measured, before) if query in now and query in then]
    after_values = [now[query] for query in shared]
    before_values = [then[query] for query in shared]
    return Change(
        before=statistics.fmean(before_values),
        after=statistics.fmean(after_values),
        num_queries=len(shared),
        p_value=randomization_test(after_values, before_values),
    )


def _shared(measured: MeasuredSet, before: MeasuredSet) -> list[str]:
    """The queries whose text and judgements are what they were."""
    known = before.queries
    return [query for query, digest in measured.queries.items() if known.get(query) == digest]


def _notes(measured: MeasuredSet, gate: Gate) -> Iterator[str]:
    """What a reader must know of a comparison.

    Raises:
        BaselineError: Nothing can be compared.
    """
    baseline = gate.baseline or {}
    before = baseline.get(measured.name)
    if before is None:
        known = ", ".join(baseline) or "none"
        raise BaselineError(
            f"{measured.name}: not in the baseline, which has {known}; make it anew with "
            "--save-baseline"
        )
    if measured.corpus != before.corpus:
        if not gate.allow_other_corpus:
            raise BaselineError(
                f"{measured.name}: its documents are not those of the baseline, so that a "
                "difference may come from them; make the baseline anew with --save-baseline, or "
                "compare all the same with --allow-other-corpus"
            )
        yield f"{measured.name}: the documents are not those of the baseline"
    shared, most = len(_shared(measured, before)), max(len(measured.queries), len(before.queries))
    if shared < _FEWEST_SHARED * most:
        raise BaselineError(
            f"{measured.name}: {shared:,} of {most:,} queries have the text and the judgements "
            "that they have in the baseline, too few to compare; make it anew with --save-baseline"
        )
    if shared < most:
        yield (
            f"{measured.name}: compared on the {shared:,} queries that have the same text and "
            f"judgements in the baseline, of {len(measured.queries):,} now and "
            f"{len(before.queries):,} then"
        )
    for way in final_ways(measured):
        if way not in before.values:
            yield f"{measured.name}: {way} is not in the baseline, so it is compared with nothing"


def _time_checks(measured: MeasuredSet, max_ms: float) -> Iterator[Check]:
    for mode, value in measured.search_ms.items():
        problem = (
            f"{measured.name}, {mode}: a search takes {value:,.1f} ms at the median, at most "
            f"{max_ms:g} are asked for"
        )
        yield Check(
            dataset=measured.name,
            way=mode,
            measure="ms",
            value=value,
            num_queries=len(measured.queries),
            limit=max_ms,
            problems=(problem,) if value > max_ms else (),
        )


def _adjusted(checks: Sequence[Check], gate: Gate) -> Iterator[Check]:
    """The checks with p-values adjusted for their number, and what has become worse."""
    p_values = iter(holm([check.change.p_value for check in checks if check.change is not None]))
    for check in checks:
        if check.change is None:
            yield check
            continue
        change = replace(check.change, p_value=next(p_values))
        fall = change.before - change.after
        problems = check.problems
        if change.is_significant and fall > gate.tolerance:
            problems += (
                f"{check.dataset}, {check.way}: {check.measure} fell from {change.before:.4f} to "
                f"{change.after:.4f} on {change.num_queries:,} queries (p {change.p_value:.4f}), "
                f"by more than the {gate.tolerance:g} that is allowed",
            )
        yield replace(check, change=change, problems=problems)
