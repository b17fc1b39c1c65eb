"""Haystack's filters as the client's conditions."""

from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from operator import and_, or_
from typing import Any

from haystack.errors import FilterError

from twopass.client import Condition, document_ids, field

_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def condition_of(filters: Mapping[str, Any] | None) -> Condition | None:
    """The condition that a filter stands for; None for an empty one.

    Raises:
        FilterError: The filter is not one of Haystack's.
    """
    if not filters:
        return None
    return _comparison(filters) if "field" in filters else _logic(filters)


def field_name(name: str) -> str:
    """A metadata field's name without the prefix that Haystack allows."""
    return name.removeprefix("meta.")


def _logic(filters: Mapping[str, Any]) -> Condition:
    operator, conditions = _wanted(filters, "operator"), _wanted(filters, "conditions")
    parts = [part for one in conditions if (part := condition_of(one)) is not None]
    match operator:
        case "AND":
            return reduce(and_, parts)
        case "OR":
            return reduce(or_, parts)
        case "NOT":
            return ~reduce(and_, parts)
    raise FilterError(f"operator: {operator!r} given, AND, OR or NOT is needed")


def _comparison(filters: Mapping[str, Any]) -> Condition:
    name, operator, value = (_wanted(filters, key) for key in ("field", "operator", "value"))
    tested = field(field_name(name))
    match operator:
        case "==" if value is None:
            return tested.is_missing() | tested.equals(None)
        case "==":
            return document_ids([value]) if name == "id" else tested.equals(value)
        case "!=":
            return ~_comparison({**filters, "operator": "=="})
        case "in" | "not in":
            if not isinstance(value, list):
                raise FilterError(
                    f"{name}: {operator!r} needs a list, {type(value).__name__} given"
                )
            found = document_ids(value) if name == "id" else tested.is_in(value)
            return found if operator == "in" else ~found
        case ">" | ">=" | "<" | "<=":
            if value is None:  # nothing compares with None
                return tested.exists() & tested.is_missing()
            return tested.between(**{_BOUNDS[operator]: _bound(name, value)})
    raise FilterError(f"{name}: the operator {operator!r} is unknown")


def _bound(name: str, value: object) -> Any:
    """A bound of a range: texts that tell a time, and they alone among texts, are compared."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise FilterError(f"{name}: {value!r} is no time; texts have no order") from error
    if isinstance(value, list):
        raise FilterError(f"{name}: lists have no order")
    return value


def _wanted(filters: Mapping[str, Any], key: str) -> Any:
    if key not in filters:
        raise FilterError(f"{key}: missing in {dict(filters)}")
    return filters[key]
