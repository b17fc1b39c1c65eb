"""Writes to one collection: in turn, as they were submitted."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from twopass.index.document_checks import changed_metadata
from twopass.index.documents import OnConflict
from twopass.index.errors import CollectionClosedError, DocumentsExistError
from twopass.index.metadata import MetadataChange
from twopass.index.milvus.connection import MilvusConnection, NoSuchCollectionError
from twopass.index.milvus.filter_expression import Expression, one_of
from twopass.index.milvus.layout import compact_json
from twopass.index.milvus.reading import CollectionReader
from twopass.index.milvus.rows import EncodedDocuments, facts_fields, num_split_of
from twopass.index.stopping import Stop
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

T = TypeVar("T")

# Milvus refuses messages of more than 64 MiB.
_MAX_WRITE_BYTES = 16 * 1024 * 1024
_MAX_WRITE_ROWS = 1_000
_MAX_DELETED_AT_ONCE = 1_000


class CollectionWriter:
    """Writes to a collection, one write after the other. Belongs to one event loop.

    Milvus has no transactions: a write of more than one message of Milvus', and an update of
    metadata, may stay half done where the connection is lost, and its caller is told so by the
    error. What was acknowledged is durable.
    """

    def __init__(
        self, reader: CollectionReader, connection: MilvusConnection, *, has_windows: bool
    ) -> None:
        self._reader = reader
        self._connection = connection
        self._has_windows = has_windows
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._last_version = 0

    @property
    def is_busy(self) -> bool:
        """Whether writes are under way or wait."""
        return bool(self._under_way)

    def submit(self, write: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
        """Gives a write its turn; it is completed whether or not anybody waits for it."""

        async def in_turn() -> T:
            async with self._turn:
                try:
                    return await write
                except NoSuchCollectionError as error:
                    raise CollectionClosedError(str(self._reader.name)) from error

        task = asyncio.get_running_loop().create_task(in_turn())
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return asyncio.shield(task)

    async def finish(self) -> None:
        """Waits for all writes that were submitted."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def upsert(self, documents: EncodedDocuments, on_conflict: OnConflict) -> UpsertResult:
        """Writes documents; to be submitted."""
        known = await self.known_ids(documents.ids)
        num_known = len(known)
        if known and on_conflict is OnConflict.FAIL:
            raise DocumentsExistError(
                str(self._reader.name), [one for one in documents.ids if one in known]
            )
        if known and on_conflict is OnConflict.SKIP:
            documents = documents.without(known)
        if documents.ids:
            await self._write(list(self._with_versions(documents)))
            if known and self._has_windows and on_conflict is OnConflict.REPLACE:
                await self._delete_windows_beyond(documents, known)
        else:
            self._reader.passed()
        is_skipping = on_conflict is OnConflict.SKIP
        return UpsertResult(
            sequence=self._reader.sequence,
            num_inserted=len(documents.ids) - (0 if is_skipping else num_known),
            num_replaced=0 if is_skipping else num_known,
            num_skipped=num_known if is_skipping else 0,
            num_split=num_split_of(documents.rows),
        )

    async def nothing(self) -> UpsertResult:
        """The state after all writes before; to be submitted."""
        return UpsertResult(self._reader.sequence, 0, 0)

    async def delete(self, wanted: Expression, stop: Stop) -> DeleteResult:
        """Deletes the documents that pass; to be submitted."""
        stop.check()
        ids: list[str] = []
        async for rows in self._reader.pages(wanted, ["id"], stop):
            ids += [row["id"] for row in rows]
        stop.check()
        id_field = "document" if self._has_windows else "id"
        for start in range(0, len(ids), _MAX_DELETED_AT_ONCE):
            some = one_of(id_field, ids[start : start + _MAX_DELETED_AT_ONCE])
            position = await self._connection.delete(self._reader.name_in_milvus, some)
            self._reader.reached(position)
        if not ids:
            self._reader.passed()
        return DeleteResult(self._reader.sequence, len(ids))

    async def update_metadata(
        self, wanted: Expression, change: MetadataChange, stop: Stop
    ) -> UpdateResult:
        """Changes the metadata of the documents that pass; to be submitted."""
        stop.check()
        changed = changed_metadata(change)
        ids: list[str] = []
        # All are looked at before the first is written, so that one that breaks a rule keeps all.
        async for rows in self._reader.pages(wanted, ["id", "metadata"], stop):
            await asyncio.to_thread(_changed_rows, rows, changed)
            ids += [row["id"] for row in rows]
        stop.check()
        self._reader.passed()
        for start in range(0, len(ids), _MAX_WRITE_ROWS):
            some = ids[start : start + _MAX_WRITE_ROWS]
            rows = await self._reader.with_ids(some, ["id", "metadata"])
            updated = await asyncio.to_thread(_changed_rows, rows, changed)
            if updated:
                await self._write(updated, partial_update=True)
                if self._has_windows:
                    await self._update_windows(updated)
        return UpdateResult(self._reader.sequence, len(ids))

    async def known_ids(self, ids: Sequence[str], **arguments: Any) -> frozenset[str]:
        """Those of some ids that documents have."""
        rows = await self._reader.with_ids(ids, ["id"], **arguments)
        return frozenset(row["id"] for row in rows)

    def _with_versions(self, documents: EncodedDocuments) -> Iterator[dict[str, Any]]:
        """The rows of all documents; those of one have one version, later than any before."""
        for rows in documents.rows:
            self._last_version = max(self._last_version + 1, time.time_ns())
            for row in rows:
                yield row | {"version": self._last_version}

    async def _write(self, rows: Sequence[dict[str, Any]], **arguments: Any) -> None:
        for some in _that_fit(rows):
            position = await self._connection.upsert(self._reader.name_in_milvus, some, **arguments)
            self._reader.reached(position)

    async def _delete_windows_beyond(
        self, documents: EncodedDocuments, known: frozenset[str]
    ) -> None:
        """Deletes windows that documents had and have no more."""
        by_count: dict[int, list[str]] = {}
        for one, rows in zip(documents.ids, documents.rows, strict=True):
            if one in known:
                by_count.setdefault(len(rows), []).append(one)
        for count, ids in by_count.items():
            await self._connection.delete(
                self._reader.name_in_milvus,
                f"({one_of('document', ids)}) and part >= {count}",
            )

    async def _update_windows(self, updated: Sequence[Mapping[str, Any]]) -> None:
        """Gives the other windows of documents what filters ask of the first."""
        facts = {row["id"]: row for row in updated}
        windows = Expression(f"({one_of('document', list(facts))}) and part > 0")
        rows = await self._reader.query(windows, ["id", "document"])
        if rows:
            await self._write(
                [
                    {
                        "id": row["id"],
                        **{x: facts[row["document"]][x] for x in ("facts", "ordered")},
                    }
                    for row in rows
                ],
                partial_update=True,
            )

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # told by what was returned, if anybody waits for that


