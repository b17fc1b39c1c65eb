"""Filters as SQL over the table `documents`.

A field's value is asked for by its JSON type and its SQL value. A declared field's index is over
these very expressions, so SQLite uses it for tests of any kind::

    json_type(metadata, '$."year"') IN ('integer','real') AND json_extract(metadata, '$."year"') > 2

All values are bound. SQLite compares integers and doubles exactly with each other.
"""

import json
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
    has_moments,
)
from twopass.index.rows.field_sql import (
    Value,
    exists_among_lists,
    has_list_on_the_way,
    plain_value,
    some_among_lists,
    some_element,
)
from twopass.index.rows.time_sql import sortable, sortable_bounds
from twopass.index.schema import FieldType, IndexedField

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
        declared: The schema's indexed fields, whose types the tests must fit; tests of times look
            at the indexes of those of the type TIME.

    Raises:
        InvalidFilterError: A test can't pass any value of its field's declared type.
    """
    check_types(wanted, declared)
    compiler = _Compiler(
        frozenset(parse_field_name(x.field) for x in declared if x.type is FieldType.TIME)
    )
    return SqlCondition(compiler.filter(wanted), compiler.values)


class _Compiler:
    """Writes conditions, and collects what they bind.

    SQL's third truth value comes up where a field is not there. AND and OR carry it upwards as if
    it were false, and the negations, IS NOT TRUE, make it false.
    """

    def __init__(self, fields_of_times: frozenset[tuple[str, ...]]) -> None:
        """Begins with nothing.

        Args:
            fields_of_times: The keys of each field that has an index over its times.
        """
        self.values: dict[str, object] = {}
        self._names: dict[tuple[type, object], str] = {}
        self._fields_of_times = fields_of_times

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
        if isinstance(test, OneOf) and has_moments(test):
            others = tuple(v for v in test.values if not isinstance(v, Moment))
            if others:
                moments = tuple(v for v in test.values if isinstance(v, Moment))
                parts = [self._field(field, OneOf(some)) for some in (others, moments)]
                return _joined(" OR ", parts)
        plain = plain_value(field)
        has_list = f"{has_list_on_the_way(keys)} = 1"
        match test:
            case Exists() if len(keys) == 1:  # SQLite looks no IS NOT NULL up in an index
                return f"{plain.kind} > ''"
            case Exists():
                among_lists = f"({has_list} AND {exists_among_lists(keys)})"
                return f"({plain.kind} > '' OR {among_lists})"
            case IsMissing() if len(keys) == 1:
                return f"{plain.kind} IS NULL"
            case IsMissing():
                among_lists = f"({has_list} AND {exists_among_lists(keys)})"
                return f"({plain.kind} IS NULL AND {among_lists} IS NOT TRUE)"
        fits = partial(self._value, test)
        element_fits = some_element(field, fits)
        if has_moments(test) and keys not in self._fields_of_times:
            # A text is the one element of itself, and the long expression names a column, no path.
            # A bare EXISTS would become a join, of which SQLite plans 64 a hundred times slower.
            alternatives = [f"({plain.kind} IN ('text', 'array') AND +{element_fits})"]
        else:
            alternatives = [fits(plain), f"({plain.kind} = 'array' AND {element_fits})"]
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
                if (beyond := test.beyond) is not None:
                    parts.append(f"{found.value} < {self._bound(beyond)}")
                return _joined(" AND ", parts)

    def _in_range(self, test: InRange, found: Value) -> str:
        kind, value = f"{found.kind} {_NUMBER}", found.value
        if has_moments(test):
            return f"{found.kind} = 'text' AND {self._in_interval_of_time(test, found)}"
        if test.bounds and isinstance(test.bounds[0], str):
            kind = f"{found.kind} = 'text'"
        bounds = {">": test.gt, ">=": test.gte, "<": test.lt, "<=": test.lte}
        compared = [
            f"{value} {sign} {self._bound(bound)}"
            for sign, bound in bounds.items()
            if bound is not None
        ]
        return _joined(" AND ", [kind, *compared])

    def _in_interval_of_time(self, test: InRange, found: Value) -> str:
        """A test of a time, whose expression stands in it once: it is long."""
        earliest, latest = sortable_bounds(test)
        if latest is None:
            return f"{found.time} >= {self._bound(earliest or '')}"
        if earliest is None:
            return f"{found.time} <= {self._bound(latest)}"
        return f"{found.time} BETWEEN {self._bound(earliest)} AND {self._bound(latest)}"

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
        if isinstance(value, Moment):
            value = sortable(value)
        name = self._names.setdefault((type(value), value), f"filter{len(self._names)}")
        self.values[name] = value
        return f":{name}"


def _joined(operator: str, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({operator.join(parts)})"
