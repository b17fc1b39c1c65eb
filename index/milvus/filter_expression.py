"""Filters as Milvus' expressions over `facts`, `ordered` and ids.

Every expression is true or false for every document, never Milvus' third truth value, so that it
can be negated: `facts` is never null, and a value of `ordered` is compared only where a fact says
that it is there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twopass.index.documents import MAX_METADATA_DEPTH
from twopass.index.errors import UnsupportedByStoreError
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
)
from twopass.index.milvus.facts import (
    MAX_COMPARED,
    MAX_ORDERED,
    fact_equals,
    fact_exists,
    fact_moment,
    fact_more,
    field_key,
    name_ordered,
    sortable_number,
)
from twopass.index.milvus.times import sortable
from twopass.index.schema import IndexedField

STORE = "milvus"

# Milvus refuses constants where it expects a field; no document's id is empty.
_TRUE = 'id != ""'
_FALSE = 'id == ""'


@dataclass(frozen=True, slots=True)
class Expression:
    """The documents that pass a filter.

    Attributes:
        text: What Milvus is told; "" for all documents.
        exact_unless: Facts, each with its field's name: where a document has one, the expression
            might say something else of it than the filter does, and must not be used.
    """

    text: str
    exact_unless: tuple[tuple[str, str], ...] = ()

    def also(self, text: str) -> "Expression":
        """The documents that pass another expression too."""
        if not text or not self.text:
            return Expression(self.text or text, self.exact_unless)
        return Expression(f"({self.text}) and ({text})", self.exact_unless)


EVERYTHING = Expression("")


def compile_filter(
    wanted: Filter, declared: Sequence[IndexedField] = (), id_field: str = "id"
) -> Expression:
    """The filter as an expression.

    Args:
        wanted: The filter.
        declared: The schema's indexed fields, whose types the tests must fit.
        id_field: The name of Milvus' field that holds documents' ids.

    Raises:
        InvalidFilterError: A test can't pass any value of its field's declared type.
        UnsupportedByStoreError: A test compares with a longer text than is ordered.
    """
    check_types(wanted, declared)
    compiler = _Compiler(id_field)
    text = compiler.filter(wanted)
    return Expression("" if text == _TRUE else text, tuple(dict.fromkeys(compiler.exact_unless)))


def literal(text: str) -> str:
    """A text as Milvus reads it in an expression."""
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return f'"{text}"'


def one_of(field: str, values: Iterable[str]) -> str:
    """An expression of documents whose field is one of some texts."""
    listed = ", ".join(map(literal, values))
    return f"{field} in [{listed}]" if listed else _FALSE


_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))


class _Compiler:
    def __init__(self, id_field: str) -> None:
        self.exact_unless: list[tuple[str, str]] = []
        self._id_field = id_field

    def filter(self, wanted: Filter) -> str:
        parts = [self._condition(condition) for condition in wanted.must]
        if wanted.should:
            parts.append(_joined(" or ", [self._condition(c) for c in wanted.should]))
        parts += [f"not ({self._condition(condition)})" for condition in wanted.must_not]
        return _joined(" and ", parts) if parts else _TRUE

    def _condition(self, condition: Condition) -> str:
        match condition:
            case FieldCondition(field, test):
                return self._field(field, test)
            case IdCondition(ids):
                return one_of(self._id_field, ids)
            case Filter():
                return self.filter(condition)

    def _field(self, field: str, test: Test) -> str:
        keys = parse_field_name(field)
        if len(keys) > MAX_METADATA_DEPTH:  # no metadata is so deep
            return _TRUE if isinstance(test, IsMissing) else _FALSE
        key = field_key(keys)
        match test:
            case Exists():
                return _has(fact_exists(key))
            case IsMissing():
                return f"not ({_has(fact_exists(key))})"
            case OneOf(values):
                return _has_any([_fact(key, value) for value in values])
            case InRange():
                return self._in_range(field, key, test)
            case StartsWith(prefix):
                if not prefix:
                    return _has(name_ordered(key, "t", 1))
                beyond = test.beyond
                return self._in_range(field, key, InRange(gte=prefix, lt=beyond))

    def _in_range(self, field: str, key: str, test: InRange) -> str:
        kind = _kind(test.bounds)
        if not test.bounds:
            return _has(name_ordered(key, kind, 1))
        lower = [
            (sign, bound) for sign, bound in ((">", test.gt), (">=", test.gte)) if bound is not None
        ]
        upper = [
            (sign, bound) for sign, bound in (("<", test.lt), ("<=", test.lte)) if bound is not None
        ]
        compared = [(sign, self._bound(field, bound)) for sign, bound in lower + upper]
        if not upper:
            numbers: Sequence[int] = (1,)
        elif not lower:
            numbers = (1, 2)  # a single value is the greatest too
        else:
            numbers = range(1, MAX_ORDERED + 1)
            self.exact_unless.append((fact_more(key, kind), field))
        alternatives = []
        for number in numbers:
            name = name_ordered(key, kind, number)
            value = f"ordered[{literal(name)}]"
            tests = [f"{value} {sign} {literal(bound)}" for sign, bound in compared]
            alternatives.append(_joined(" and ", [_has(name), *tests]))
        return _joined(" or ", alternatives)

    def _bound(self, field: str, bound: Bound) -> str:
        match bound:
            case Moment():
                return sortable(bound)
            case str():
                if len(bound) > MAX_COMPARED:
                    raise UnsupportedByStoreError(
                        STORE,
                        f"comparing {field!r} with a text of {len(bound):,} characters",
                        f"compare with at most {MAX_COMPARED:,}, or test whether it is one of some "
                        "texts",
                        "filter",
                    )
                return bound
        return sortable_number(bound)


def _fact(key: str, value: Scalar) -> str:
    if isinstance(value, Moment):
        return fact_moment(key, sortable(value))
    return fact_equals(key, value)


def _kind(bounds: Sequence[Bound]) -> str:
    if bounds and isinstance(bounds[0], str):
        return "t"
    return "m" if bounds and isinstance(bounds[0], Moment) else "n"


def _has(fact: str) -> str:
    return f"array_contains(facts, {literal(fact)})"


def _has_any(facts: Sequence[str]) -> str:
    if not facts:
        return _FALSE
    if len(facts) == 1:
        return _has(facts[0])
    return f"array_contains_any(facts, [{', '.join(map(literal, facts))}])"


def _joined(operator: str, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({operator.join(parts)})"