def _changed_rows(
    rows: Sequence[Mapping[str, Any]], changed: Callable[[str, str], str]
) -> list[dict[str, Any]]:
    """The fields of rows whose metadata a change makes other than it is."""
    updated = []
    for row in rows:
        before = compact_json(row["metadata"])
        after = changed(row["id"], before)
        if after != before:
            metadata = json.loads(after)
            asked = facts_fields(metadata, "metadata", row["id"])
            updated.append({"id": row["id"], "metadata": metadata, **asked})
    return updated


def _that_fit(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in messages that Milvus takes, each with one row at least."""
    some: list[dict[str, Any]] = []
    num_bytes = 0
    for row in rows:
        size = _row_bytes(row)
        if some and (num_bytes + size > _MAX_WRITE_BYTES or len(some) == _MAX_WRITE_ROWS):
            yield some
            some, num_bytes = [], 0
        some.append(row)
        num_bytes += size
    if some:
        yield some


def _row_bytes(row: Mapping[str, Any]) -> int:
    """About how many bytes a row takes in a message, rather more."""
    texts = sum(4 * len(row.get(name, "")) for name in ("title", "text"))
    texts += sum(len(row.get(name, "")) for name in ("tokens", "words"))
    facts = sum(4 * len(fact) for fact in row["facts"])
    ordered = sum(4 * (len(name) + len(value)) for name, value in row["ordered"].items())
    return texts + facts + ordered + 4 * len(row.get("vector", ())) + 65_536 // 8
