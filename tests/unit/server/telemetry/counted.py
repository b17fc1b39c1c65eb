"""Searches to count, on a clock that a test sets."""

from twopass.server.telemetry.relevance import Relevance, SecondPassEffect
from twopass.server.telemetry.relevance_report import RelevanceReport

HOUR = 3_600.0


def effect(top=(0, 1, 2), **changes) -> SecondPassEffect:
    fields = {
        "reach": 3,
        "num_read": 50,
        "num_truncated": 0,
        "num_below": 0,
        "has_min_score": False,
        "top_score": 0.9,
        "margin": 1.0,
        "seconds": 0.02,
    }
    return SecondPassEffect(top=list(top), **fields | changes)


class Counted:
    """Counts of searches, on a clock that the test sets."""

    def __init__(self, **options) -> None:
        self.now = 0.0
        self.relevance = Relevance(clock=lambda: self.now, **options)

    def search(self, found=None, *, name="docs", life="a", rerank="complete", **others) -> None:
        fields = {"retrieve": "complete", "seconds": 0.03, "query_truncated": False}
        fields |= {"answerable": None} | others
        self.relevance.searched(name, life, rerank=rerank, effect=found, **fields)

    def report(self, life="a", seconds=HOUR) -> RelevanceReport:
        growth = self.relevance.growth(life, seconds)
        assert growth is not None
        return RelevanceReport(growth)
