"""All collections of a database, as `Store` describes them."""

import asyncio
import dataclasses
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.base.collection import Lease
from twopass.index.errors import (
    CollectionError,
    CollectionNotFoundError,
    StorageError,
    StoreUnreachableError,
)
from twopass.index.postgres.address import Address
from twopass.index.postgres.catalogue import Catalogue, CollectionRow
from twopass.index.postgres.collection import STANDBY, PostgresCollection
from twopass.index.postgres.connections import KIND, Connections, Extensions, until_stopped
from twopass.index.postgres.feedback import PostgresFeedback
from twopass.index.postgres.kinds import DEFAULT_KIND, VectorKind
from twopass.index.postgres.migrations import migrate
from twopass.index.postgres.tables import Tables, create_statements
from twopass.index.schema import CollectionSchema, check_name
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary
from twopass.index.words.analysis import Analyser

T = TypeVar("T")

_LOG = logging.getLogger("twopass.index")

_NUM_ENCODING_THREADS = 2
# Collections whose objects are kept: some kilobytes each.
_MAX_KEPT = 1_000
_SUMMARIES_AT_ONCE = 200
# Between two tries to reach a database that did not answer at the start.
_SECONDS_BETWEEN_TRIES = 1.0
_TRIES_TO_DROP = 10


