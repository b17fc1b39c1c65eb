"""Filters as SQL over the table `documents`.

A field's value is asked for by its JSON type and its SQL value. A declared field's index is over
these very expressions, so SQLite uses it for tests of any kind::

    json_type(metadata, '$."year"') IN ('integer','real') AND json_extract(metadata, '$."year"') > 2

All values are bound. Paths are literals, as an index on an expression demands, quoted twice: as a
JSON string, then as an SQL text.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from twopass.index.filters import (
    Condition,
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    OneOf,
    Scalar,
    StartsWith,
    Test,
)

_NUMBER = "IN ('integer', 'real')"


@dataclass(frozen=True, slots=True)
class SqlCondition:
    """A condition for WHERE, true for documents that pass, and the values that it binds by name."""

    text: str
    values: dict[str, object]


def compile_filter(wanted: Filter) -> SqlCondition:
    """The filter as SQL."""
    compiler = _Compiler()
    return SqlCondition(compiler.filter(wanted), compiler.values)


def field_expressions(field: str) -> tuple[str, str]:
    """SQL of a field's JSON type, NULL where it is not there, and of its value."""
    path = _path(field)
    return f"json_type(metadata, {path})", f"json_extract(metadata, {path})"


def _path(field: str) -> str:
    labels = "".join("." + json.dumps(part, ensure_ascii=False) for part in field.split("."))
    return "'$" + labels.replace("'", "''") + "'"


class _Compiler:
    """Writes conditions, and collects what they bind.

    SQL's third truth value comes up where a field is not there. AND and OR carry it upwards as if
    it were false, and the one negation, IS NOT TRUE, makes it false.
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
        kind, value = field_expressions(field)
        match test:
            case Exists():
                return f"{kind} IS NOT NULL"
            case IsMissing():
                return f"{kind} IS NULL"
        alone = self._value(test, kind, value)
        element = self._value(test, "element.type", "element.value")
        elements = f"json_each(metadata, {_path(field)}) AS element"
        some_element = f"EXISTS (SELECT 1 FROM {elements} WHERE {element})"
        return f"({alone} OR ({kind} = 'array' AND {some_element}))"

    def _value(self, test: OneOf | InRange | StartsWith, kind: str, value: str) -> str:
        """A test of one value, by SQL of its JSON type and of itself."""
        match test:
            case OneOf(values):
                return self._one_of(values, kind, value)
            case InRange():
                bounds = {">": test.gt, ">=": test.gte, "<": test.lt, "<=": test.lte}
                compared = [
                    f"{value} {sign} {self._bound(float(bound))}"
                    for sign, bound in bounds.items()
                    if bound is not None
                ]
                return _joined(" AND ", [f"{kind} {_NUMBER}", *compared])
            case StartsWith(prefix):
                parts = [f"{kind} = 'text'", f"{value} >= {self._bound(prefix)}"]
                if (beyond := _after_all_with(prefix)) is not None:
                    parts.append(f"{value} < {self._bound(beyond)}")
                return _joined(" AND ", parts)

    def _one_of(self, values: Sequence[Scalar], kind: str, value: str) -> str:
        texts = [v for v in values if isinstance(v, str)]
        # A bool is an int to Python, as it is to json_extract.
        numbers = [
            float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)
        ]
        alternatives = [
            f"{kind} = '{name}'"
            for name, named in (("true", True), ("false", False), ("null", None))
            if any(v is named for v in values)
        ]
        if texts:
            alternatives.append(f"({kind} = 'text' AND {value} {self._listed(texts)})")
        if numbers:
            alternatives.append(f"({kind} {_NUMBER} AND {value} {self._listed(numbers)})")
        return _joined(" OR ", alternatives) if alternatives else "FALSE"

    def _listed(self, values: Sequence[str | float]) -> str:
        if len(values) == 1:
            return f"= {self._bound(values[0])}"
        return f"IN (SELECT value FROM json_each({self._bound(json.dumps(list(values)))}))"

    def _bound(self, value: str | float) -> str:
        name = f"filter{len(self.values)}"
        self.values[name] = value
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
