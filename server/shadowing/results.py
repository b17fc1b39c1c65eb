"""What shadow comparisons have found: the interface to reports, metrics and the surface."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from twopass.server.shadow_spec import ShadowSpec
from twopass.server.shadowing.evidence import interval


class Measure(StrEnum):
    """What a difference is measured by, and on which feedback."""

    JUDGED_NDCG = "judged_ndcg_10"
    JUDGED_RR = "judged_rr_10"
    CLICKED_RR = "clicked_rr_10"


class Outcome(StrEnum):
    """What became of a search that a shadow was drawn for."""

    COMPARED = "compared"
    DROPPED_FULL = "dropped_full"
    DROPPED_BUSY = "dropped_busy"
    UNFIT = "unfit"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much better a shadow is than the live order by one measure.

    Attributes:
        measure: The measure.
        num_searches: Searches with feedback of that kind.
        mean: Mean of shadow less live, -1 to 1.
        histogram: How often each difference was observed, in steps of a thousandth.
        p_value: Two-sided and anytime-valid, of the side of 0 on which the mean lies; for clicks
            one-sided, of an advantage.
        num_better: Searches where the shadow's order is better.
        num_worse: Searches where it is worse.
    """

    measure: Measure
    num_searches: int
    mean: float
    histogram: Mapping[int, int]
    p_value: float
    num_better: int
    num_worse: int

    def interval(self) -> tuple[float, float]:
        """Where the true mean lies at 95% confidence, whenever looked at; takes milliseconds."""
        return interval(self.histogram, self.mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A shadow compared with the live order on one collection.

    Attributes:
        collection: The collection's name.
        num_compared: Searches of which both orders are known.
        equal_first: Share of them with the same first hit.
        overlap: Mean share of the first ten that both have.
        rank_biased_overlap: Mean rank-biased overlap of the first ten.
        differences: One for each measure with feedback.
        start_us: When the first was compared, microseconds since 1970.
    """

    collection: str
    num_compared: int
    equal_first: float
    overlap: float
    rank_biased_overlap: float
    differences: tuple[Difference, ...]
    start_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowResult:
    """One shadow and what is known of it.

    Attributes:
        spec: What it is.
        counts: What became of its searches since the start.
        comparisons: By collection, sorted by name.
    """

    spec: ShadowSpec
    counts: dict[Outcome, int]
    comparisons: tuple[Comparison, ...]
