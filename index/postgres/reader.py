"""Reads documents: by key, by id, page by page, and what a field holds among some of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Ragged
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import (
    AnswerTooLargeError,
    DocumentNotFoundError,
    DocumentTooLargeError,
)
from twopass.index.facets import Facet
from twopass.index.passages import StoredPassages
from twopass.index.postgres.connections import Connections, decode_vector
from twopass.index.postgres.facet_sql import read_facet
from twopass.index.postgres.filter_sql import Bindings, CompiledFilter
from twopass.index.postgres.kinds import VectorKind
from twopass.index.postgres.stored_texts import restored, restored_json, restored_object
from twopass.index.postgres.tables import Tables
from twopass.index.stopping import NEVER, Stop

_ID = DocumentFields(text=False, metadata=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, by key.

    Attributes:
        documents: The documents.
        last_key: The key after which the reading goes on; None where nothing follows.
    """

    documents: list[StoredDocument]
    last_key: int | None


class Reader:
    """Reads the documents of one collection, each call in one statement, so as of one moment."""

    def __init__(
        self, connections: Connections, tables: Tables, kind: VectorKind, schema: str
    ) -> None:
        """Takes what it reads.

        Args:
            connections: Of the store.
            tables: The collection's.
            kind: The collection's.
            schema: The store's schema in the database.
        """
        self._connections = connections
        self._tables = tables
        self._kind = kind
        self._schema = schema

    def columns(self, fields: DocumentFields) -> dict[str, str]:
        """SQL of what is read of a document for some fields beside `key` and `id`, by name.

        A statement that has it names the table of documents `documents`.
        """
        columns: dict[str, str] = {}
        if fields.text:
            columns |= {"title": "title", "text": "text"}
        if fields.metadata:
            columns["metadata"] = "metadata::text"
        if fields.vector:
            vectors = self._connections.extensions.vectors
            columns["embedding"] = (
                f"CASE num_windows WHEN 0 THEN (SELECT embedding::{vectors}.vector "
                f"FROM {self._tables.vectors} WHERE document = documents.key) END"
            )
        return columns

    def _listed(self, fields: DocumentFields) -> str:
        """SQL of the columns for some fields, each after a comma."""
        return "".join(f", {sql} AS {name}" for name, sql in self.columns(fields).items())

    def size(self, fields: DocumentFields) -> str:
        """SQL of the bytes that a document has in some fields and its id; reads no texts."""
        parts = ["octet_length(id)"]
        if fields.text:
            parts += ["octet_length(title)", "octet_length(text)"]
        if fields.metadata:
            parts.append("metadata_bytes")
        if fields.vector:
            parts.append(f"CASE num_windows WHEN 0 THEN {4 * self._kind.dimension} ELSE 0 END")
        return f"({' + '.join(parts)})::bigint"

    async def known_ids(self, ids: Sequence[str], stop: Stop, name: str) -> frozenset[str]:
        """Those of some ids that documents have."""
        records = await self._fetch(
            f"SELECT id FROM {self._tables.documents} WHERE id = ANY($1)", [list(ids)], stop, name
        )
        return frozenset(record["id"] for record in records)

    async def load(self, keys: Sequence[int], stop: Stop, name: str) -> StoredPassages:
        """Ids and token ids by key, in the order of the keys."""
        records = await self._fetch(
            f"SELECT key, id, token_ids FROM {self._tables.documents} WHERE key = ANY($1)",
            [list(keys)],
            stop,
            name,
        )
        return passages_of(keys, {r["key"]: (r["id"], r["token_ids"]) for r in records})

    async def fetch(
        self, keys: Sequence[int], fields: DocumentFields, stop: Stop, name: str
    ) -> dict[int, StoredDocument]:
        """Documents by key; those gone are left out."""
        records = await self._fetch(
            f"SELECT key, id{self._listed(fields)} FROM {self._tables.documents} AS documents "
            "WHERE key = ANY($1)",
            [list(keys)],
            stop,
            name,
        )
        return {record["key"]: document_of(record, fields) for record in records}

    async def fetch_first(
        self, keys: Sequence[int], fields: DocumentFields, max_bytes: int, stop: Stop, name: str
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Documents by key, as many with their fields as fit, in the order of the keys.

        Returns:
            The documents, and the keys of those of which only the id was read.
        """
        sizes = await self._fetch(
            f"SELECT key, id, {self.size(fields)} AS size "
            f"FROM {self._tables.documents} WHERE key = ANY($1)",
            [list(keys)],
            stop,
            name,
        )
        of_key = {record["key"]: record for record in sizes}
        there = [key for key in keys if key in of_key]
        totals = np.cumsum([of_key[key]["size"] for key in there])
        num_whole = int(np.searchsorted(totals, max_bytes, side="right"))
        found = await self.fetch(there[:num_whole], fields, stop, name)
        bare = {key: document_of(of_key[key], _ID) for key in there[num_whole:]}
        return found | bare, frozenset(bare)

    async def get(
        self,
        ids: Sequence[str],
        fields: DocumentFields,
        stop: Stop,
        name: str,
        max_bytes: int | None,
        *,
        allow_missing: bool,
    ) -> list[StoredDocument]:
        """Documents by id, in the order of the ids.

        Raises:
            DocumentNotFoundError: Names the first id that is not there, unless it may be missing.
            AnswerTooLargeError: They are larger than `max_bytes`, together or one alone.
        """

        async def read(connection: Any) -> Sequence[Any]:
            wanted = f"FROM {self._tables.documents} AS documents WHERE id = ANY($1)"
            if max_bytes is None:
                return await connection.fetch(  # type: ignore[no-any-return]
                    f"SELECT key, id{self._listed(fields)} {wanted}", list(ids)
                )
            # Both are of one moment, and what is too large is not read.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                sizes = await connection.fetch(
                    f"SELECT id, {self.size(fields)} AS size {wanted}", list(ids)
                )
                of_id = {record["id"]: record["size"] for record in sizes}
                _check_there(ids, of_id, name, allow_missing=allow_missing)
                _check_fit([(one, of_id[one]) for one in ids if one in of_id], max_bytes)
                return await connection.fetch(  # type: ignore[no-any-return]
                    f"SELECT key, id{self._listed(fields)} {wanted}", list(ids)
                )

        records = await self._connections.run(read, stop, name)
        found = {record["id"]: document_of(record, fields) for record in records}
        _check_there(ids, found, name, allow_missing=allow_missing)
        return [found[one] for one in ids if one in found]

    async def after(
        self,
        key: int,
        limit: int,
        fields: DocumentFields,
        wanted: CompiledFilter,
        stop: Stop,
        name: str,
        max_bytes: int | None,
    ) -> Page:
        """Documents that follow a key and pass, ascending by key.

        Raises:
            DocumentTooLargeError: The first one alone is larger than `max_bytes`.
        """
        bindings = Bindings()
        after = bindings.add(key, "bigint")
        # One more than asked for tells whether others follow.
        most = bindings.add(limit + 1, "bigint")
        condition = wanted.sql(bindings)
        chosen = (
            f"SELECT key, {self.size(fields)} AS size FROM {self._tables.documents} "
            f"WHERE key > {after} AND {condition} ORDER BY key LIMIT {most}"
        )
        fits = "TRUE"
        if max_bytes is not None:
            fits = f"total <= {bindings.add(max_bytes, 'bigint')}"
        records = await self._fetch(
            f"WITH chosen AS MATERIALIZED ({chosen}), "
            "summed AS MATERIALIZED (SELECT key, size, sum(size) OVER (ORDER BY key) AS total, "
            "row_number() OVER (ORDER BY key) AS place FROM chosen) "
            f"SELECT summed.key AS chosen_key, size, {fits} AND place < {most} AS is_read, "
            f"documents.* FROM summed LEFT JOIN LATERAL ("
            f"SELECT key, id{self._listed(fields)} FROM {self._tables.documents} AS documents "
            f"WHERE documents.key = summed.key AND {fits} AND place < {most}"
            ") AS documents ON TRUE ORDER BY chosen_key",
            bindings.values,
            stop,
            name,
        )
        read = [record for record in records if record["is_read"]]
        if records and not read and max_bytes is not None:
            first = await self.fetch([records[0]["chosen_key"]], _ID, stop, name)
            names = [document.id for document in first.values()]
            raise DocumentTooLargeError("".join(names), records[0]["size"], max_bytes)
        follows = len(records) > len(read)
        return Page(
            [document_of(record, fields) for record in read],
            read[-1]["key"] if follows else None,
        )

    async def count(self, wanted: CompiledFilter, stop: Stop, name: str) -> int:
        """How many documents pass."""
        bindings = Bindings()
        condition = wanted.sql(bindings)
        records = await self._fetch(
            f"SELECT count(*) FROM {self._tables.documents} WHERE {condition}",
            bindings.values,
            stop,
            name,
        )
        return int(records[0]["count"])

    async def facet(
        self,
        wanted: CompiledFilter,
        field: str,
        limit: int,
        max_bytes: int | None,
        stop: Stop,
        name: str,
    ) -> Facet:
        """The values of a field among the documents that pass."""

        async def read(connection: Any) -> Facet:
            return await read_facet(
                connection, self._tables.documents, self._schema, wanted, field, limit, max_bytes
            )

        return await self._connections.run(read, stop, name)

    async def _fetch(
        self, statement: str, values: Sequence[object], stop: Stop = NEVER, name: str = ""
    ) -> Sequence[Any]:
        async def read(connection: Any) -> Sequence[Any]:
            return await connection.fetch(statement, *values)  # type: ignore[no-any-return]

        return await self._connections.run(read, stop, name)


def document_of(record: Mapping[str, Any], fields: DocumentFields) -> StoredDocument:
    """The document of a row that was read for some fields."""
    as_json = fields.metadata_as_json
    embedding = record["embedding"] if fields.vector else None
    return StoredDocument(
        key=record["key"],
        id=record["id"],
        title=restored(record["title"]) if fields.text else None,
        text=restored(record["text"]) if fields.text else None,
        metadata=restored_object(record["metadata"]) if fields.metadata and not as_json else None,
        vector=None if embedding is None else decode_vector(embedding),
        metadata_json=restored_json(record["metadata"]) if fields.metadata and as_json else None,
    )


def passages_of(keys: Sequence[int], found: Mapping[int, tuple[str, bytes]]) -> StoredPassages:
    """Ids and token ids by key, in the order of the keys; those not found are left out."""
    positions = [position for position, key in enumerate(keys) if key in found]
    loaded = [found[keys[position]] for position in positions]
    offsets = np.zeros(len(loaded) + 1, np.int32)
    np.cumsum([len(token_ids) // 4 for _, token_ids in loaded], out=offsets[1:])
    joined = np.frombuffer(b"".join(token_ids for _, token_ids in loaded), "<i4")
    return StoredPassages(
        np.array(positions, np.intp),
        tuple(document_id for document_id, _ in loaded),
        Ragged(joined, offsets),
    )


def _check_there(
    ids: Sequence[str], found: Mapping[str, object], name: str, *, allow_missing: bool
) -> None:
    if allow_missing:
        return
    for one in ids:
        if one not in found:
            raise DocumentNotFoundError(name, one)


def _check_fit(sizes: Sequence[tuple[str, int]], max_bytes: int) -> None:
    """Makes sure that documents fit into one answer.

    Raises:
        AnswerTooLargeError: They don't, together or one alone.
    """
    for document_id, size in sizes:
        if size > max_bytes:
            raise DocumentTooLargeError(document_id, size, max_bytes)
    if (total := sum(size for _, size in sizes)) > max_bytes:
        raise AnswerTooLargeError(len(sizes), total, max_bytes)
