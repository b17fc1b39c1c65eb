"""The values of a metadata field, counted here, since Milvus counts none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from twopass.index.facets import Facet, FacetScalar, FacetValue
from twopass.index.milvus.facts import sortable_number, values_of
from twopass.index.milvus.times import moment_of, sortable_of_text

_ORDER = ("null", "false", "true", "number", "text")


class FacetCount:
    """The values that a field has in the documents counted so far."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Begins with no document.

        Args:
            keys: The field's keys, from the outermost.
        """
        self._keys = keys
        self._num_documents = 0
        self._counts: Counter[tuple[str, FacetScalar]] = Counter()

    def add(self, metadata: Mapping[str, Any]) -> None:
        """Counts a document."""
        values = values_of(metadata, self._keys)
        if values is not None:
            self._num_documents += 1
            self._counts.update(set(map(_distinct, values)))

    def facet(self, field: str, limit: int, max_bytes: int | None) -> Facet:
        """Describes the values.

        Args:
            field: The field's name, as filters have it.
            limit: Most values to return.
            max_bytes: Most bytes of texts among the values; None for any number. The first that
                does not fit ends the values.
        """
        most_frequent = sorted(self._counts.items(), key=lambda each: (-each[1], _order(each[0])))
        values = []
        num_bytes = 0
        for (kind, value), num_documents in most_frequent[:limit]:
            if isinstance(value, str):
                num_bytes += len(value.encode())
                if max_bytes is not None and num_bytes > max_bytes:
                    break
            values.append(FacetValue(_plain(kind, value), num_documents))
        numbers = [value for kind, value in self._counts if kind == "number"]
        texts = [value for value in map(_text_of, self._counts) if value is not None]
        times = [time for time in map(sortable_of_text, texts) if time is not None]
        return Facet(
            field=field,
            num_documents=self._num_documents,
            num_values=len(self._counts),
            values=tuple(values),
            numbers=_ends(numbers, sortable_number),
            texts=(min(texts), max(texts)) if texts else None,
            times=(moment_of(min(times)), moment_of(max(times))) if times else None,
        )


def _distinct(value: Any) -> tuple[str, FacetScalar]:
    """A value with its kind, so that 1 and 1.0 are one, and true is another."""
    match value:
        case None:
            return "null", None
        case bool():
            return ("true" if value else "false"), None
        case str():
            return "text", value
    return "number", _whole(value)


def _whole(number: int | float) -> int | float:
    """A number, as an int where it is whole and fits into 64 bits."""
    if isinstance(number, float) and number.is_integer() and -(2.0**63) <= number < 2.0**63:
        return int(number)
    return number


def _plain(kind: str, value: FacetScalar) -> FacetScalar:
    return kind == "true" if kind in ("true", "false") else value


def _order(distinct: tuple[str, FacetScalar]) -> tuple[int, str]:
    kind, value = distinct
    if kind == "number":
        assert isinstance(value, int | float)
        return _ORDER.index(kind), sortable_number(value)
    return _ORDER.index(kind), value if isinstance(value, str) else ""


def _text_of(distinct: tuple[str, FacetScalar]) -> str | None:
    kind, value = distinct
    return value if kind == "text" and isinstance(value, str) else None


def _ends(numbers: Sequence[Any], key: Any) -> tuple[int | float, int | float] | None:
    return (min(numbers, key=key), max(numbers, key=key)) if numbers else None
