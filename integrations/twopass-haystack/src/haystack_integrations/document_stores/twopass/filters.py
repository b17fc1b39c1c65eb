"""Haystack's filters as the client's conditions.

What passes is what passes `haystack.utils.filters.document_matches_filter`, but for what JSON and
the server's index tell apart or take together: true is not 1, a list passes a test if one of its
elements does, and a time without an offset is in UTC.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial, reduce
from operator import and_, or_
from typing import Any

from haystack.errors import FilterError

from twopass.client import Condition, InvalidArgumentError, document_ids, field

_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_ATTRIBUTES = frozenset({"content", "blob", "score", "embedding", "sparse_embedding"})
# Of the contract: most values of one membership test, and most ids of one.
_MAX_VALUES, _MAX_IDS = 1_000, 10_000
_ANY_FIELD = field("_")

NOTHING = _ANY_FIELD.exists() & _ANY_FIELD.is_missing()
"""Passed by no document."""
EVERYTHING = _ANY_FIELD.exists() | _ANY_FIELD.is_missing()
"""Passed by every document."""


def condition_of(filters: Mapping[str, Any] | None) -> Condition | None:
    """The condition that a filter stands for; None for an empty one, which all documents pass.

    Raises:
        FilterError: The filter is not one of Haystack's, or compares what has no order.
    """
    if not filters:
        return None
    try:
        return _condition(filters)
    except (InvalidArgumentError, TypeError) as error:
        raise FilterError(str(error)) from error


def field_path(name: str) -> str:
    """The path of a metadata field as the client takes it, without the prefix that Haystack allows.

    Dots reach into objects, in Haystack as in the client, for which a part may be a JSON string
    too: that is what a part becomes which begins like one, or is empty.
    """
    parts = name.removeprefix("meta.").split(".")
    return ".".join(
        part if part and not part.startswith('"') else json.dumps(part, ensure_ascii=False)
        for part in parts
    )


def _condition(filters: Mapping[str, Any]) -> Condition:
    if not isinstance(filters, Mapping):
        raise FilterError(f"filters: a dict is needed, {type(filters).__name__} given")
    return _comparison(filters) if "field" in filters else _logic(filters)


def _logic(filters: Mapping[str, Any]) -> Condition:
    operator, conditions = _wanted(filters, "operator"), _wanted(filters, "conditions")
    parts = [_condition(each) for each in conditions]
    match operator:
        case "AND":
            return _all(parts)
        case "OR":
            return _any(parts)
        case "NOT":
            return ~_all(parts)
    raise FilterError(f"operator: {operator!r} given, AND, OR or NOT is needed")


def _comparison(filters: Mapping[str, Any]) -> Condition:
    name, operator, value = (_wanted(filters, key) for key in ("field", "operator", "value"))
    if name in _ATTRIBUTES:
        raise FilterError(
            f"field: {name!r} given; id and the fields of meta are filtered by, as in 'meta.{name}'"
        )
    equals = _id_equals if name == "id" else partial(_field_equals, field_path(name))
    match operator:
        case "==":
            return equals([value])
        case "!=":
            return ~equals([value])
        case "in" | "not in":
            if not isinstance(value, list):
                raise FilterError(
                    f"{name}: {operator!r} needs a list, {type(value).__name__} given"
                )
            return equals(value) if operator == "in" else ~equals(value)
        case ">" | ">=" | "<" | "<=":
            return _interval(name, operator, value)
    raise FilterError(f"{name}: the operator {operator!r} is unknown")


def _id_equals(values: list[Any]) -> Condition:
    ids = [value for value in values if isinstance(value, str)]
    return _any(document_ids(group) for group in _groups(ids, _MAX_IDS))


def _field_equals(path: str, values: list[Any]) -> Condition:
    """The test whether a field equals one of some values; where it is missing, it equals None."""
    tested = field(path)
    times = [time for value in values if (time := _time(value)) is not None]
    groups = _groups([*values, *times], _MAX_VALUES)
    tests = [tested.is_in(group) if len(group) > 1 else tested.equals(*group) for group in groups]
    return _any([tested.is_missing(), *tests] if None in values else tests)


def _interval(name: str, operator: str, value: Any) -> Condition:
    """The test whether a field lies beyond a bound: texts that tell a time alone have an order."""
    if name == "id":
        raise FilterError(f"id: {operator!r} given; ids have no order")
    if value is None:  # nothing compares with None
        return NOTHING
    if isinstance(value, float) and math.isnan(value):
        raise FilterError(f"{name}: NaN given, which has no order; a number is needed")
    bound = value
    if isinstance(value, str):
        bound = _time(value)
        if bound is None:
            raise FilterError(
                f"{name}: {value!r} given; of texts those alone have an order that tell a time as "
                "ISO 8601 does"
            )
    return field(field_path(name)).between(**{_BOUNDS[operator]: bound})


def _time(value: object) -> datetime | None:
    """The moment that a text tells, if it is a date or begins with one."""
    if not (isinstance(value, str) and value[:4].isdigit() and value[4:5] == "-"):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _groups(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _all(conditions: Iterable[Condition]) -> Condition:
    listed = list(conditions)
    return reduce(and_, listed) if listed else EVERYTHING


def _any(conditions: Iterable[Condition]) -> Condition:
    listed = list(conditions)
    return reduce(or_, listed) if listed else NOTHING


def _wanted(filters: Mapping[str, Any], key: str) -> Any:
    if key not in filters:
        raise FilterError(f"{key}: missing in {dict(filters)}")
    return filters[key]
