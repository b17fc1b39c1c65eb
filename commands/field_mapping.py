"""Which fields of a record become which fields of a document."""

import json
from dataclasses import dataclass
from typing import Any

from twopass.client import Document
from twopass.commands.sources.records import Record, SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMapping:
    """Names of a record's fields.

    Attributes:
        id: Field with the document's id.
        text: Field with its text.
        title: Field with its title, if any.
        vector: Field with its embedding, a list of numbers or JSON of one; empty: no embedding.
        metadata: Field with all metadata, an object or JSON of one; empty: every other field is
            metadata.
        numbers: Text fields, as in CSV, whose values are numbers.
    """

    id: str = "id"
    text: str = "text"
    title: str = "title"
    vector: str = ""
    metadata: str = ""
    numbers: tuple[str, ...] = ()

    def document(self, record: Record) -> Document:
        """Makes a document of a record.

        Raises:
            SourceError: A field is missing or of the wrong type.
        """
        fields = record.fields
        if fields.get(self.id) in (None, ""):
            raise SourceError(
                f"{record.where}: no field {self.id!r}; --id-field names the one with the id"
            )
        return Document(
            id=str(fields[self.id]),
            text=str(fields.get(self.text) or ""),
            title=str(fields.get(self.title) or ""),
            metadata=self._metadata(record),
            vector=self._vector(record) if self.vector else None,
        )

    def _vector(self, record: Record) -> list[float]:
        values = _parsed(record, self.vector)
        if not isinstance(values, list):
            raise SourceError(f"{record.where}: field {self.vector!r} holds no list of numbers")
        return values

    def _metadata(self, record: Record) -> dict[str, Any]:
        if self.metadata:
            found = _parsed(record, self.metadata) or {}
            if not isinstance(found, dict):
                raise SourceError(f"{record.where}: field {self.metadata!r} holds no object")
            return found
        known = (self.id, self.text, self.title, self.vector)
        return {
            name: self._number(record, name) if name in self.numbers else value
            for name, value in record.fields.items()
            if name not in known
        }

    def _number(self, record: Record, name: str) -> float | None:
        value = record.fields[name]
        if value in (None, ""):
            return None
        try:
            return float(value)
        except (TypeError, ValueError):
            raise SourceError(
                f"{record.where}: field {name!r} holds {value!r}, which is no number"
            ) from None


def _parsed(record: Record, name: str) -> Any:
    """A field's value, parsed as JSON where it is text."""
    value = record.fields.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise SourceError(f"{record.where}: field {name!r} is not JSON ({error})") from error
