"""Filters as SQL over a collection's table of documents.

A test of a field is a path of SQL/JSON, which the index over the metadata answers where values are
equal to given ones::

    metadata @? '$."year" ? (@.type() == "number" && @ > 2)'

Declared fields have indexes of their own, in order, over the value that objects alone lead to: a
test of an interval or of a beginning asks for that value, and for the path only where a list is on
the way. All values are bound.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from twopass.index.documents import MAX_METADATA_DEPTH
from twopass.index.field_names import parse_field_name
from twopass.index.filter_types import check_types
from twopass.index.filters import (
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
from twopass.index.postgres.declared_fields import DeclaredField, declared_fields
from twopass.index.postgres.json_paths import path_of, tested
from twopass.index.postgres.moments import seconds_of
from twopass.index.postgres.stored_texts import stored, stored_json, stored_number
from twopass.index.schema import FieldType, IndexedField

# A path of more alternatives is nested as deep, and PostgreSQL's stack is bounded.
_MOST_IN_A_PATH = 64


@dataclass(slots=True)
class Bindings:
    """The values that a statement binds, by number.

    Attributes:
        values: In the order of their numbers, from 1.
    """

    values: list[object] = field(default_factory=list)

    def add(self, value: object, type_: str) -> str:
        """Binds a value; returns SQL of it."""
        self.values.append(value)
        return f"${len(self.values)}::{type_}"


@dataclass(frozen=True, slots=True)
class CompiledFilter:
    """A filter that fits the declared fields of its collection.

    It is made once and written into many statements, whose other bindings differ.

    Attributes:
        wanted: The filter.
        declared: The collection's declared fields.
        schema: The store's schema in the database, as SQL.
    """

    wanted: Filter
    declared: tuple[DeclaredField, ...]
    schema: str

    def sql(self, bindings: Bindings) -> str:
        """A condition for WHERE, true for documents that pass."""
        return _Compiler(self.declared, self.schema, bindings).filter(self.wanted)

    @property
    def passes_everything(self) -> bool:
        """Whether every document passes, whatever it holds."""
        return self.wanted == _EVERYTHING


_EVERYTHING = Filter()


def compile_filter(
    wanted: Filter, declared: Sequence[IndexedField] = (), schema: str = "twopass"
) -> CompiledFilter:
    """Checks a filter.

    Args:
        wanted: The filter.
        declared: The schema's indexed fields, whose types the tests must fit.
        schema: The store's schema in the database, as SQL.

    Raises:
        InvalidFilterError: A test can't pass any value of its field's declared type.
    """
    check_types(wanted, declared)
    return CompiledFilter(wanted, declared_fields(declared, schema), schema)


class _Compiler:
    """Writes conditions.

    A field that is not there makes some conditions NULL. AND and OR carry it upwards as if it were
    false, and the negations, IS NOT TRUE, make it true where they stand.
    """

    def __init__(self, declared: Sequence[DeclaredField], schema: str, bindings: Bindings) -> None:
        self._declared = {one.keys: one for one in declared}
        self._schema = schema
        self._bindings = bindings

    def filter(self, wanted: Filter) -> str:
        parts = [self._condition(condition) for condition in wanted.must]
        if wanted.should:
            parts.append(_joined(" OR ", [self._condition(c) for c in wanted.should]))
        parts += [f"({self._condition(condition)}) IS NOT TRUE" for condition in wanted.must_not]
        return _joined(" AND ", parts) if parts else "TRUE"

    def _condition(self, condition: Condition) -> str:
        match condition:
            case FieldCondition(name, test):
                return self._field(parse_field_name(name), test)
            case IdCondition(ids):
                return f"id = ANY({self._bindings.add([stored(one) for one in ids], 'text[]')})"
            case Filter():
                return self.filter(condition)

    def _field(self, keys: tuple[str, ...], test: Test) -> str:
        if len(keys) > MAX_METADATA_DEPTH:  # no metadata is so deep
            return "TRUE" if isinstance(test, IsMissing) else "FALSE"
        match test:
            case Exists():
                return self._is_there(path_of(keys))
            case IsMissing():
                return f"({self._is_there(path_of(keys))}) IS NOT TRUE"
            case OneOf(values):
                return self._one_of(keys, values)
            case _ if has_moments(test):
                return self._with_declared(keys, test, self._tells_a_time(keys, test))
        path = tested(keys, test)
        if path is None:
            return "FALSE"
        return self._with_declared(keys, test, self._is_there(path))

    def _is_there(self, path: str) -> str:
        return f"metadata @? {self._bindings.add(path, 'text')}::jsonpath"

    def _one_of(self, keys: tuple[str, ...], values: Sequence[Scalar]) -> str:
        moments = tuple(v for v in values if isinstance(v, Moment))
        others = tuple(v for v in values if not isinstance(v, Moment))
        alternatives = []
        if len(others) > _MOST_IN_A_PATH:
            alternatives.append(self._one_of_many(keys, others))
        elif others and (path := tested(keys, OneOf(others))) is not None:
            alternatives.append(self._is_there(path))
        if moments:
            wanted = OneOf(moments)
            alternatives.append(self._with_declared(keys, wanted, self._tells_a_time(keys, wanted)))
        return _joined(" OR ", alternatives) if alternatives else "FALSE"

    def _one_of_many(self, keys: tuple[str, ...], values: Sequence[Scalar]) -> str:
        listed = self._bindings.add([_as_json(v) for v in values if _is_finite(v)], "jsonb[]")
        return f"EXISTS (SELECT FROM {self._elements(keys)} AS found WHERE found = ANY({listed}))"

    def _elements(self, keys: tuple[str, ...]) -> str:
        """All values of a field, of lists their elements, one a row."""
        path = self._bindings.add(f"{path_of(keys)}[*]", "text")
        return f"jsonb_path_query(metadata, {path}::jsonpath)"

    def _tells_a_time(self, keys: tuple[str, ...], test: ValueTest) -> str:
        holds = self._holds(f"{self._schema}.moment_of(found #>> '{{}}')", test)
        return (
            f"EXISTS (SELECT FROM {self._elements(keys)} AS found "
            f"WHERE jsonb_typeof(found) = 'string' AND {holds})"
        )

    def _with_declared(self, keys: tuple[str, ...], test: ValueTest, everywhere: str) -> str:
        """A test that looks into the field's own index first, if it has one.

        Args:
            keys: The field's.
            test: The test.
            everywhere: SQL of the test wherever a value may be.
        """
        declared = self._declared.get(keys)
        if declared is None or (plain := self._plain(declared, test)) is None:
            return everywhere
        return f"({plain} OR ({declared.has_list} AND {everywhere}))"

    def _plain(self, declared: DeclaredField, test: ValueTest) -> str | None:
        """A test of the value that objects alone lead to; None where no index helps."""
        if has_moments(test):
            return self._holds(declared.value, test) if declared.type is FieldType.TIME else None
        match test:
            case StartsWith(prefix):
                beyond = test.beyond
                if declared.type is not FieldType.TEXT:
                    return None
                parts = [f"{declared.text} >= {self._text(prefix)}"]
                if beyond is not None:
                    parts.append(f"{declared.text} < {self._text(beyond)}")
                return self._indexed_text(declared, parts, prefix, beyond)
            case InRange() if test.bounds:
                is_text = isinstance(test.bounds[0], str)
                if is_text and declared.type is FieldType.TEXT:
                    least = _first_text(test.gte, test.gt)
                    most = _first_text(test.lte, test.lt)
                    return self._indexed_text(
                        declared, [self._holds(declared.text, test)], least, most
                    )
                if not is_text and declared.type is FieldType.NUMBER:
                    return self._holds(declared.value, test)
        return None

    def _indexed_text(
        self, declared: DeclaredField, parts: list[str], least: str | None, most: str | None
    ) -> str:
        """A test of a text, with bounds on its beginning, which is what the index is over."""
        if least is not None:
            parts.append(f"{declared.value} >= {declared.beginning(self._text(least))}")
        if most is not None:
            parts.append(f"{declared.value} <= {declared.beginning(self._text(most))}")
        return _joined(" AND ", parts)

    def _holds(self, value: str, test: ValueTest) -> str:
        """A test of a value that is a number, a text or the seconds of a time, or NULL."""
        match test:
            case OneOf(values):
                seconds = [seconds_of(one) for one in values if isinstance(one, Moment)]
                return f"{value} = ANY({self._bindings.add(seconds, 'numeric[]')})"
            case InRange():
                signs = ((">", test.gt), (">=", test.gte), ("<", test.lt), ("<=", test.lte))
                given = [(sign, bound) for sign, bound in signs if bound is not None]
                return _joined(
                    " AND ", [f"{value} {sign} {self._bound(bound)}" for sign, bound in given]
                )
            case StartsWith():
                raise AssertionError(test)

    def _bound(self, bound: str | int | float | Moment) -> str:
        match bound:
            case str():
                return self._text(bound)
            case Moment():
                return self._bindings.add(seconds_of(bound), "numeric")
        digits = stored_number(bound) if math.isfinite(bound) else str(bound)
        return f"{self._bindings.add(digits, 'text')}::numeric"

    def _text(self, text: str) -> str:
        return self._bindings.add(stored(text), "text")


def _first_text(*bounds: object) -> str | None:
    return next((bound for bound in bounds if isinstance(bound, str)), None)


def _is_finite(value: Scalar) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _as_json(value: Scalar) -> str:
    return stored_json(json.dumps(value, ensure_ascii=False))


def _joined(operator: str, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({operator.join(parts)})"
