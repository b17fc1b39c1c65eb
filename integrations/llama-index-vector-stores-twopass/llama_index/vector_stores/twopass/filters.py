"""LlamaIndex's metadata filters as conditions of the client.

A list in metadata passes a test if one of its elements does, as everywhere in twopass. A document
without the field passes `!=`, `nin` and `is_empty` alone, as in LlamaIndex's own store.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import reduce
from operator import and_, or_

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from twopass.client import Condition, Field, FieldType

_BOUNDS = {
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
}
_MOST_VALUES = 1_000  # of one `is_in`; more are joined by |

# What a field holds that is not empty, by the type that the schema declares for it: a collection
# refuses a test that no value of a declared type could pass.
_CONTENT: Mapping[str, Callable[[Field], Condition]] = {
    FieldType.TEXT: lambda field: field > "",
    FieldType.TIME: lambda field: field > "",
    FieldType.NUMBER: lambda field: field >= -math.inf,
    FieldType.BOOL: lambda field: field.is_in([True, False]),
}


def condition_of(
    filters: MetadataFilters | None, declared: Mapping[str, str] | None = None
) -> Condition | None:
    """The condition that filters stand for; None where they let everything pass.

    A key with dots is the key as it stands, or a way into nested objects: both are tried.

    Args:
        filters: The filters, nested as they may be. Without a condition, all of them must hold;
            a group without filters counts as if it were not there.
        declared: The collection's `indexed_fields`, needed where `tests_emptiness` says so.

    Raises:
        ValueError: An operator tests for parts of texts, or a value does not fit its operator.
    """
    if filters is None:
        return None
    parts = [part for each in filters.filters if (part := _part(each, declared or {})) is not None]
    if not parts:
        return None
    if filters.condition is FilterCondition.OR:
        return reduce(or_, parts)
    if filters.condition is FilterCondition.NOT:  # none of them may hold
        return ~reduce(or_, parts)
    return reduce(and_, parts)


def tests_emptiness(filters: MetadataFilters | None) -> bool:
    """Whether filters need to know the collection's declared fields."""
    return filters is not None and any(
        tests_emptiness(each)
        if isinstance(each, MetadataFilters)
        else each.operator is FilterOperator.IS_EMPTY
        for each in filters.filters
    )


def _part(part: MetadataFilter | MetadataFilters, declared: Mapping[str, str]) -> Condition | None:
    if isinstance(part, MetadataFilters):
        return condition_of(part, declared)
    return _condition(part, declared)


def _condition(wanted: MetadataFilter, declared: Mapping[str, str]) -> Condition:
    match wanted.operator:
        case FilterOperator.EQ | FilterOperator.CONTAINS:
            return _equals(wanted.key, _scalar(wanted))
        case FilterOperator.NE:
            return ~_equals(wanted.key, _scalar(wanted))
        case FilterOperator.GT | FilterOperator.GTE | FilterOperator.LT | FilterOperator.LTE:
            bound = {_BOUNDS[wanted.operator]: _scalar(wanted)}
            return _any(wanted.key, lambda field: field.between(**bound))
        case FilterOperator.IN | FilterOperator.ANY:
            return _is_in(wanted.key, _listed(wanted))
        case FilterOperator.NIN:
            return ~_is_in(wanted.key, _listed(wanted))
        case FilterOperator.ALL:
            values = _listed(wanted)
            equal = (_equals(wanted.key, value) for value in values)
            return reduce(and_, equal) if values else _any(wanted.key, _is_known)
        case FilterOperator.IS_EMPTY:
            return ~_any(wanted.key, lambda field: _has_content(field, declared))
    raise ValueError(
        f"filters: {wanted.key}: the operator {wanted.operator.value!r} given, parts of texts in "
        "metadata can't be tested for; search the words of the text itself by "
        "Retrieve(words=WordClauses(required=[...])), or filter what comes back"
    )


def _any(key: str, test: Callable[[Field], Condition]) -> Condition:
    """Whether the value of a key passes a test."""
    fields = [Field(key)]
    if "." in key and not key.startswith('"'):
        fields.append(Field(json.dumps(key, ensure_ascii=False)))
    return reduce(or_, map(test, fields))


def _equals(key: str, value: str | float) -> Condition:
    return _any(key, lambda field: field.equals(value))


def _is_in(key: str, values: list[str | float]) -> Condition:
    if not values:
        return _any(key, lambda field: field.exists() & field.is_missing())  # nothing passes
    chunks = [values[i : i + _MOST_VALUES] for i in range(0, len(values), _MOST_VALUES)]
    return _any(key, lambda field: reduce(or_, map(field.is_in, chunks)))


def _is_known(field: Field) -> Condition:
    return field.exists() & ~field.equals(None)


def _has_content(field: Field, declared: Mapping[str, str]) -> Condition:
    """The field has a number, true, false, or a text with characters, alone or in a list."""
    if content := _CONTENT.get(declared.get(field.name, "")):
        return content(field)
    tests = (_CONTENT[kind](field) for kind in (FieldType.TEXT, FieldType.NUMBER, FieldType.BOOL))
    return reduce(or_, tests)


def _scalar(wanted: MetadataFilter) -> str | float:
    if wanted.value is None or isinstance(wanted.value, list):
        given = "None" if wanted.value is None else "a list"
        way_out = "is_empty" if wanted.value is None else "in, any or all"
        raise ValueError(
            f"filters: {wanted.key}: {given} given for the operator {wanted.operator.value!r}, a "
            f"text or a number is needed; see the operator {way_out}"
        )
    return wanted.value


def _listed(wanted: MetadataFilter) -> list[str | float]:
    if not isinstance(wanted.value, list):
        raise ValueError(
            f"filters: {wanted.key}: {wanted.value!r} given for the operator "
            f"{wanted.operator.value!r}, a list is needed"
        )
    return list(wanted.value)
