"""From a document to the record that `twopass index` makes the same document of."""

from typing import Any

from twopass.client import Document

_ID, _TITLE, _TEXT, _VECTOR = "id", "title", "text", "vector"


class CollisionError(Exception):
    """A document's metadata has a field that a record needs for itself; says the way out."""


def record_of(document: Document, metadata_field: str) -> dict[str, Any]:
    """A document as a record: id, title if any, text, metadata, and vector if there is one.

    Args:
        document: The document.
        metadata_field: The field that holds all metadata; empty: each is a field of its own.

    Raises:
        CollisionError: A field of the metadata is called as one of the document's own.
    """
    record: dict[str, Any] = {_ID: document.id}
    if document.title:
        record[_TITLE] = document.title
    record[_TEXT] = document.text
    if metadata_field:
        record[metadata_field] = dict(document.metadata)
    else:
        for name in (_ID, _TITLE, _TEXT, *([_VECTOR] if document.vector is not None else [])):
            if name in document.metadata:
                raise CollisionError(
                    f"document {document.id!r}: its metadata has a field {name!r}, which a record "
                    "has for itself; --metadata-field metadata keeps all metadata in one field, "
                    "here and when it is indexed"
                )
        record |= document.metadata
    if document.vector is not None:
        record[_VECTOR] = list(document.vector)
    return record


def check_metadata_field(name: str) -> None:
    """Makes sure that a field for all metadata is none of a record's own.

    Raises:
        CollisionError: It is.
    """
    if name in (_ID, _TITLE, _TEXT, _VECTOR):
        raise CollisionError(f"--metadata-field {name}: a record has that field for itself")
