"""Which settings to take: away from the defaults only where more than chance speaks for it.

Thousands of settings are compared on some dozens of queries, so the best of them looks better than
it is. Three rules keep chance from choosing:

1. Settings that cost the same differ in fusion and blend alone. Of those within one standard error
   of their best, the ones nearest the defaults stand for all (Breiman et al. 1984).
2. The defaults are left for better quality only if the best is better than they are at p < 0.05,
   corrected for every setting that was tried (`best_of_many`).
3. They are left for less time only if the cheaper settings are no worse by more than a margin, with
   95 % confidence, corrected for all cheaper settings that were looked at.

What none of this reaches stays at the defaults: "keep the defaults" is a result too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twopass.evaluation.significance import LEVEL, best_of_many
from twopass.evaluation.tuning.arithmetic import Qualities
from twopass.evaluation.tuning.settings import Settings, fusion_name
from twopass.index.fusion import ConvexFusion, Fusion

MARGIN = 0.01
"""nDCG@10 that a cheaper way may be worse by, unless another margin is asked for."""
# A way that saves less than a tenth of the time is not worth a change.
_WORTHWHILE = 0.9
# What is believed of two ways before a query is judged, in the weight of so many queries: that they
# differ by so much a query. Few queries on which two ways agree by chance are no proof.
_BELIEVED_DEVIATION = 0.1
_BELIEVED_QUERIES = 10
# One-sided 95 %, of a normal distribution.
_QUANTILE = 1.645
# Power of 80 % beside it.
_POWER = 0.842


class Reason(StrEnum):
    """Why settings were chosen."""

    NOTHING_BETTER = "nothing better"
    BETTER = "better"
    CHEAPER = "cheaper"
    WITHIN_BUDGET = "within budget"


@dataclass(frozen=True, slots=True)
class Aim:
    """What is looked for.

    Attributes:
        budget_ms: Most milliseconds of a search; None for any.
        margin: nDCG@10 that a cheaper way may be worse by.
        is_best: Whether time does not matter within the budget: nothing cheaper is looked for.
    """

    budget_ms: float | None = None
    margin: float = MARGIN
    is_best: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The settings chosen, and what they were chosen among.

    Attributes:
        settings: The choice.
        reason: Why.
        standing: The ways that stand for their cost, and the defaults.
        frontier: Ways that nothing cheaper beats, by rising time, the defaults among them if so.
        best: The way of the highest quality among those that stand for their cost.
        p_of_best: Chance that the best of so many ways seems so much better than the defaults.
        num_ways: How many ways were compared.
        gain_of_best: Its mean gain in nDCG@10 over the defaults, on the queries it was chosen by.
        num_needed: Judged queries, about, that would show such a gain; None where there is none.
    """

    settings: Settings
    reason: Reason
    standing: tuple[Settings, ...]
    frontier: tuple[Settings, ...]
    best: Settings
    p_of_best: float
    num_ways: int
    gain_of_best: float
    num_needed: int | None


def choose_settings(
    measured: Qualities,
    milliseconds: Mapping[Settings, float],
    defaults: Settings,
    own_blends: Mapping[str, float],
    aim: Aim,
) -> Choice:
    """Chooses settings on some queries.

    Args:
        measured: nDCG@10 of every way on these queries; the defaults are among them.
        milliseconds: Time of a search by `Settings.cost`.
        defaults: What a search that sets nothing does.
        own_blends: Each reranker's own blend, by its id.
        aim: What is looked for.
    """
    of_defaults = measured.of(defaults)
    p_values = best_of_many(measured.ndcg - of_defaults)
    p_of = dict(zip(measured.ways, p_values.tolist(), strict=True))
    standing = list(_standing(measured, defaults, own_blends))
    mean = {way: float(measured.of(way).mean()) for way in standing}
    time = {way: milliseconds[way.cost] for way in standing}
    best = max(standing, key=lambda way: (mean[way], -time[way]))
    gain = measured.of(best) - of_defaults
    frontier = tuple(_frontier(standing, mean, time))

    def chosen(settings: Settings, reason: Reason) -> Choice:
        return Choice(
            settings,
            reason,
            tuple(standing),
            frontier,
            best,
            p_of[best],
            len(measured.ways),
            float(gain.mean()),
            _num_needed(gain),
        )

    allowed = [way for way in standing if aim.budget_ms is None or time[way] <= aim.budget_ms]
    if not allowed:
        return chosen(min(standing, key=lambda way: time[way]), Reason.WITHIN_BUDGET)
    in_time = defaults in allowed
    better = [way for way in allowed if p_of[way] < LEVEL and mean[way] > mean[defaults]]
    if better:
        reference, reason = max(better, key=lambda way: mean[way]), Reason.BETTER
    elif in_time:
        reference, reason = defaults, Reason.NOTHING_BETTER
    else:
        reference, reason = max(allowed, key=lambda way: mean[way]), Reason.WITHIN_BUDGET
    if aim.is_best:
        return chosen(reference, reason)
    cheaper = [
        way
        for way in sorted(allowed, key=lambda way: time[way])
        if time[way] <= _WORTHWHILE * time[reference]
        and not (better and in_time and mean[way] <= mean[defaults])
    ]
    for way in _no_worse(measured, cheaper, reference, aim.margin):
        return chosen(way, reason if better else Reason.CHEAPER)
    return chosen(reference, reason)


