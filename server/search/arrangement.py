"""What is asked of the order after the second pass, and what hits tell of it."""

from dataclasses import dataclass
from enum import Enum

from twopass.index.documents import DocumentFields
from twopass.server.search.collapse import CollapseReason, CollapseSettings
from twopass.server.search.diversity import DiversitySettings


class ArrangeStatus(Enum):
    """What became of diversity and collapse."""

    NONE = "none"
    COMPLETE = "complete"
    SKIPPED_DEADLINE = "skipped_deadline"
    SKIPPED_OVERLOAD = "skipped_overload"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrangeSettings:
    """What is asked for; None for neither.

    Attributes:
        collapse: What collapses.
        diversity: How far hits are to differ.
    """

    collapse: CollapseSettings | None = None
    diversity: DiversitySettings | None = None

    def fields(self) -> DocumentFields:
        """What must be known of documents."""
        collapses = self.collapse or CollapseSettings()
        return DocumentFields(
            text=collapses.equal_text,
            metadata=bool(collapses.field),
            vector=self.diversity is not None or collapses.similarity is not None,
        )


@dataclass(frozen=True, slots=True)
class CollapsedDocument:
    """A document within a hit.

    Attributes:
        id: Its id.
        reason: Why it is there.
        similarity: Cosine of its vector and the hit's; of near duplicates alone.
        score: Its calibrated score; None where the second pass did not read it.
    """

    id: str
    reason: CollapseReason
    similarity: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What a hit tells of how it came to its place.

    Attributes:
        num_collapsed: Documents within it.
        collapsed: The best of them.
        value: Its value of the field by which hits were grouped; None for none.
        diversity_score: What it was chosen by; None where it was not.
    """

    num_collapsed: int = 0
    collapsed: tuple[CollapsedDocument, ...] = ()
    value: object = None
    diversity_score: float | None = None


UNARRANGED = Arrangement()
