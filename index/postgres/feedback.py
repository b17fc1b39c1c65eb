"""Clicks and judgements in PostgreSQL, beside the collections that they are about.

They belong to a collection by its number, so that they move with it when it is renamed, and go with
it in the transaction that deletes it. What one server has recorded every other one sees.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from twopass.index.errors import CollectionError, CollectionNotFoundError, StoreUnreachableError
from twopass.index.feedback import (
    Feedback,
    FeedbackKind,
    FeedbackPage,
    FeedbackTally,
    Selection,
)
from twopass.index.stopping import NEVER, Stop

T = TypeVar("T")

_LOG = logging.getLogger("twopass.index")

_DAY_US = 24 * 3600 * 1_000_000
# Between two looks at how much there is, and at what is too old: both read an index.
_SECONDS_BETWEEN_LOOKS = 60.0


class Run(Protocol):
    """Does work on a connection of the store, as `Connections.run` and `change` do."""

    async def __call__(self, work: Callable[[Any], Awaitable[T]], stop: Stop) -> T:
        """Does it until a stop is set."""


class PostgresFeedback:
    """The feedback of all collections of a store.

    Attributes:
        num_rows: Clicks and judgements of all servers, as of the last look at them, and what this
            server has recorded since.
    """

    def __init__(self, schema: str, run: Run, change: Run, *, max_rows: int, max_days: int) -> None:
        """Takes where it is; asks nothing yet.

        Args:
            schema: The store's schema in the database, as SQL.
            run: Does what reads.
            change: Does what writes, in a transaction.
            max_rows: Most clicks and judgements that are kept.
            max_days: Days after which they are deleted; 0 for never.
        """
        self.num_rows = 0
        self._schema = schema
        self._run = run
        self._change = change
        self._max_rows = max_rows
        self._max_days = max_days
        self._looked = -_SECONDS_BETWEEN_LOOKS
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Looks how much there is, and deletes what is too old; later where that fails."""
        with suppress(StoreUnreachableError):
            await self._look()

    async def record(
        self,
        collection: str,
        rows: Sequence[Feedback],
        texts: Mapping[str, str],
        stop: Stop = NEVER,
    ) -> None:
        """Writes clicks and judgements; they are durable when it returns."""
        # Of equal keys in one statement PostgreSQL takes one alone: that is the last.
        last: dict[tuple[str, str, int], Feedback] = {}
        for row in rows:
            key = row.query_id, row.document_id, int(row.kind)
            rank = max(row.rank, last[key].rank if key in last else 0)
            last[key] = replace(row, rank=rank)
        # In one order, whoever writes, so that no two writers wait for each other.
        ordered = [last[key] for key in sorted(last)]
        named = sorted(texts.items())

        async def record(connection: Any) -> int:
            number = await self._number(connection, collection)
            written = await connection.fetch(
                f"INSERT INTO {self._schema}.feedback AS known "
                "SELECT $1, * FROM unnest($2::text[], $3::text[], $4::smallint[], $5::smallint[], "
                "$6::integer[], $7::bigint[]) "
                "ON CONFLICT (collection, query_id, document_id, kind) DO UPDATE SET "
                "grade = excluded.grade, rank = greatest(known.rank, excluded.rank), "
                "time_us = excluded.time_us RETURNING (xmax = 0) AS is_new",
                number,
                [row.query_id for row in ordered],
                [row.document_id for row in ordered],
                [int(row.kind) for row in ordered],
                [row.grade for row in ordered],
                [row.rank for row in ordered],
                [row.time_us for row in ordered],
            )
            if named:
                await connection.execute(
                    f"INSERT INTO {self._schema}.feedback_texts "
                    "SELECT $1, * FROM unnest($2::text[], $3::text[]) "
                    "ON CONFLICT (collection, query_id) DO UPDATE SET text = excluded.text",
                    number,
                    [query_id for query_id, _ in named],
                    [text for _, text in named],
                )
            return sum(row["is_new"] for row in written)

        self.num_rows += await self._change(record, stop)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())

    async def page(
        self,
        collection: str,
        selection: Selection,
        after: tuple[str, str, int] | None,
        limit: int,
        stop: Stop = NEVER,
    ) -> FeedbackPage:
        """Reads a page of a collection's feedback."""
        conditions, values = self._conditions(collection, selection)
        if after is not None:
            places = ", ".join(f"${len(values) + n}" for n in (1, 2, 3))
            conditions += f" AND (query_id, document_id, kind) > ({places})"
            values += after
        values.append(limit + 1)

        async def read(connection: Any) -> Sequence[Any]:
            found: Sequence[Any] = await connection.fetch(
                "SELECT query_id, document_id, kind, grade, time_us, rank, coalesce(("
                f"SELECT text FROM {self._schema}.feedback_texts AS told WHERE "
                "told.collection = feedback.collection AND told.query_id = feedback.query_id"
                f"), '') AS query FROM {self._schema}.feedback WHERE {conditions} "
                f"ORDER BY query_id, document_id, kind LIMIT ${len(values)}",
                *values,
            )
            return found

        found = await self._run(read, stop)
        rows = [
            Feedback(
                query_id=row["query_id"],
                document_id=row["document_id"],
                kind=FeedbackKind(row["kind"]),
                grade=row["grade"],
                time_us=row["time_us"],
                rank=row["rank"],
                query=row["query"],
            )
            for row in found[:limit]
        ]
        return FeedbackPage(rows, has_more=len(found) > limit)

    async def tally(
        self, collection: str, selection: Selection, stop: Stop = NEVER
    ) -> FeedbackTally:
        """Counts a collection's feedback."""
        conditions, values = self._conditions(collection, selection)

        async def read(connection: Any) -> Sequence[Any]:
            found: Sequence[Any] = await connection.fetch(
                "SELECT kind, count(*) AS num, count(DISTINCT query_id) AS num_queries, "
                "count(*) FILTER (WHERE rank > 0) AS num_ranked, "
                "count(*) FILTER (WHERE rank = 1) AS num_first, "
                "coalesce(sum(1.0::float8 / rank) FILTER (WHERE rank > 0), 0) AS reciprocal, "
                "count(*) FILTER (WHERE grade > 0) AS num_relevant "
                f"FROM {self._schema}.feedback WHERE {conditions} GROUP BY kind",
                *values,
            )
            return found

        found = {row["kind"]: row for row in await self._run(read, stop)}
        clicks = found.get(int(FeedbackKind.CLICK))
        judged = found.get(int(FeedbackKind.JUDGEMENT))
        tally = FeedbackTally()
        if clicks is not None:
            tally = FeedbackTally(
                num_clicks=clicks["num"],
                num_clicked_queries=clicks["num_queries"],
                num_ranked_clicks=clicks["num_ranked"],
                num_first_clicks=clicks["num_first"],
                sum_reciprocal_ranks=clicks["reciprocal"],
            )
        if judged is not None:
            tally = replace(
                tally,
                num_judgements=judged["num"],
                num_judged_queries=judged["num_queries"],
                num_relevant=judged["num_relevant"],
            )
        return tally

    async def delete(self, collection: str, selection: Selection, stop: Stop = NEVER) -> int:
        """Deletes feedback, and the texts of queries that have none any more.

        PostgreSQL is asked to free the room at once; what it was is overwritten by later writes,
        as of everything that is deleted there.
        """
        conditions, values = self._conditions(collection, selection)

        async def delete(connection: Any) -> int:
            gone = await connection.fetch(
                f"DELETE FROM {self._schema}.feedback WHERE {conditions} RETURNING query_id",
                *values,
            )
            names = {row["query_id"] for row in gone} | set(selection.query_ids)
            await connection.execute(
                f"DELETE FROM {self._schema}.feedback_texts AS told WHERE "
                f"{self._is_of('$1')} AND query_id = ANY($2::text[]) AND {self._has_none('told')}",
                collection,
                sorted(names),
            )
            return len(gone)

        number = await self._change(delete, stop)
        self.num_rows = max(0, self.num_rows - number)
        if number:
            await self._free()
        return number

    async def collection_gone(self, collection: str) -> None:
        """Does nothing: it has gone with its collection."""

    async def collection_renamed(self, name: str, new_name: str) -> None:
        """Does nothing: it has moved with its collection."""

    async def close(self) -> None:
        """Ends what is under way."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeping

    async def _number(self, connection: Any, collection: str) -> int:
        """The collection's number; it can't be dropped before the transaction ends.

        Raises:
            CollectionNotFoundError: No collection has that name.
        """
        number = await connection.fetchval(
            f"SELECT id FROM {self._schema}.names JOIN {self._schema}.collections "
            "ON id = collection WHERE name = $1 AND NOT is_alias AND NOT is_deleted "
            "FOR KEY SHARE OF collections",
            collection,
        )
        if number is None:
            raise CollectionNotFoundError(collection)
        return int(number)

    def _is_of(self, place: str) -> str:
        """A condition of SQL: a row is of the collection whose own name stands in a place."""
        return (
            f"collection = (SELECT collection FROM {self._schema}.names "
            f"WHERE name = {place} AND NOT is_alias)"
        )

    def _has_none(self, told: str) -> str:
        """A condition of SQL: there is no feedback of a text's query."""
        return (
            f"NOT EXISTS (SELECT 1 FROM {self._schema}.feedback AS kept WHERE "
            f"kept.collection = {told}.collection AND kept.query_id = {told}.query_id)"
        )

    def _conditions(self, collection: str, selection: Selection) -> tuple[str, list[Any]]:
        """A condition of SQL that selects feedback, and its values."""
        conditions, values = [self._is_of("$1")], [collection]  # type: list[str], list[Any]
        for condition, value in (
            ("query_id = ANY({}::text[])", list(selection.query_ids) or None),
            ("kind = {}", None if selection.kind is None else int(selection.kind)),
            ("time_us >= {}", selection.start_us),
            ("time_us < {}", selection.end_us),
        ):
            if value is not None:
                values.append(value)
                conditions.append(condition.format(f"${len(values)}"))
        return " AND ".join(conditions), values

    async def _sweep(self) -> None:
        """Looks how much there is where that was long ago or seems too much."""
        is_due = time.monotonic() - self._looked >= _SECONDS_BETWEEN_LOOKS
        if not is_due and self.num_rows <= self._max_rows:
            return
        try:
            await self._look()
        except CollectionError as error:  # the next one that records tries again
            _LOG.warning("old feedback was not deleted: %s", error)

    async def _look(self) -> None:
        """Deletes what is too old, and the oldest of what is too much; counts what is left."""

        async def count(connection: Any) -> int:
            return int(await connection.fetchval(f"SELECT count(*) FROM {self._schema}.feedback"))

        self.num_rows = await self._run(count, NEVER)
        self._looked = time.monotonic()
        is_over = self.num_rows > self._max_rows
        if not is_over and not self._max_days:
            return

        async def delete(connection: Any) -> int:
            ends = []
            if self._max_days:
                ends.append(time.time_ns() // 1_000 - self._max_days * _DAY_US)
            if is_over:
                # By the oldest that stays, and not by how many go: another server may have deleted
                # them already. A tenth less than may be, so that not every write deletes.
                num_kept = self._max_rows - self._max_rows // 10
                oldest = await connection.fetchval(
                    f"SELECT time_us FROM {self._schema}.feedback ORDER BY time_us DESC "
                    "OFFSET $1 LIMIT 1",
                    num_kept - 1,
                )
                ends += [] if oldest is None else [oldest]
            if not ends:
                return 0
            gone = await connection.fetch(
                f"DELETE FROM {self._schema}.feedback WHERE time_us < $1 "
                "RETURNING collection, query_id",
                max(ends),
            )
            if gone:
                await connection.execute(
                    f"DELETE FROM {self._schema}.feedback_texts AS told USING "
                    "unnest($1::integer[], $2::text[]) AS gone (collection, query_id) WHERE "
                    "told.collection = gone.collection AND told.query_id = gone.query_id AND "
                    f"{self._has_none('told')}",
                    [row["collection"] for row in gone],
                    [row["query_id"] for row in gone],
                )
            return len(gone)

        with suppress(CollectionError):  # a standby deletes nothing
            self.num_rows -= await self._change(delete, NEVER)

    async def _free(self) -> None:
        """Has PostgreSQL take out what is deleted; it does so itself later where this fails."""

        async def vacuum(connection: Any) -> None:
            for table in ("feedback", "feedback_texts"):
                await connection.execute(f"VACUUM {self._schema}.{table}")

        try:
            await self._run(vacuum, NEVER)
        except CollectionError as error:
            _LOG.warning("the room of deleted feedback is freed later: %s", error)
