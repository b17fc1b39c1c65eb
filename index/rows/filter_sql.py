"""Filters as SQL over the table `documents`.

A field's value is asked for by its JSON type and its SQL value. A declared field's index is over
these very expressions, so SQLite uses it for tests of any kind::

    json_type(metadata, '$."year"') IN ('integer','real') AND json_extract(metadata, '$."year"') > 2

All values are bound. SQLite compares integers and doubles exactly with each other.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from twopass.index.documents import MAX_METADATA_DEPTH
from twopass.index.field_names import parse_field_name
from twopass.index.filter_types import check_types
from twopass.index.filters import (
    Bound,
    Condition,
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    Moment,
    OneOf,
    Scalar,
    StartsWith,
    Test,
    ValueTest,
)
from twopass.index.rows.field_sql import (
    Value,
    exists_among_lists,
    has_list_on_the_way,
    plain_value,
    some_among_lists,
    some_element,
)
from twopass.index.rows.time_sql import sortable
from twopass.index.schema import IndexedField

_NUMBER = "IN ('integer', 'real')"


@dataclass(frozen=True, slots=True)
class SqlCondition:
    """A condition for WHERE, true for documents that pass, and the values that it binds by name."""

    text: str
    values: dict[str, object]


def compile_filter(wanted: Filter, declared: Sequence[IndexedField] = ()) -> SqlCondition:
    """The filter as SQL.

    Args:
        wanted: The filter.
        declared: The schema's indexed fields, whose types its tests must fit.

    Raises:
        InvalidFilterError: A test can't pass any value of its field's declared type.
    """
    check_types(wanted, declared)
    compiler = _Compiler()
    return SqlCondition(compiler.filter(wanted), compiler.values)


class _Compiler:
    """Writes conditions, and collects what they bind.

    SQL's third truth value comes up where a field is not there. AND and OR carry it upwards as if
    it were false, and the negations, IS NOT TRUE, make it false.
    """

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def filter(self, wanted: Filter) -> str:
        parts = [self._condition(condition) for condition in wanted.must]
        if wanted.should:
            parts.append(_joined(" OR ", [self._condition(c) for c in wanted.should]))
        parts += [f"({self._condition(condition)}) IS NOT TRUE" for condition in wanted.must_not]
        return _joined(" AND ", parts) if parts else "TRUE"

    def _condition(self, condition: Condition) -> str:
        match condition:
            case FieldCondition(field, test):
                return self._field(field, test)
            case IdCondition(ids):
                return f"id {self._listed(ids)}"
            case Filter():
                return self.filter(condition)

    def _field(self, field: str, test: Test) -> str:
        keys = parse_field_name(field)
        if len(keys) > MAX_METADATA_DEPTH:  # no metadata is so deep
            return "TRUE" if isinstance(test, IsMissing) else "FALSE"
        plain = plain_value(field)
        has_list = f"{has_list_on_the_way(keys)} = 1"
        match test:
            case Exists() if len(keys) == 1:
                return f"{plain.kind} IS NOT NULL"
            case Exists():
                among_lists = f"({has_list} AND {exists_among_lists(keys)})"
                return f"({plain.kind} IS NOT NULL OR {among_lists})"
            case IsMissing() if len(keys) == 1:
                return f"{plain.kind} IS NULL"
            case IsMissing():
                among_lists = f"({has_list} AND {exists_among_lists(keys)})"
                return f"({plain.kind} IS NULL AND {among_lists} IS NOT TRUE)"
        fits = partial(self._value, test)
        alternatives = [fits(plain), f"({plain.kind} = 'array' AND {some_element(field, fits)})"]
        if len(keys) > 1:
            alternatives.append(f"({has_list} AND {some_among_lists(keys, fits)})")
        return _joined(" OR ", alternatives)

    def _value(self, test: ValueTest, found: Value) -> str:
        """A test of one value."""
        match test:
            case OneOf(values):
                return self._one_of(values, found)
            case InRange():
                return self._in_range(test, found)
            case StartsWith(prefix):
                parts = [f"{found.kind} = 'text'", f"{found.value} >= {self._bound(prefix)}"]
                if (beyond := _after_all_with(prefix)) is not None:
                    parts.append(f"{found.value} < {self._bound(beyond)}")
                return _joined(" AND ", parts)

    def _in_range(self, test: InRange, found: Value) -> str:
        kind, value = f"{found.kind} {_NUMBER}", found.value
        match next(iter(test.bounds), 0):
            case str():
                kind = f"{found.kind} = 'text'"
            case Moment():
                kind, value = f"{found.kind} = 'text'", found.time
        bounds = {">": test.gt, ">=": test.gte, "<": test.lt, "<=": test.lte}
        compared = [
            f"{value} {sign} {self._bound(bound)}"
            for sign, bound in bounds.items()
            if bound is not None
        ]
        return _joined(" AND ", [kind, *compared])

    def _one_of(self, values: Sequence[Scalar], found: Value) -> str:
        texts = [v for v in values if isinstance(v, str)]
        moments = [sortable(v) for v in values if isinstance(v, Moment)]
        # A bool is an int to Python, as it is to json_extract.
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        alternatives = [
            f"{found.kind} = '{name}'"
            for name, named in (("true", True), ("false", False), ("null", None))
            if any(v is named for v in values)
        ]
        if texts:
            alternatives.append(f"({found.kind} = 'text' AND {found.value} {self._listed(texts)})")
        if moments:
            alternatives.append(f"({found.kind} = 'text' AND {found.time} {self._listed(moments)})")
        if numbers:
            alternatives.append(
                f"({found.kind} {_NUMBER} AND {found.value} {self._listed(numbers)})"
            )
        return _joined(" OR ", alternatives) if alternatives else "FALSE"

    def _listed(self, values: Sequence[str | int | float]) -> str:
        if len(values) == 1:
            return f"= {self._bound(values[0])}"
        return f"IN (SELECT value FROM json_each({self._bound(json.dumps(list(values)))}))"

    def _bound(self, value: Bound) -> str:
        name = f"filter{len(self.values)}"
        self.values[name] = sortable(value) if isinstance(value, Moment) else value
        return f":{name}"


def _joined(operator: str, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({operator.join(parts)})"


def _after_all_with(prefix: str) -> str | None:
    """The least text beyond all that begin with the prefix; None where there is none."""
    for end in range(len(prefix), 0, -1):
        following = ord(prefix[end - 1]) + 1
        if following == 0xD800:
            following = 0xE000  # what is between are surrogates, which no text holds
        if following <= sys.maxunicode:
            return prefix[: end - 1] + chr(following)
    return None