class PostgresStore:
    """Collections in one schema of a PostgreSQL database, which any number of servers share.

    Holds nothing but connections: what one server has written, every other one sees. Names are
    looked up whenever a collection is acquired.
    """

    kind = KIND
    default_index_kind = DEFAULT_KIND

    def __init__(self, url: str) -> None:
        """Takes where the database is; connects nowhere yet.

        Args:
            url: Such as `postgresql://user@host:5432/database`; `Address.parse` tells the
                parameters. The password may be in it, in PGPASSWORD or in a passfile.

        Raises:
            ValueError: A parameter of the URL is wrong.
        """
        self._address = Address.parse(url)
        self._connections = Connections(self._address)
        self._catalogue = Catalogue(self._address.schema)
        self._encoding = ThreadPoolExecutor(_NUM_ENCODING_THREADS, "postgresql-encoding")
        # By their numbers, those used last at the end.
        self._collections: dict[int, PostgresCollection] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._dropping: set[asyncio.Task[None]] = set()

    @property
    def place(self) -> str:
        """The URL without its password."""
        return self._address.place

    @property
    def problem(self) -> str:
        """Why the store can't be used now, for operators; "" as far as is known."""
        return self._connections.problem

    async def start(self) -> None:
        """Connects, and makes or migrates what it finds; connects later if it must.

        Raises:
            StorageError: The database does not let this server in, or can't be used.
        """
        try:
            await self._connections.open(self._set_up)
        except StoreUnreachableError:
            self._connecting = asyncio.create_task(self._connect_when_possible())
        else:
            await self._drop_deleted()

    async def close(self) -> None:
        """Finishes what was submitted, then closes all connections. Idempotent."""
        if self._connecting is not None:
            self._connecting.cancel()
            with suppress(asyncio.CancelledError):
                await self._connecting
        await asyncio.gather(*(each.finish() for each in list(self._collections.values())))
        if self._dropping:
            await asyncio.wait(self._dropping)
        await self._connections.close()
        self._encoding.shutdown()

    async def acquire(self, name: str, stop: Stop = NEVER) -> Lease:
        """Returns a collection, given by its name or an alias."""
        row = await self._run(lambda connection: self._catalogue.find(connection, name), stop)
        return Lease(self._collection(row), _nothing_to_release)

    def _collection(self, row: CollectionRow) -> PostgresCollection:
        known = self._collections.pop(row.id, None)
        if known is None or known.incarnation != row.sequence.incarnation:
            known = PostgresCollection(row, self._connections, self._catalogue, self._encoding)
            if (analysis := Analyser(row.schema.word_language).version) != row.analysis:
                _LOG.warning(
                    "words were analysed by another version: some may not be found until the "
                    "documents are written again",
                    extra={"collection": row.name, "analysis": row.analysis, "now": analysis},
                )
        else:
            known.refresh(row)
        self._collections[row.id] = known
        if len(self._collections) > _MAX_KEPT:
            idle = next((n for n, each in self._collections.items() if not each.is_busy), row.id)
            if idle != row.id:
                del self._collections[idle]
        return known

    async def summary(self, name: str, stop: Stop = NEVER) -> CollectionSummary:
        """Describes a collection, given by its name or an alias."""
        row = await self._run(lambda connection: self._catalogue.find(connection, name), stop)
        return self._described(row)

    async def summaries(
        self,
        may_use: Callable[[str], bool],
        *,
        after: str = "",
        limit: int | None = None,
        stop: Stop = NEVER,
    ) -> Sequence[CollectionSummary]:
        """Describes collections, by name."""
        found: list[CollectionSummary] = []
        while limit is None or len(found) < limit:
            last = after
            rows = await self._run(
                lambda connection, last=last: self._catalogue.after(  # type: ignore[misc]
                    connection, last, _SUMMARIES_AT_ONCE
                ),
                stop,
            )
            found += [self._described(row) for row in rows if may_use(row.name)]
            if len(rows) < _SUMMARIES_AT_ONCE:
                break
            after = rows[-1].name
        return found[:limit]

    def _described(self, row: CollectionRow) -> CollectionSummary:
        return row.summary(STANDBY if self._connections.is_standby else "")

    async def create(
        self, name: str, schema: CollectionSchema, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Creates an empty collection: after a crash it is there whole, or not at all."""
        check_name(name)
        VectorKind.parse(schema)
        analysis = Analyser(schema.word_language).version

        async def create(connection: Any) -> CollectionRow:
            await self._catalogue.lock(connection)
            await self._catalogue.ensure_free(connection, name)
            row = await self._catalogue.add(connection, name, uuid.uuid4().hex, schema, analysis)
            tables = Tables.of(self._catalogue.schema, row.id)
            for statement in create_statements(
                tables, schema, self._connections.extensions, self._catalogue.schema
            ):
                await connection.execute(statement)
            return row

        row = await self._change(create, stop)
        _LOG.info("collection created", extra={"collection": name})
        return self._described(row)

    async def delete(self, name: str, stop: Stop = NEVER) -> None:
        """Deletes a collection for good, by its own name."""

        async def delete(connection: Any) -> int:
            await self._catalogue.lock(connection)
            return await self._catalogue.mark_deleted(connection, name)

        number = await self._change(delete, stop)
        self._collections.pop(number, None)
        _LOG.info("collection deleted", extra={"collection": name})
        # It is gone for every call that begins from now on. Its tables wait for those under way.
        task = asyncio.create_task(self._drop(number))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)
        await asyncio.shield(task)

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool = False, stop: Stop = NEVER
    ) -> CollectionSummary | None:
        """Gives a collection another name: after a crash it has either name, and its aliases."""

        async def rename(connection: Any) -> CollectionRow | None:
            await self._catalogue.lock(connection)
            number = await self._catalogue.rename(connection, name, new_name, keep_alias=keep_alias)
            with suppress(CollectionNotFoundError):
                return await self._catalogue.read(connection, number, new_name)
            return None

        row = await self._change(rename, stop)
        _LOG.info(
            "collection renamed",
            extra={"collection": new_name, "from_collection": name, "keeps_alias": keep_alias},
        )
        if row is None:
            return None
        if (known := self._collections.get(row.id)) is not None:
            known.refresh(row)
        return self._described(row)

    async def aliases(self, stop: Stop = NEVER) -> Aliases:
        """All aliases."""
        return await self._run(self._catalogue.aliases, stop)

    async def update_aliases(
        self,
        changes: Sequence[AliasChange],
        ensure_may_use: Callable[[str], None],
        stop: Stop = NEVER,
    ) -> Aliases:
        """Creates, switches and removes aliases, all or none, durably."""
        if not changes:
            return await self.aliases(stop)

        async def update(connection: Any) -> Aliases:
            await self._catalogue.lock(connection)
            return await self._catalogue.update_aliases(connection, changes, ensure_may_use)

        changed = await self._change(update, stop)
        for change in changes:
            _LOG.info("alias changed", extra=dataclasses.asdict(change))
        return changed

    def feedback(self, *, max_rows: int, max_days: int) -> PostgresFeedback:
        """What keeps the feedback on these collections, beside them."""
        return PostgresFeedback(
            self._address.schema, self._run, self._change, max_rows=max_rows, max_days=max_days
        )

    async def num_bytes(self, stop: Stop = NEVER) -> int:
        """Bytes that all tables of the store take on disk, with their indexes."""

        async def read(connection: Any) -> int:
            return int(
                await connection.fetchval(
                    "SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint "
                    "FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
                    "WHERE nspname = $1 AND relkind = 'r'",
                    self._address.schema,
                )
            )

        return await self._run(read, stop)

    async def _run(self, work: Callable[[Any], Awaitable[T]], stop: Stop) -> T:
        await self._connected(stop)
        return await self._connections.run(work, stop)

    async def _change(self, work: Callable[[Any], Awaitable[T]], stop: Stop) -> T:
        await self._connected(stop)
        return await self._connections.change(work, stop)

    async def _connected(self, stop: Stop) -> None:
        """Connects where the start could not, so that the first call after need not wait."""
        if not self._connections.is_open and self._connecting is not None:
            await until_stopped(self._connections.open(self._set_up), stop)

    async def _set_up(self, connection: Any) -> Extensions:
        return await migrate(connection, self._address.schema)

    async def _connect_when_possible(self) -> None:
        while not self._connections.is_open:
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
            try:
                await self._connections.open(self._set_up)
            except StoreUnreachableError:
                continue
            except StorageError as error:
                # Whoever calls is told the same.
                self._connections.problem = str(error)
                _LOG.error("%s", error, extra={"store": self.place})
        _LOG.info("store connected", extra={"store": self.place})
        await self._drop_deleted()

    async def _drop_deleted(self) -> None:
        """Drops the tables of collections whose deletion was cut short."""
        if self._connections.is_standby:
            return
        with suppress(CollectionError):
            for number in await self._connections.run(self._catalogue.deleted):
                await self._drop(number)

    async def _drop(self, number: int) -> None:
        """Drops the tables of a deleted collection; what is left is dropped at the next start."""
        tables = Tables.of(self._catalogue.schema, number)

        async def drop(connection: Any) -> None:
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute(f"DROP TABLE IF EXISTS {', '.join(tables.all())}")
            await self._catalogue.forget(connection, number)

        for _ in range(_TRIES_TO_DROP):
            try:
                await self._connections.change(drop)
            except StoreUnreachableError:
                # A search holds the tables, or there is no connection.
                await asyncio.sleep(0.1)
            except CollectionError as error:
                _LOG.warning("tables not dropped: %s", error, extra={"collection": number})
                return
            else:
                return


def _nothing_to_release() -> None:
    """A collection stays usable as long as somebody holds the object."""
