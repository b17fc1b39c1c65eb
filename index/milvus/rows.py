"""Documents as rows of Milvus, and back."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.document_checks import CheckedDocument
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import InvalidDocumentError
from twopass.index.milvus.facts import Facts, facts_of
from twopass.index.milvus.layout import (
    MAX_FACTS,
    MAX_JSON_BYTES,
    MAX_VARCHAR_BYTES,
    compact_json,
    width_in_milvus,
)
from twopass.index.milvus.words import words_of
from twopass.index.words.analysis import Analyser

_BETWEEN = "\x1f"  # no id has it, since it is a control character
_NARROW, _WIDE = "2", "4"  # bytes a token id
_NO_FACTS = Facts([], {})


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDocuments:
    """Documents of one write, as rows.

    Attributes:
        ids: The documents' ids.
        rows: The rows of each document, without versions.
        num_split: How many of them are split.
    """

    ids: tuple[str, ...]
    rows: tuple[list[dict[str, Any]], ...]
    num_split: int

    def without(self, ids: frozenset[str]) -> "EncodedDocuments":
        """The documents that have none of some ids."""
        kept = [i for i, one in enumerate(self.ids) if one not in ids]
        rows = tuple(self.rows[i] for i in kept)
        return EncodedDocuments(tuple(self.ids[i] for i in kept), rows, num_split_of(rows))


def encode_documents(
    documents: Sequence[CheckedDocument],
    analyser: Analyser,
    places: Sequence[int] | None,
    *,
    has_windows: bool,
) -> EncodedDocuments:
    """Encodes checked documents.

    Args:
        documents: The documents.
        analyser: Cuts the collection's texts.
        places: Where each stands in the request, for error messages; None where they are all of it.
        has_windows: Whether the collection's schema splits documents.

    Raises:
        InvalidDocumentError: One is larger than Milvus can hold.
    """
    rows = tuple(
        _rows_of(document, analyser, f"documents[{place}]", has_windows=has_windows)
        for document, place in zip(documents, places or range(len(documents)), strict=True)
    )
    return EncodedDocuments(tuple(each.id for each in documents), rows, num_split_of(rows))


def num_split_of(rows: Sequence[list[dict[str, Any]]]) -> int:
    """How many documents are split, given the rows of each."""
    return sum(bool(of_one[0].get("num_windows")) for of_one in rows)


def facts_fields(metadata: Mapping[str, Any], where: str, document_id: str) -> dict[str, Any]:
    """The fields that filters ask, of a document's metadata.

    Raises:
        InvalidDocumentError: They are larger than Milvus can hold.
    """
    found = facts_of(metadata) if metadata else _NO_FACTS
    if len(found.facts) > MAX_FACTS:
        raise InvalidDocumentError(
            where,
            f"{len(found.facts):,} facts for filters given, at most {MAX_FACTS:,} in the store "
            "milvus, which each field and each of its distinct values is; keep what no filter asks "
            f"for as one text (id {document_id!r})",
            limit=MAX_FACTS,
            value=len(found.facts),
        )
    size = len(compact_json(found.ordered).encode())
    if size > MAX_JSON_BYTES:
        raise InvalidDocumentError(
            where,
            f"{size:,} bytes of values to compare with given, at most {MAX_JSON_BYTES:,} in the "
            f"store milvus; keep what no filter asks for as one text (id {document_id!r})",
            limit=MAX_JSON_BYTES,
            value=size,
        )
    return {"facts": found.facts, "ordered": found.ordered}


def content_fields(fields: DocumentFields) -> list[str]:
    """The names of Milvus' fields that hold what is asked of documents, beside ids and versions."""
    names = []
    if fields.text:
        names += ["title", "text"]
    if fields.metadata:
        names.append("metadata")
    if fields.vector:
        names.append("vector")
    return names


