"""How hits are compared with each other after both passes: what is asked, and what they tell."""

from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from twopass.client._enums import ArrangeStatus, CollapseReason, word_of
from twopass.client._values import int32, real, text
from twopass.v1 import arranging_pb2, search_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapse:
    """Which hits give way to better ones that they are like; at least one way is needed.

    Attributes:
        similarity: Least cosine of the vectors of near duplicates, above 0 and at most 1; 0.95 is a
            beginning. None: no near duplicates.
        equal_text: Whether documents of equal title and text collapse.
        field: A field of the metadata, of whose values `max_per_value` documents each stay. Empty:
            no field.
        max_per_value: 1 to 100. None: 1.
        max_listed: How many documents a hit lists of those within it, 1 to 100. None: 10.
    """

    similarity: float | None = None
    equal_text: bool = False
    field: str = ""
    max_per_value: int | None = None
    max_listed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """How far hits are to differ from those before them: maximal marginal relevance.

    Attributes:
        relevance_weight: What relevance counts against difference, 0 to 1: 1 keeps the order. None:
            0.7.
        depth: How many of the first hits are put into another order, 1 to 1,000. None: 100.
    """

    relevance_weight: float | None = None
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class CollapsedDocument:
    """A document that collapsed into a hit.

    Attributes:
        id: Its id.
        reason: Why: "equal_text", "near_duplicate" or "same_value".
        similarity: Cosine of its vector and the hit's; of near duplicates alone.
        score: Its relevance in [0, 1]; None where the reranker did not read it.
    """

    id: str
    reason: CollapseReason
    similarity: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class CollapsedDocuments:
    """What collapsed into a hit.

    Attributes:
        count: How many documents, listed or not.
        documents: The best of them, best first.
        value: The hit's own value of the field; None where it has none.
    """

    count: int = 0
    documents: tuple[CollapsedDocument, ...] = ()
    value: Any = None


NOTHING_COLLAPSED = CollapsedDocuments()


def collapse_message(collapse: Collapse | None) -> arranging_pb2.Collapse | None:
    """What collapses, as a message; None for nothing."""
    if collapse is None:
        return None
    return arranging_pb2.Collapse(
        similarity=real(collapse.similarity, "collapse.similarity"),
        equal_text=collapse.equal_text,
        field=text(collapse.field, "collapse.field"),
        max_per_value=int32(collapse.max_per_value, "collapse.max_per_value"),
        max_listed=int32(collapse.max_listed, "collapse.max_listed"),
    )


def diversity_message(diversity: Diversity | float | None) -> arranging_pb2.Diversity | None:
    """How far hits are to differ, as a message; None for not at all."""
    if diversity is None:
        return None
    if not isinstance(diversity, Diversity):
        diversity = Diversity(relevance_weight=diversity)
    return arranging_pb2.Diversity(
        relevance_weight=real(diversity.relevance_weight, "diversity.relevance_weight"),
        depth=int32(diversity.depth, "diversity.depth"),
    )


def collapsed_of(message: search_pb2.SearchHit) -> CollapsedDocuments:
    """What collapsed into a hit."""
    found = message.collapsed
    return CollapsedDocuments(
        found.count,
        tuple(
            CollapsedDocument(
                each.id,
                word_of(CollapseReason, arranging_pb2.CollapseReason, each.reason),
                each.similarity if each.HasField("similarity") else None,
                each.score if each.HasField("score") else None,
            )
            for each in found.documents
        ),
        json_format.MessageToDict(found.value) if found.HasField("value") else None,
    )


def arrange_status(response: search_pb2.SearchResponse) -> ArrangeStatus | None:
    """What became of it; None where nothing was asked for."""
    if not response.arrange_status:
        return None
    return word_of(ArrangeStatus, arranging_pb2.ArrangeStatus, response.arrange_status)
