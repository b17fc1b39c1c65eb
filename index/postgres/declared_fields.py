"""Metadata fields that a schema declares as indexed, and the indexes over them.

An index is over the value that objects alone lead to, by its declared type. Lists on the way are
rare: which documents have one is an index of its own, and their values are looked for by a path.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from twopass.index.documents import MAX_METADATA_DEPTH
from twopass.index.field_names import parse_field_name
from twopass.index.postgres.stored_texts import stored
from twopass.index.schema import FieldType, IndexedField

# An entry of a B-tree holds at most some 2,700 bytes; a character may take four.
_INDEXED_CHARACTERS = 512
_NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """A declared field, as SQL over the table of documents.

    Attributes:
        keys: Its keys, from the outermost.
        type: What its values are.
        plain: Its value as `jsonb` where objects alone lead to it.
        has_list: Whether a list is its value or on the way to it.
        value: What its index is over: a number, the beginning of a text, or the seconds of a time;
            NULL where the value is of another type.
        text: Its value where it is a text, whole.
    """

    keys: tuple[str, ...]
    type: FieldType
    plain: str
    has_list: str
    value: str
    text: str

    @staticmethod
    def beginning(text: str) -> str:
        """The beginning of a text, as the index holds it."""
        return f'left({text}, {_INDEXED_CHARACTERS}) COLLATE "C"'

    def index_statements(self, table: str, number: int) -> list[str]:
        """The statements that make its indexes.

        Args:
            table: The table of documents, as SQL, which is empty or not.
            number: Tells the field from others of the collection.
        """
        name = table.rpartition(".")[2]
        statements = [
            f"CREATE INDEX {name}_field_{number}_lists ON {table} (key) WHERE {self.has_list}"
        ]
        if self.type is not FieldType.BOOL:
            statements.append(f"CREATE INDEX {name}_field_{number} ON {table} ({self.value})")
        return statements


def declared_fields(
    declared: Sequence[IndexedField], schema: str = "twopass"
) -> tuple[DeclaredField, ...]:
    """The declared fields that have indexes of their own.

    A key that looks like a number has none: PostgreSQL would take it for a place in a list.

    Args:
        declared: Those of a collection's schema.
        schema: The store's schema in the database, as SQL.
    """
    found = []
    for one in declared:
        keys = parse_field_name(one.field)
        if len(keys) > MAX_METADATA_DEPTH or any(map(_NUMBER.fullmatch, keys)):
            continue
        paths = list(accumulate(([key] for key in keys), lambda before, key: before + key))
        plain = f"(metadata #> {_array(paths[-1])})"
        kind = f"jsonb_typeof{plain}"
        text = f"(CASE {kind} WHEN 'string' THEN {plain} #>> '{{}}' END COLLATE \"C\")"
        match one.type:
            case FieldType.NUMBER:
                value = f"(CASE {kind} WHEN 'number' THEN {plain}::numeric END)"
            case FieldType.TIME:
                value = f"({schema}.moment_of({text}))"
            case FieldType.TEXT | FieldType.BOOL:
                value = f"({DeclaredField.beginning(text)})"
        lists = " OR ".join(f"jsonb_typeof(metadata #> {_array(p)}) = 'array'" for p in paths)
        found.append(DeclaredField(keys, one.type, plain, f"({lists})", value, text))
    return tuple(found)


def _array(keys: Sequence[str]) -> str:
    """A literal of an array of texts: as an index demands, nothing in it is bound."""
    return "ARRAY[" + ", ".join(_literal(stored(key)) for key in keys) + "]::text[]"


def _literal(text: str) -> str:
    """A text, as SQL that no setting reads otherwise."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
