"""What is summed up of one shadow on one collection, and how it is written down."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twopass.server.shadowing.agreement import (
    TOP,
    ndcg,
    overlap,
    rank_biased_overlap,
    reciprocal_rank,
)
from twopass.server.shadowing.evidence import Evidence
from twopass.server.shadowing.results import Comparison, Difference, Measure


@dataclass(slots=True)
class Sums:
    """Sums over the searches of one collection that one shadow was compared on.

    Attributes:
        start_us: When the first was compared, microseconds since 1970.
        num_compared: Searches.
        num_equal_first: Those with the same first hit.
        overlap: Sum of the shares of the first ten that both orders have.
        rank_biased_overlap: Sum of the rank-biased overlaps.
        evidence: By measure, of the searches with feedback.
    """

    start_us: int
    num_compared: int = 0
    num_equal_first: int = 0
    overlap: float = 0.0
    rank_biased_overlap: float = 0.0
    evidence: dict[Measure, Evidence] = field(default_factory=dict)

    def compared(self, live: Sequence[str], shadow: Sequence[str]) -> None:
        """Adds a search; both orders are of the same candidates, at most ten long."""
        self.num_compared += 1
        self.num_equal_first += live[:1] == shadow[:1]
        self.overlap += overlap(live, shadow)
        self.rank_biased_overlap += rank_biased_overlap(live, shadow)

    def judged(self, live: Sequence[str], shadow: Sequence[str], grades: Mapping[str, int]) -> None:
        """Adds a query with judgements; a no-op where no document is judged relevant."""
        if any(grades.values()):
            self._observe(Measure.JUDGED_NDCG, ndcg(shadow, grades) - ndcg(live, grades))
            self._observe(
                Measure.JUDGED_RR, reciprocal_rank(shadow, grades) - reciprocal_rank(live, grades)
            )

    def clicked(self, live: Sequence[str], shadow: Sequence[str], clicks: Sequence[str]) -> None:
        """Adds a query with clicks, where both orders hold all documents that were clicked.

        Of others the shadow might hold better documents still, that nobody had the chance to click.
        """
        if clicks and set(clicks) <= set(live[:TOP]) & set(shadow[:TOP]):
            grades = dict.fromkeys(clicks, 1)
            self._observe(
                Measure.CLICKED_RR, reciprocal_rank(shadow, grades) - reciprocal_rank(live, grades)
            )

    def comparison(self, collection: str) -> Comparison:
        """What the sums say."""
        num = max(1, self.num_compared)
        return Comparison(
            collection=collection,
            num_compared=self.num_compared,
            equal_first=self.num_equal_first / num,
            overlap=self.overlap / num,
            rank_biased_overlap=self.rank_biased_overlap / num,
            differences=tuple(
                _difference(measure, self.evidence[measure])
                for measure in Measure
                if measure in self.evidence
            ),
            start_us=self.start_us,
        )

    def to_json(self) -> str:
        """The sums as text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Sums":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            read = json.loads(text)
            evidence = {
                Measure(measure): Evidence(
                    **one | {"histogram": {int(x): n for x, n in one["histogram"].items()}}
                )
                for measure, one in read.pop("evidence").items()
            }
            return cls(**read, evidence=evidence)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"sums of a shadow: {error!r}") from error

    def _observe(self, measure: Measure, difference: float) -> None:
        self.evidence.setdefault(measure, Evidence()).observe(difference)


def _difference(measure: Measure, evidence: Evidence) -> Difference:
    # People click what stands above: clicks against a shadow may come of that alone.
    one_sided = measure is Measure.CLICKED_RR
    p_of_advantage = evidence.p_better if evidence.total > 0 else 1.0
    return Difference(
        measure=measure,
        num_searches=evidence.count,
        mean=evidence.mean,
        histogram=dict(evidence.histogram),
        p_value=p_of_advantage if one_sided else evidence.p_value,
        num_better=evidence.num_better,
        num_worse=evidence.num_worse,
    )
