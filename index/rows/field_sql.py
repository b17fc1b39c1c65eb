"""SQL of the values that a metadata field has in a document.

Most fields are reached through objects alone: their type and value are two expressions, over which
declared fields have their index. Where a list is on the way, as of `tags.name` in
`{"tags": [{"name": "a"}]}`, a chain of `json_each` walks through it; `has_list_on_the_way` tells
whether there is one, and declared fields have an index over that too.

Paths are literals, as an index on an expression demands, quoted twice: as a JSON string, then as an
SQL text.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from twopass.index.documents import MAX_METADATA_DEPTH
from twopass.index.field_names import parse_field_name
from twopass.index.rows.time_sql import time_expression

# The column of `documents`, a JSON object.
_METADATA = "metadata"
_JSON = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Value:
    """SQL of one value.

    Attributes:
        kind: Its JSON type, as `json_type` names it; NULL where there is no value.
        value: The value itself, as `json_extract` gives it.
    """

    kind: str
    value: str

    @property
    def time(self) -> str:
        """SQL of the sortable text of the time that the value tells; NULL where it tells none."""
        return time_expression(self.value)


@dataclass(frozen=True, slots=True)
class Source:
    """All values that a field has in each document, one a row; a list gives its elements.

    Attributes:
        tables: For FROM: the table `documents`, and what walks through its metadata. A document
            without the field has no row. Other tables have columns `key` and `id` too, so columns
            of `documents` are named with their table, and a filter's condition, which does not,
            stands in a subquery: `documents.key IN (SELECT key FROM documents WHERE ...)`.
        value: The row's value. An object, or a list inside a list, is a value of the type
            'object' or 'array'.
    """

    tables: str
    value: Value


def plain_value(field: str) -> Value:
    """A field's value where objects alone lead to it; there is none where a list is on the way."""
    path = _path(parse_field_name(field))
    return Value(f"json_type({_METADATA}, {path})", f"json_extract({_METADATA}, {path})")


def all_values(field: str) -> Source:
    """All values of a field in each document, through lists, as filters see them."""
    keys = parse_field_name(field)
    if len(keys) > MAX_METADATA_DEPTH:  # no metadata is so deep
        return Source("documents CROSS JOIN json_each('[]') AS step", _row("step"))
    return Source(" CROSS JOIN ".join(["documents", *_steps(keys)]), _row(f"step{len(keys)}"))


def has_list_on_the_way(keys: Sequence[str]) -> str:
    """SQL that is 1 where a list stands before a field's last key, and otherwise NULL."""
    labels = accumulate(map(_label, keys[:-1]))
    whens = [f"WHEN json_type({_METADATA}, {_literal(path)}) THEN 1" for path in labels]
    return f"CASE 'array' {' '.join(whens)} END"


def exists_among_lists(keys: Sequence[str]) -> str:
    """SQL of whether a field of several keys has a value behind lists, even an empty list."""
    holder = f"step{len(keys) - 1}"
    # Of what is no object, the value may be no JSON at all.
    object_alone = f"CASE {holder}.type WHEN 'object' THEN {holder}.value END"
    is_there = f"json_type({object_alone}, {_path(keys[-1:])}) IS NOT NULL"
    return _exists(_steps(keys[:-1]), is_there)


def some_among_lists(keys: Sequence[str], fits: Callable[[Value], str]) -> str:
    """SQL of whether a value of a field behind lists fits, or an element of a list there."""
    return _exists(_steps(keys), fits(_row(f"step{len(keys)}")))


def some_element(field: str, fits: Callable[[Value], str]) -> str:
    """SQL of whether an element of a field's plain value, which is a list, fits."""
    path = _path(parse_field_name(field))
    return _exists([f"json_each({_METADATA}, {path}) AS element"], fits(_row("element")))


def _exists(tables: Sequence[str], condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM {' CROSS JOIN '.join(tables)} WHERE {condition})"


def _row(table: str) -> Value:
    """The value in a row of `json_each`."""
    return Value(f"{table}.type", f"{table}.value")


def _steps(keys: Sequence[str]) -> list[str]:
    """A table for each key, `step1` and on: the values that are reached with it.

    A step looks the key up in the object of the step before, and gives the elements of a list, or
    the value itself.
    """
    steps = []
    for n, key in enumerate(keys, 1):
        document = f"step{n - 1}.value" if n > 1 else _METADATA
        path = _path([key])
        values = (
            f"CASE json_type({document}, {path}) WHEN 'array' THEN {document} -> {path} "
            f"ELSE iif(json_type({document}, {path}) IS NULL, '[]', "
            f"json_array({document} -> {path})) END"
        )
        if n > 1:
            values = f"CASE step{n - 1}.type WHEN 'object' THEN {values} ELSE '[]' END"
        steps.append(f"json_each({values}) AS step{n}")
    return steps


def _path(keys: Sequence[str]) -> str:
    return _literal("".join(map(_label, keys)))


def _literal(labels: str) -> str:
    return "'$" + labels.replace("'", "''") + "'"


def _label(key: str) -> str:
    return "." + _JSON.encode(key)
