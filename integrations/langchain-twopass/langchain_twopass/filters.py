"""LangChain's filters as the client's conditions.

A filter is a mapping in the notation that LangChain's vector stores share, an expression of
`langchain_core.structured_query`, or a condition of the client itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from operator import and_, or_
from typing import Any, TypeAlias

from langchain_core.structured_query import (
    Comparator,
    Comparison,
    FilterDirective,
    Operation,
    Operator,
    StructuredQuery,
    Visitor,
)

from twopass.client import Condition, Field, field
from twopass.v1.filter_pb2 import Filter

TwopassFilter: TypeAlias = Mapping[str, Any] | FilterDirective | Condition | Filter
"""What `filter` may be."""

# The server's limit of values that one test compares with.
_MAX_VALUES = 1_000
_BOUNDS = {"$gt": "gt", "$gte": "gte", "$lt": "lt", "$lte": "lte"}
_JOINED = ("$and", "$or", "$not")


class FilterError(ValueError):
    """A filter that can't be translated; the message names its part, and the way out."""


def condition_of(given: TwopassFilter | None) -> Condition | Filter | None:
    """The condition that a filter stands for; None for None and for an empty mapping.

    Raises:
        FilterError: It is not one of the notations, or an operator is unknown.
        InvalidArgumentError: A value can't be compared with, such as an integer beyond 64 bits.
        TypeError: A value is of a type that metadata does not have.
    """
    if given is None or isinstance(given, Condition | Filter):
        return given
    if isinstance(given, FilterDirective):
        condition: Condition = given.accept(TwopassTranslator())
        return condition
    if isinstance(given, Mapping):
        return _of_mapping(given, "filter") if given else None
    raise FilterError(
        f"filter: a mapping, a FilterDirective or a Condition of twopass.client is needed, "
        f"{type(given).__name__} given"
    )


class TwopassTranslator(Visitor):
    """Translates what a language model made of a question, for `SelfQueryRetriever`.

    ```python
    SelfQueryRetriever.from_llm(
        model, store, "Films", fields, structured_query_translator=TwopassTranslator()
    )
    ```
    """

    allowed_comparators: Sequence[Comparator] = (
        Comparator.EQ,
        Comparator.NE,
        Comparator.GT,
        Comparator.GTE,
        Comparator.LT,
        Comparator.LTE,
        Comparator.CONTAIN,
        Comparator.IN,
        Comparator.NIN,
    )
    allowed_operators: Sequence[Operator] = (Operator.AND, Operator.OR, Operator.NOT)

    def visit_operation(self, operation: Operation) -> Condition:
        """Joins the conditions of the arguments."""
        self._validate_func(operation.operator)
        parts = [argument.accept(self) for argument in operation.arguments]
        if not parts:
            raise FilterError(f"{operation.operator}: no argument given, at least one is needed")
        match operation.operator:
            case Operator.AND:
                return _all(parts)
            case Operator.OR:
                return _any(parts)
        return ~_all(parts)

    def visit_comparison(self, comparison: Comparison) -> Condition:
        """Tests one field."""
        self._validate_func(comparison.comparator)
        is_contained = comparison.comparator == Comparator.CONTAIN  # a list has it, or it is equal
        operator = "$eq" if is_contained else f"${comparison.comparator.value}"
        value = comparison.value
        if isinstance(value, list | tuple):
            value = [_moment_or(each) for each in value]
        return _test(comparison.attribute, operator, _moment_or(value))

    def visit_structured_query(
        self, structured_query: StructuredQuery
    ) -> tuple[str, dict[str, Any]]:
        """The question that is left, and `filter` for the search."""
        if structured_query.filter is None:
            return structured_query.query, {}
        return structured_query.query, {"filter": structured_query.filter.accept(self)}


def _moment_or(value: Any) -> Any:
    """A date or a time for the two mappings that LangChain's query language has for them."""
    match value:
        case {"type": "date", "date": str(text)}:
            return date.fromisoformat(text)
        case {"type": "datetime", "datetime": str(text)}:
            return datetime.fromisoformat(text)
    return value


def _of_mapping(given: object, where: str) -> Condition:
    if not isinstance(given, Mapping) or not given:
        raise FilterError(f"{where}: {given!r} given, a mapping with at least one key is needed")
    return _all(_of_key(key, value) for key, value in given.items())


