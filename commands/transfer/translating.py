"""From a record to a document, or to the reason why it is none."""

import json
import math
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from twopass.client import Document
from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.transfer.field_mapping import FieldMapping
from twopass.commands.transfer.json_values import (
    MetadataError,
    check_metadata,
    is_unicode,
    shown,
)
from twopass.index.control_characters import CONTROL_CHARACTER
from twopass.index.documents import MAX_ID_BYTES, MAX_TITLE_BYTES

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
_REAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_EXACT_DIGITS = 4_000  # Python refuses to read integers of more than 4,300 digits
_LARGEST_DOUBLE = sys.float_info.max
# Most names of fields that a message lists.
_NAMES = 8


class _RefusedError(Exception):
    """A record is no document: of which kind, and why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Translator:
    """Makes documents of records.

    Attributes:
        unused: Fields that no document got, since all metadata are one field's.
        missing_numbers: Fields that are said to hold numbers, which no record had so far.
    """

    def __init__(
        self,
        mapping: FieldMapping,
        *,
        dimension: int = 0,
        needs_vector: bool = False,
        max_passage_bytes: int = 0,
    ) -> None:
        """Takes what is known of the collection.

        Args:
            mapping: Which fields are which.
            dimension: Components of a vector; 0: any number.
            needs_vector: Whether a document without a vector is refused.
            max_passage_bytes: The longest title and text together, in bytes of UTF-8; 0: any.
        """
        self._mapping = mapping
        self._dimension = dimension
        self._needs_vector = needs_vector
        self._max_passage_bytes = max_passage_bytes
        names = (mapping.id, mapping.text, mapping.title, mapping.vector, mapping.metadata)
        self._known = {name for name in names if name}
        self.unused: set[str] = set()
        self.missing_numbers = set(mapping.numbers)

    def document(self, record: Record) -> Document | LeftOut:
        """Makes a document of a record, or says why it is none and what to do about it."""
        fields, names = record.fields, self._mapping
        document_id = ""
        try:
            document_id = self._id(fields)
            text, title = self._texts(fields)
            return Document(
                id=document_id,
                text=text,
                title=title,
                metadata=self._metadata(fields),
                vector=self._vector(fields) if names.vector else None,
            )
        except _RefusedError as error:
            told = f" (id {shown(document_id)})" if document_id else ""
            return LeftOut(where=record.where, kind=error.kind, reason=f"{error}{told}")

    def _id(self, fields: Mapping[str, Any]) -> str:
        name = self._mapping.id
        value = fields.get(name)
        kind = type(value)
        if kind is int:
            return str(value)
        if value is None or value == "":
            lacks = f"an empty field {name!r}" if name in fields else f"no field {name!r}"
            way = "--id-field names the one with the id"
            if name not in fields and self._mapping.text not in fields:
                lacks += f" and no field {self._mapping.text!r}"
                way += ", --text-field the one with the text"
            raise _RefusedError("records without an id", f"{lacks}; {way}, {field_names(fields)}")
        if not isinstance(value, str):
            raise _RefusedError(
                "ids that can't be used",
                f"field {name!r} holds {shown(value)}, an id is a text or a whole number",
            )
        problem = ""
        if not is_unicode(value):
            problem = "half a character, a lone surrogate"
        elif control := CONTROL_CHARACTER.search(value):
            problem = f"the control character U+{ord(control[0]):04X}"
        elif len(value) * 4 > MAX_ID_BYTES and (size := len(value.encode())) > MAX_ID_BYTES:
            problem = f"an id of {size:,} bytes of UTF-8, at most {MAX_ID_BYTES} may be used"
        if problem:
            raise _RefusedError(
                "ids that can't be used", f"field {name!r} holds {problem}: {shown(value)}"
            )
        return value

    def _texts(self, fields: Mapping[str, Any]) -> tuple[str, str]:
        names = self._mapping
        text, title = _text(fields, names.text), _text(fields, names.title)
        if not text and (not title or names.text not in fields):
            lacks = "an empty" if names.text in fields else "no"
            raise _RefusedError(
                "records without a text",
                f"{lacks} field {names.text!r}; --text-field names the one with the text, "
                f"{field_names(fields)}",
            )
        if len(title) * 4 > MAX_TITLE_BYTES and len(title.encode()) > MAX_TITLE_BYTES:
            raise _RefusedError(
                "titles that are too long",
                f"field {names.title!r} holds {len(title.encode()):,} bytes of UTF-8, a title has "
                f"at most {MAX_TITLE_BYTES:,}; put the rest into the text",
            )
        self._check_length(text, title)
        return text, title

    def _check_length(self, text: str, title: str) -> None:
        """Makes sure that a server takes a passage: a far longer one fits no message either."""
        limit = self._max_passage_bytes
        if not limit or 4 * (len(text) + len(title)) < limit:
            return
        passage = f"{title} {text}".strip() if title else text  # as the server joins them
        size = len(passage.encode())
        if size > limit:
            raise _RefusedError(
                "texts that are too long",
                f"title and text have {size:,} bytes of UTF-8, the server takes at most {limit:,}; "
                "make several documents of it, or set max_passage_bytes of the server",
            )

    def _vector(self, fields: Mapping[str, Any]) -> Sequence[float] | None:
        name = self._mapping.vector
        values = _parsed(fields, name, "vectors that can't be used")
        if values is None:
            if self._needs_vector:
                raise _RefusedError(
                    "records without a vector",
                    f"no field {name!r}; the collection has no encoder, so every document brings "
                    f"its vector; {field_names(fields)}",
                )
            return None
        problem = ""
        if not isinstance(values, list):
            problem = f"holds {shown(values)}, a list of numbers is needed"
        elif self._dimension and len(values) != self._dimension:
            problem = (
                f"holds {len(values):,} numbers, the collection's vectors have {self._dimension:,}"
            )
        elif not values:
            problem = "holds an empty list, numbers are needed"
        else:
            try:
                vector = array("f", values)
            except (TypeError, OverflowError):
                wrong = next(
                    value
                    for value in values
                    if not isinstance(value, int | float) or abs(value) > _LARGEST_DOUBLE
                )
                problem = f"holds {shown(wrong)} among its numbers"
            else:
                if math.isfinite(sum(vector)):
                    return vector
                wrong = next(
                    v for v, kept in zip(values, vector, strict=True) if not math.isfinite(kept)
                )
                problem = f"holds {wrong} among its numbers, they are finite float32"
        raise _RefusedError("vectors that can't be used", f"field {name!r} {problem}")

    def _metadata(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        names = self._mapping
        if names.metadata:
            kind = "metadata that can't be used"
            metadata = _parsed(fields, names.metadata, kind)
            if metadata is None:
                metadata = {}
            if not isinstance(metadata, dict):
                raise _RefusedError(
                    kind, f"field {names.metadata!r} holds {shown(metadata)}, an object is needed"
                )
            self.unused |= fields.keys() - self._known
        else:
            known = self._known
            metadata = {name: value for name, value in fields.items() if name not in known}
        for name in names.numbers:
            if name in metadata:
                metadata[name] = _number(name, metadata[name])
                self.missing_numbers.discard(name)
        try:
            check_metadata(metadata)
        except MetadataError as error:
            raise _RefusedError("metadata that can't be used", str(error)) from None
        return metadata


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name) if name else None
    if value is None:
        return ""
    if isinstance(value, str):
        if "\0" in value:
            raise _RefusedError(
                "texts that can't be used",
                f"field {name!r} holds a NUL at character {value.index(chr(0)):,}; give text, not "
                "binary content",
            )
        if not is_unicode(value):
            raise _RefusedError(
                "texts that can't be used",
                f"field {name!r} holds half a character, a lone surrogate",
            )
        return value
    if type(value) in (int, float):
        return json.dumps(value)
    raise _RefusedError(
        "texts that can't be used", f"field {name!r} holds {shown(value)}, a text is needed"
    )


def _number(name: str, value: Any) -> int | float | None:
    if value is None or type(value) in (int, float):
        return value  # type: ignore[no-any-return]  # a number, by its type
    if isinstance(value, str):
        if not value.strip():
            return None
        if _INTEGER.fullmatch(value) and len(value) < _EXACT_DIGITS:
            return int(value)
        if _REAL.fullmatch(value):
            return float(value)
    raise _RefusedError(
        "values that are no numbers",
        f"field {name!r} holds {shown(value)}, --number-field says that it is a number",
    )


def _parsed(fields: Mapping[str, Any], name: str, kind: str) -> Any:
    """A field's value, parsed as JSON where it is text; None where it is missing or empty."""
    value = fields.get(name)
    if not isinstance(value, str):
        return value
    if not value:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise _RefusedError(kind, f"field {name!r} is not JSON ({error})") from None


def field_names(fields: Mapping[str, Any]) -> str:
    """Which fields there are, for a message."""
    names = [shown(name)[1:-1] for name in list(fields)[:_NAMES]]
    more = len(fields) - len(names)
    if not names:
        return "here are none"
    return f"here are {', '.join(names)}" + (f" and {more:,} more" if more else "")
