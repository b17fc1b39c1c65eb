"""Paths of SQL/JSON to the values of a metadata field, and conditions on them.

In the lax mode of these paths a key looks into an object, and into the objects of a list, but not
of a list inside that list; a filter looks at the elements of a list: exactly what a filter's field
means. A comparison alone would look into lists inside lists too, so every test asks for the type of
the value first, of which such a list has another.
"""

import json
import math
from collections.abc import Sequence

from twopass.index.filters import Bound, InRange, OneOf, Scalar, StartsWith, ValueTest
from twopass.index.postgres.stored_texts import stored, stored_number

_JSON = json.JSONEncoder(ensure_ascii=False)


def path_of(keys: Sequence[str]) -> str:
    """The path of a field's values; a list is one value."""
    return "$" + "".join(f".{text_literal(key)}" for key in keys)


def text_literal(text: str) -> str:
    """A text in a path."""
    return _JSON.encode(stored(text))


def tested(keys: Sequence[str], test: ValueTest) -> str | None:
    """The path of a field's values that pass a test without moments; None where none can pass."""
    match test:
        case OneOf(values):
            condition = _one_of(values)
        case InRange():
            condition = _in_range(test)
        case StartsWith(prefix):
            condition = f'@.type() == "string" && @ starts with {text_literal(prefix)}'
    return None if condition is None else f"{path_of(keys)} ? ({condition})"


def _one_of(values: Sequence[Scalar]) -> str | None:
    texts = [f"@ == {text_literal(v)}" for v in values if isinstance(v, str)]
    # A bool is an int to Python.
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    equal = [f"@ == {stored_number(v)}" for v in numbers if math.isfinite(v)]
    alternatives = [f"@ == {name}" for name, one in _NAMED if any(v is one for v in values)]
    if alternatives:
        alternatives = [f'(@.type() != "array" && ({" || ".join(alternatives)}))']
    if texts:
        alternatives.append(f'(@.type() == "string" && ({" || ".join(texts)}))')
    if equal:
        alternatives.append(f'(@.type() == "number" && ({" || ".join(equal)}))')
    return " || ".join(alternatives) or None


_NAMED = (("true", True), ("false", False), ("null", None))


def _in_range(test: InRange) -> str | None:
    given = test.bounds
    kind = "string" if given and isinstance(given[0], str) else "number"
    parts = [f'@.type() == "{kind}"']
    for sign, bound in (("> ", test.gt), (">=", test.gte), ("< ", test.lt), ("<=", test.lte)):
        if bound is None:
            continue
        if isinstance(bound, float) and math.isinf(bound):
            if (bound > 0) == (sign[0] == ">"):
                return None
            continue
        parts.append(f"@ {sign} {_literal(bound)}")
    return " && ".join(parts)


def _literal(bound: Bound) -> str:
    if isinstance(bound, str):
        return text_literal(bound)
    assert isinstance(bound, int | float)
    return stored_number(bound)