def stored_document(
    row: Mapping[str, Any], fields: DocumentFields, dimension: int
) -> StoredDocument:
    """The document of a row that has these fields."""
    metadata = row["metadata"] if fields.metadata else None
    vector = None
    if fields.vector and not row.get("num_windows"):
        vector = np.asarray(row["vector"], np.float32)[:dimension]
    as_json = fields.metadata and fields.metadata_as_json
    return StoredDocument(
        key=row["version"],
        id=row["id"],
        title=row["title"] if fields.text else None,
        text=row["text"] if fields.text else None,
        metadata=None if as_json else metadata,
        vector=vector,
        metadata_json=compact_json(metadata) if as_json else None,
    )


def num_bytes(row: Mapping[str, Any], fields: DocumentFields) -> int:
    """Bytes of a row's id and of the fields asked for."""
    size = len(row["id"].encode())
    if fields.text:
        size += len(row["title"].encode()) + len(row["text"].encode())
    if fields.metadata:
        size += len(compact_json(row["metadata"]).encode())
    if fields.vector and not row.get("num_windows"):
        size += 4 * len(row["vector"])
    return size


def encode_tokens(token_ids: Int32s) -> str:
    """Token ids as a text."""
    is_narrow = not len(token_ids) or 0 <= token_ids.min() <= token_ids.max() < 1 << 16
    ids = token_ids.astype("<u2" if is_narrow else "<i4")
    return (_NARROW if is_narrow else _WIDE) + base64.b64encode(ids.tobytes()).decode()


def decode_tokens(text: str) -> Int32s:
    """Reads what `encode_tokens` wrote."""
    kind = "<u2" if text[:1] == _NARROW else "<i4"
    return np.frombuffer(base64.b64decode(text[1:]), kind).astype(np.int32)


def document_of(row_id: str) -> str:
    """The id of the document that a row is of."""
    return row_id.partition(_BETWEEN)[0]


def _rows_of(
    document: CheckedDocument, analyser: Analyser, where: str, *, has_windows: bool
) -> list[dict[str, Any]]:
    metadata = json.loads(document.metadata)
    asked = facts_fields(metadata, f"{where}.metadata", document.id)
    row = {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": metadata,
        "tokens": encode_tokens(document.token_ids),
        "words": words_of(analyser, document.title, document.text),
        "vector": as_in_milvus(document.vectors[0]),
        **asked,
    }
    _check_sizes(row, document, where)
    if not has_windows:
        return [row]
    row |= {"document": document.id, "part": 0, "num_windows": 0, "first_token": 0, "end_token": 0}
    if document.windows is None:
        return [row]
    rows = [row]
    rows += [
        {
            **row,
            "id": f"{document.id}{_BETWEEN}{part}",
            **dict.fromkeys(("title", "text", "tokens", "words"), ""),
            "metadata": {},
            "part": part,
        }
        for part in range(1, len(document.windows))
    ]
    for each, window, vector in zip(rows, document.windows.tolist(), document.vectors, strict=True):
        each["num_windows"] = len(rows)
        each["first_token"], each["end_token"] = window
        each["vector"] = as_in_milvus(vector)
    return rows


def _check_sizes(row: Mapping[str, Any], document: CheckedDocument, where: str) -> None:
    for name, said, way_out in (
        ("text", "", "split the document into several"),
        (
            "tokens",
            f" as {len(document.token_ids):,} token ids",
            "split the document into several",
        ),
        ("words", " as terms for the search by words", "split the document into several"),
    ):
        size = len(row[name].encode())
        if size > MAX_VARCHAR_BYTES:
            raise InvalidDocumentError(
                f"{where}.text",
                f"{size:,} bytes{said} given, at most {MAX_VARCHAR_BYTES:,} in the store milvus; "
                f"{way_out} (id {document.id!r})",
                limit=MAX_VARCHAR_BYTES,
                value=size,
            )


def as_in_milvus(vector: Float32s) -> Float32s:
    """A vector, float32 `[dimension]`, with as many components as Milvus must have."""
    missing = width_in_milvus(len(vector)) - len(vector)
    return np.pad(vector, (0, missing)) if missing else vector


def vectors_of(rows: Sequence[Mapping[str, Any]]) -> Float32s:
    """The vectors of rows as Milvus has them, float32 `[num_rows, width_in_milvus]`."""
    return np.array([row["vector"] for row in rows], np.float32)
