"""The parts of the server that a search works with."""

from dataclasses import dataclass, field

from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.defaults import RetrieveDefaults
from twopass.server.search.first_pass import FirstPass
from twopass.server.search.observing import NoObserver, Observer
from twopass.server.search.second_pass import SecondPass
from twopass.server.search.spans.scoring import SpanScoring
from twopass.server.telemetry.relevance import Relevance


@dataclass(frozen=True, slots=True, eq=False)
class SearchParts:
    """The parts of the server that a search works with."""

    models: Models
    arbiter: Arbiter
    tokenizing: Tokenizing
    first_pass: FirstPass
    second_pass: SecondPass
    relevance: Relevance
    defaults: RetrieveDefaults
    observer: Observer = field(default_factory=NoObserver)

    @property
    def span_scoring(self) -> SpanScoring:
        """Finds the sentences of hits that answer, through the same arbiter."""
        return SpanScoring(self.arbiter, self.tokenizing, self.second_pass)
