"""What is told of a search when its answer is made, to whoever looks at answers afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twopass.engines.base.model import LoadedReranker, PairQuery
from twopass.index.base.collection import Collection
from twopass.server.request import Request
from twopass.server.search.candidates import Candidates
from twopass.server.search.ranking import Ranking
from twopass.server.search.types import SearchHit, SearchQuery


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """A search whose answer is made, and not yet sent.

    Attributes:
        query: What was asked for.
        collection: The collection; usable until the request is closed.
        candidates: What the first pass found, with the stored token ids.
        ranking: The order after the second pass.
        hits: What is answered.
        reranker: The model of the second pass; None without one.
        pair_query: The query as that model reads it; None without one.
        blend: Weight of the first pass in the order.
        request: The call, or its part; closed when the answer has gone.
    """

    query: SearchQuery
    collection: Collection
    candidates: Candidates
    ranking: Ranking
    hits: Sequence[SearchHit]
    reranker: LoadedReranker | None
    pair_query: PairQuery | None
    blend: float
    request: Request


class Observer(Protocol):
    """Looks at answers. What takes longer than microseconds it does when the request is closed."""

    def answered(self, answered: Answered) -> str:
        """Takes note of an answer; returns the id that it is given, "" for none."""


class NoObserver:
    """Looks at nothing."""

    def answered(self, answered: Answered) -> str:
        """Gives no id."""
        del answered
        return ""