def _of_key(key: object, value: Any) -> Condition:
    if not isinstance(key, str):
        raise FilterError(f"filter: {key!r} given, a field's name or an operator is needed")
    if key == "$not":
        return ~_of_mapping(value, "$not")
    if key in _JOINED:
        if not isinstance(value, list | tuple) or not value:
            raise FilterError(f"{key}: {value!r} given, a list of filters is needed")
        join = _all if key == "$and" else _any
        return join(_of_mapping(each, key) for each in value)
    if key.startswith("$"):
        raise FilterError(
            f"filter: the operator {key} joins no filters; {', '.join(_JOINED)} do, and others "
            'stand below a field, as in {"year": {"$gte": 1990}}'
        )
    return _of_field(key, value)


def _of_field(name: str, value: Any) -> Condition:
    if not isinstance(value, Mapping):
        return _test(name, "$eq", value)
    if not value or not all(isinstance(key, str) and key.startswith("$") for key in value):
        raise FilterError(
            f"{name}: {dict(value)!r} given, operators are needed; a field inside an object is "
            f'named with a dot, as in "{name}.{next(iter(value), "key")}"'
        )
    parts = [_test(name, key, each) for key, each in value.items() if key not in _BOUNDS]
    # Together, so that of a list one element must lie within all of them.
    bounds = {key: each for key, each in value.items() if key in _BOUNDS}
    if bounds:
        parts.append(_within(name, bounds))
    return _all(parts)


def _test(name: str, operator: str, value: Any) -> Condition:
    tested = field(name)
    match operator:
        case "$eq":
            return _equal(tested, value)
        case "$ne":
            return ~_equal(tested, value)
        case "$in" | "$nin":
            found = _one_of(tested, _listed(name, operator, value))
            return found if operator == "$in" else ~found
        case "$gt" | "$gte" | "$lt" | "$lte":
            return _within(name, {operator: value})
        case "$between":
            pair = _listed(name, operator, value)
            if len(pair) != 2:
                raise FilterError(f"{name}: $between {value!r} given, two bounds are needed")
            return _within(name, {"$gte": pair[0], "$lte": pair[1]})
        case "$exists":
            if not isinstance(value, bool):
                raise FilterError(f"{name}: $exists {value!r} given, true or false is needed")
            return tested.exists() if value else tested.is_missing()
        case "$starts_with":
            return tested.starts_with(value)
        case "$not":
            if not isinstance(value, Mapping):
                raise FilterError(f"{name}: $not {value!r} given, operators are needed")
            return ~_of_field(name, value)
    raise FilterError(
        f"{name}: the operator {operator} is unknown; $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, "
        "$between, $exists, $starts_with and $not are known"
    )


def _equal(tested: Field, value: Any) -> Condition:
    if value is None:
        return tested.is_missing() | tested.equals(None)
    if isinstance(value, list | tuple | set | Mapping):
        raise FilterError(
            f"{tested.name}: {value!r} given, one value is needed; a list in metadata has a value "
            "when it equals it, and $in tests for several"
        )
    return tested.equals(value)


def _one_of(tested: Field, values: Sequence[Any]) -> Condition:
    listed = [value for value in values if value is not None]
    groups = [
        tested.is_in(listed[start : start + _MAX_VALUES])
        for start in range(0, len(listed), _MAX_VALUES)
    ]
    if len(listed) < len(values):
        groups.append(_equal(tested, None))
    if not groups:
        return tested.exists() & tested.is_missing()  # passed by no document
    return _any(groups)


def _within(name: str, bounds: Mapping[str, Any]) -> Condition:
    for operator, bound in bounds.items():
        if bound is None or isinstance(bound, bool | list | tuple | Mapping):
            raise FilterError(
                f"{name}: {operator} {bound!r} given, a number, a text, a date or a datetime is "
                "needed, which alone have an order"
            )
    return field(name).between(**{_BOUNDS[operator]: bound for operator, bound in bounds.items()})


def _listed(name: str, operator: str, value: Any) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise FilterError(f"{name}: {operator} {value!r} given, a list is needed")
    return list(value)


def _joined(
    join: Callable[[Condition, Condition], Condition],
) -> Callable[[Iterable[Condition]], Condition]:
    return lambda parts: reduce(join, parts)


_all, _any = _joined(and_), _joined(or_)