def _standing(
    measured: Qualities, defaults: Settings, own_blends: Mapping[str, float]
) -> Iterator[Settings]:
    """The way that stands for each cost, and the defaults."""
    by_cost: dict[Settings, list[Settings]] = {}
    for way in measured.ways:
        by_cost.setdefault(way.cost, []).append(way)
    for cost, ways in by_cost.items():
        best = max(ways, key=lambda way: float(measured.of(way).mean()))
        of_best = measured.of(best)
        as_good = [way for way in ways if _is_within_error(of_best - measured.of(way))]
        if cost == defaults.cost and defaults in as_good:
            yield defaults
            continue
        yield min(as_good, key=lambda way: _distance(way, defaults, own_blends))
        if cost == defaults.cost:
            yield defaults


def _frontier(
    standing: list[Settings], mean: Mapping[Settings, float], time: Mapping[Settings, float]
) -> Iterator[Settings]:
    """Ways of which none that takes less time is as good, by rising time."""
    highest = -np.inf
    for way in sorted(standing, key=lambda way: (time[way], -mean[way])):
        if mean[way] > highest:
            highest = mean[way]
            yield way


def _distance(way: Settings, defaults: Settings, own_blends: Mapping[str, float]) -> float:
    """How far fusion and blend are from the defaults, in steps of the grid."""
    own = own_blends.get(way.reader.model, way.blend) if way.reader else way.blend
    blend = defaults.blend if way.reader == defaults.reader else own
    return abs(way.blend - blend) / 0.1 + _fusion_steps(way.fusion, defaults.fusion)


def _fusion_steps(fusion: Fusion | None, usual: Fusion | None) -> float:
    if fusion is None or usual is None or fusion_name(fusion) == fusion_name(usual):
        return 0.0
    if isinstance(fusion, ConvexFusion) and isinstance(usual, ConvexFusion):
        return abs(fusion.alpha - usual.alpha) / 0.05
    return 2.0


def _error(differences: NDArray[np.float64]) -> float:
    """Standard error of the mean; 0 of a single query."""
    if len(differences) < 2:
        return 0.0
    return float(differences.std(ddof=1) / np.sqrt(len(differences)))


def _is_within_error(behind: NDArray[np.float64]) -> bool:
    return bool(behind.mean() <= _error(behind) + 1e-12)


def _no_worse(
    measured: Qualities, ways: Sequence[Settings], reference: Settings, margin: float
) -> Iterator[Settings]:
    """The ways that fall behind by less than the margin, in their order.

    With 95 % confidence that none of them falls behind by more: corrected for the number of ways,
    as what is better is.
    """
    if not ways:
        return
    gains = np.array([measured.of(way) - measured.of(reference) for way in ways])
    p_values = best_of_many(gains + margin)
    for way, gain, p_value in zip(ways, gains, p_values.tolist(), strict=True):
        if p_value < LEVEL and _is_believed_no_worse(gain, margin):
            yield way


def _is_believed_no_worse(gain: NDArray[np.float64], margin: float) -> bool:
    count = len(gain)
    believed = _BELIEVED_QUERIES * _BELIEVED_DEVIATION**2
    variance = (count * float(gain.var()) + believed) / (count + _BELIEVED_QUERIES)
    return bool(gain.mean() - _QUANTILE * np.sqrt(variance / count) >= -margin)


def _num_needed(gain: NDArray[np.float64]) -> int | None:
    """Queries that would show a gain of this size in a test of one way, with a power of 80 %."""
    mean = float(gain.mean())
    if mean <= 0 or len(gain) < 2:
        return None
    deviation = float(gain.std(ddof=1))
    return max(2, int(np.ceil(((_QUANTILE + _POWER) * deviation / mean) ** 2)))
