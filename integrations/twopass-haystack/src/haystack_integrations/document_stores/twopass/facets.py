"""What the store tells about the values of metadata."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from haystack_integrations.document_stores.twopass.converters import NO_EMBEDDING
from haystack_integrations.document_stores.twopass.filters import field_path

from twopass.client import Condition, Facet, field

MAX_VALUES = 10_000
"""Most values of a field that the server lists."""


def min_max(facet: Facet) -> dict[str, Any]:
    """The least and the greatest number of a field; of its texts where it has no number."""
    least, greatest = facet.numbers or facet.texts or (None, None)
    return {"min": least, "max": greatest}


class UniqueValues:
    """A field's distinct values, 1 and 1.0 apart, as Haystack wants them.

    Filters and facets of the server take them for one number. Which of both a document has is seen
    in the documents alone: those are to be looked at that `doubtful` selects.
    """

    def __init__(self, name: str, facet: Facet) -> None:
        self._parts = name.removeprefix("meta.").split(".")
        self._facet = facet
        self._path = field_path(name)
        self._kinds: dict[Any, set[type]] = defaultdict(set)  # of each whole number

    def doubtful(self, condition: Condition | None) -> Condition | None:
        """Which of the documents that pass a condition are to be looked at; None for none."""
        if self._facet.numbers is None or not any(map(_is_whole, self._listed())):
            return None
        numeric = field(self._path).between(*self._facet.numbers)
        return numeric if condition is None else condition & numeric

    def look_at(self, metadata: Mapping[str, Any]) -> None:
        """Notes which whole numbers a document has as which type."""
        for value in _values_at(metadata, self._parts):
            if _is_whole(value):
                self._kinds[value].add(type(value))

    def page(self, search_term: str | None, from_: int, size: int) -> tuple[list[Any], int]:
        """A page of the values, the most frequent first, and how many there are in all.

        Args:
            search_term: Counts only values that contain it, whatever its case. None: all.
            from_: How many values to skip.
            size: Most values to return.

        Raises:
            ValueError: The values asked for are beyond what the server lists.
        """
        if from_ < 0 or size < 0:
            raise ValueError(f"from_, size: {from_} and {size} given, at least 0 are needed")
        num_unlisted = self._facet.num_values - len(self._facet.values)
        if num_unlisted and (search_term or from_ + size > MAX_VALUES):
            raise ValueError(
                f"{self._path}: the field has {self._facet.num_values:,} values, of which the "
                f"{MAX_VALUES:,} most frequent are listed and searched; narrow them by filters"
            )
        values = [typed for value in self._listed() for typed in self._typed(value)]
        num_values = self._facet.num_values + sum(len(each) - 1 for each in self._kinds.values())
        if search_term:
            values = [value for value in values if search_term.lower() in str(value).lower()]
            num_values = len(values)
        return values[from_ : from_ + size], num_values

    def _listed(self) -> Iterator[Any]:
        return (one.value for one in self._facet.values)

    def _typed(self, value: Any) -> list[Any]:
        """A listed value in the types that documents have it in, int before float."""
        if not (_is_whole(value) and self._kinds[value]):
            return [value]
        return [kind(value) for kind in (int, float) if kind in self._kinds[value]]


def note_fields(info: dict[str, dict[str, str]], metadata: Mapping[str, Any]) -> None:
    """Adds to `info` the fields that a document has a value of, with its type, if they are new."""
    for name, value in metadata.items():
        if name not in info and name != NO_EMBEDDING and value not in (None, []):
            info[name] = {"type": _type_of(value)}


def _type_of(value: Any) -> str:
    """A value's type by the name that Haystack's stores have for it; a list has its elements'."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "long"
        case float():
            return "float"
        case list():
            return _type_of(value[0])
        case Mapping():
            return "object"
    return "keyword"


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def _values_at(value: Any, parts: list[str]) -> Iterator[Any]:
    """The values that a path leads to, through objects and lists."""
    if isinstance(value, list):
        for each in value:
            yield from _values_at(each, parts)
    elif not parts:
        yield value
    elif isinstance(value, Mapping) and parts[0] in value:
        yield from _values_at(value[parts[0]], parts[1:])
