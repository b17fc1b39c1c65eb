"""Hits that say what a better one says already: near duplicates, equal texts, values of a field.

What collapses goes into a better hit that it is like, with the reason. A hit of which something is
not known is like no other in that respect: without a vector it is no near duplicate, without the
field it has no value.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.documents import StoredDocument
from twopass.index.stopping import NEVER, Stop

DEFAULT_LISTED, MAX_LISTED = 10, 100
MAX_PER_VALUE = 100
MAX_FIELD_BYTES = 256


class CollapseReason(Enum):
    """Why a hit is within another."""

    EQUAL_TEXT = "equal_text"
    NEAR_DUPLICATE = "near_duplicate"
    SAME_VALUE = "same_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseSettings:
    """What collapses.

    Attributes:
        similarity: Least cosine of the vectors of near duplicates, above 0 and at most 1; None for
            no near duplicates.
        equal_text: Whether documents of equal title and text do.
        field: A field of the metadata, whose values have `max_per_value` hits each; "" for none.
        max_per_value: At least 1.
        max_listed: Most documents that a hit lists of those within it; it counts all of them.
    """

    similarity: float | None = None
    equal_text: bool = False
    field: str = ""
    max_per_value: int = 1
    max_listed: int = DEFAULT_LISTED


@dataclass(frozen=True, slots=True)
class Collapsed:
    """A document within a better hit.

    Attributes:
        place: Its place in the order.
        reason: Why it is there.
        similarity: Cosine of both vectors, of near duplicates alone.
    """

    place: int
    reason: CollapseReason
    similarity: float | None = None


@dataclass(slots=True)
class Group:
    """What is within a hit.

    Attributes:
        value: The hit's value of the field; None where it has none or none was asked for.
        collapsed: What is within it, best first.
    """

    value: object = None
    collapsed: list[Collapsed] = field(default_factory=list)


def collapse(
    documents: Sequence[StoredDocument | None], settings: CollapseSettings, stop: Stop = NEVER
) -> tuple[Int32s, dict[int, Group]]:
    """Puts each document that is like a better one into that one.

    Args:
        documents: What is known of the documents, best first; None for one that is gone.
        settings: What collapses.
        stop: Ends the work.

    Returns:
        The places of those that stay, ascending, int32 `[num_kept]`; and by such a place what is
        within it, and its value.

    Raises:
        StoppedError: `stop` was set first.
    """
    kept: list[int] = []
    groups: dict[int, Group] = {}
    nearest = _Nearest(documents, settings.similarity)
    by_text: dict[tuple[str | None, str | None], int] = {}
    by_value: dict[str, list[int]] = {}
    for place, document in enumerate(documents):
        stop.check()
        text = None if document is None or not settings.equal_text else _text_of(document)
        value = _value_of(document, settings.field)
        name = "" if value is None else _name_of(value)
        into, collapsed = None, Collapsed(place, CollapseReason.EQUAL_TEXT)
        if text is not None and text in by_text:
            into = by_text[text]
        elif (near := nearest.of(place)) is not None:
            into = near[0]
            collapsed = Collapsed(place, CollapseReason.NEAR_DUPLICATE, near[1])
        elif name and len(by_value.get(name, ())) >= settings.max_per_value:
            into, collapsed = by_value[name][0], Collapsed(place, CollapseReason.SAME_VALUE)
        if into is not None:
            groups[into].collapsed.append(collapsed)
            continue
        kept.append(place)
        groups[place] = Group(value)
        nearest.keep(place)
        if text is not None:
            by_text[text] = place
        if name:
            by_value.setdefault(name, []).append(place)
    return np.array(kept, np.int32), groups


def unit_vectors(documents: Sequence[StoredDocument | None]) -> Float32s:
    """The vectors at length 1, float32 `[num_documents, dimension]`; zeros where there is none."""
    known = [None if document is None else document.vector for document in documents]
    dimension = next((len(vector) for vector in known if vector is not None), 1)
    vectors = np.zeros((len(known), dimension), np.float32)
    for i, vector in enumerate(known):
        if vector is not None:
            vectors[i] = vector
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors


class _Nearest:
    """The nearest of the documents kept so far."""

    def __init__(self, documents: Sequence[StoredDocument | None], least: float | None) -> None:
        self._least = least
        self._vectors = unit_vectors(documents if least is not None else ())
        self._kept = np.empty_like(self._vectors)
        self._places: list[int] = []

    def of(self, place: int) -> tuple[int, float] | None:
        """The nearest, of equal ones the best, and its cosine; None where none is near enough."""
        if self._least is None or not self._places:
            return None
        cosines = self._kept[: len(self._places)] @ self._vectors[place]
        best = int(np.argmax(cosines))
        # Rounding takes a vector from itself by a few parts in ten million.
        if cosines[best] < self._least - 1e-6:
            return None
        return self._places[best], min(1.0, float(cosines[best]))

    def keep(self, place: int) -> None:
        """Counts a document among those kept."""
        if self._least is not None:
            self._kept[len(self._places)] = self._vectors[place]
            self._places.append(place)


def _text_of(document: StoredDocument) -> tuple[str | None, str | None] | None:
    return None if document.text is None else (document.title or "", document.text)


def _value_of(document: StoredDocument | None, name: str) -> object:
    """The document's value of a field; None where it has none, or null."""
    if document is None or document.metadata is None or not name:
        return None
    return document.metadata.get(name)


def _name_of(value: object) -> str:
    """The same for values that are one, and for no others."""
    # 1 and 1.0 are one number, as in filters. Not every integer is a double.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)
