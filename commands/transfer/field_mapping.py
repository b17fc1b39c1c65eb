"""Which fields of a record are which fields of a document."""

from dataclasses import dataclass


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
