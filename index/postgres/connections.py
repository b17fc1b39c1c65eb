"""Connections to PostgreSQL: some few for all calls, each call's work ended when the call is.

Lost connections are replaced when the next call needs one. What a call waits for is bounded by its
stop: the statement that runs for it is cancelled in the database too, so that no work outlives its
caller. What PostgreSQL and the network raise becomes an error of `twopass.index.errors`.
"""

import asyncio
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.errors import (
    CollectionClosedError,
    CollectionError,
    LaneFullError,
    StoppedError,
    StorageError,
    StoreUnreachableError,
)
from twopass.index.postgres.address import Address
from twopass.index.stopping import NEVER, Stop

T = TypeVar("T")

_LOG = logging.getLogger("twopass.index")

KIND = "postgresql"

_CONNECT_SECONDS = 5.0
# Longer than any call waits for a statement: what runs for a server that was killed ends by it.
_STATEMENT_MILLISECONDS = 120_000
# Of every session, unless a pool such as PgBouncer gives sessions away.
_SETTINGS = {
    "application_name": "twopass",
    "jit": "off",  # compiling takes longer than any of our statements
    "plan_cache_mode": "force_custom_plan",  # a plan for all filters suits none
    "statement_timeout": str(_STATEMENT_MILLISECONDS),
    "idle_in_transaction_session_timeout": str(_STATEMENT_MILLISECONDS),
    # A server that was killed reads no answer: what runs for it ends.
    "client_connection_check_interval": "2000",
    "tcp_keepalives_idle": "30",
}
# A statement that has not been answered by then, whatever PostgreSQL or a pool in front of it is
# doing, is given up with its connection.
_ANSWER_SECONDS = _STATEMENT_MILLISECONDS / 1_000 + 10.0
# A machine that has vanished, as by a loss of power or a failover, ends no connection, and by the
# system's defaults what it was asked is waited for a quarter of an hour. It is pinged after the
# first silent seconds, and given up after the second.
_SILENT_SECONDS, _VANISHED_SECONDS = 10, 20
_PINGS = 2
_VECTOR_HEADER = struct.Struct(">HH")
# Statements are some kilobytes long; the driver would prepare each anew from 15 KB on.
_MAX_CACHED_STATEMENT = 1 << 20

# SQLSTATE classes and codes: the connection was lost or refused, or the server is starting or
# stopping; another session stood in the way and the same call may succeed.
_UNREACHABLE = ("08", "57P", "53300", "55P03", "40001")
_DEADLOCK = "40P01"
# What the driver says of a connection that is no more: "connection is closed", "pool is closing".
_CLOSED = re.compile("clos(?:ed|ing)|released")
_NO_SUCH_TABLE = ("42P01", "3F000")
_CANCELLED = "57014"
_READ_ONLY = "25006"


@dataclass(frozen=True, slots=True)
class Extensions:
    """Where the database has its extensions.

    Attributes:
        vectors: The schema of pgvector, as SQL.
        element_place: A function of an array of integers and an integer: its place from 1, 0 or
            NULL where it is not in it.
    """

    vectors: str
    element_place: str


@dataclass(slots=True)
class Connections:
    """The connections of one server to one database.

    Attributes:
        address: The database.
        problem: Why it can't be used now; "" as far as is known.
        is_standby: Whether the database takes no writes, since it follows another one.
        is_closed: Whether `close` was called.
    """

    address: Address
    problem: str = ""
    is_standby: bool = False
    is_closed: bool = False
    _pool: Any = None
    _setting_up: asyncio.Lock = field(default_factory=asyncio.Lock)
    _extensions: Extensions | None = None
    _changes: "set[asyncio.Task[Any]]" = field(default_factory=set)

    @property
    def extensions(self) -> Extensions:
        """Where the extensions are; known once a call was let through."""
        assert self._extensions is not None
        return self._extensions

    async def open(self, set_up: Callable[[Any], Awaitable[Extensions]]) -> None:
        """Connects for the first time, and sets up what all calls need.

        Who comes while another tries waits for the outcome, and tries no further.

        Args:
            set_up: Called with a connection that no pool holds; makes tables and extensions, or
                brings them up to date.

        Raises:
            StoreUnreachableError: The database does not answer now.
            StorageError: It does not let this server in, or can't be used.
        """
        is_tried = self._setting_up.locked()
        async with self._setting_up:
            if self._pool is not None:
                return
            if is_tried:
                raise self._not_yet()
            async with self._translated():
                connection = await self._connect_alone()
                try:
                    self._extensions = await set_up(connection)
                    self.is_standby = await connection.fetchval("SELECT pg_is_in_recovery()")
                finally:
                    await _closed(connection)
                self._pool = await asyncpg.create_pool(
                    self.address.dsn,
                    min_size=0,
                    max_size=self.address.max_connections,
                    max_queries=2**31,
                    init=self._prepare,
                    reset=_leave_as_it_is,
                    **self._options(),
                )
            self.problem = ""

    @property
    def is_open(self) -> bool:
        """Whether `open` has succeeded."""
        return self._pool is not None

    async def close(self) -> None:
        """Finishes the changes that have begun, then ends all connections. Idempotent."""
        self.is_closed = True
        if self._changes:
            await asyncio.wait(self._changes)
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), _CONNECT_SECONDS)
            except (TimeoutError, OSError):
                pool.terminate()

    async def run(
        self, work: Callable[[Any], Awaitable[T]], stop: Stop = NEVER, collection: str = ""
    ) -> T:
        """Does work that reads, with a connection of its own; once more where that was lost.

        Once more too where it stood in the way of a deletion: a statement locks its tables one by
        one, and PostgreSQL ends one of two that wait for each other.

        Args:
            work: Called with a connection.
            stop: Ends the work.
            collection: The collection that it is about, for errors.

        Raises:
            StoppedError: The stop was set.
            StoreUnreachableError: The database does not answer now.
            CollectionClosedError: The collection's tables are gone.
        """
        try:
            return await self._once(work, stop, collection)
        except (_LostError, _DeadlockError):
            return await self._once(work, stop, collection)

    async def change(
        self, work: Callable[[Any], Awaitable[T]], stop: Stop = NEVER, collection: str = ""
    ) -> T:
        """Does work in a transaction that commits when the work ends; never twice.

        Args:
            work: Called with a connection in a transaction, which is rolled back if it raises.
            stop: Ends the work; it has no effect once the work is done and is being committed.
            collection: The collection that it is about, for errors.

        Raises:
            StoppedError: The stop was set; nothing was changed.
            StoreUnreachableError: The database does not answer now. Whether the change was made is
                not known where it said so no more in time.
        """

        async def in_transaction(connection: Any) -> T:
            await connection.execute("BEGIN")
            try:
                result = await until_stopped(work(connection), stop)
            except BaseException:
                with suppress(Exception):
                    # Without an answer the connection is given up, and PostgreSQL rolls back.
                    await asyncio.shield(connection.execute("ROLLBACK", timeout=_CONNECT_SECONDS))
                raise
            await connection.execute("COMMIT")
            return result

        # In a task of its own: where the caller is cancelled, what was begun is completed.
        task = asyncio.ensure_future(self._once(in_transaction, NEVER, collection))
        self._changes.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits is told; where nobody does, nothing is logged

    async def _once(self, work: Callable[[Any], Awaitable[T]], stop: Stop, collection: str) -> T:
        if self._pool is None:
            raise CollectionClosedError(collection) if self.is_closed else self._not_yet()
        async with self._translated(stop, collection):
            return await until_stopped(self._with_connection(work), stop)

    async def _with_connection(self, work: Callable[[Any], Awaitable[T]]) -> T:
        pool = self._pool
        try:
            connection = await pool.acquire(timeout=_CONNECT_SECONDS)
        except TimeoutError:
            if pool.get_size() < self.address.max_connections or pool.get_idle_size():
                raise
            raise LaneFullError(
                "connections to the store postgresql", pool.get_size(), retry_after=0.5
            ) from None
        try:
            result = await work(connection)
            self._note_role(connection)
            return result
        except asyncpg.InternalClientError:
            with suppress(asyncpg.InterfaceError):  # the pool may have let it go already
                connection.terminate()  # nobody knows what it would answer next
            raise
        finally:
            with suppress(Exception):
                await asyncio.shield(pool.release(connection))

    def _note_role(self, connection: Any) -> None:
        """Notes whether the database is a standby now, since one may have been promoted.

        PostgreSQL tells it beside its answers; some pools don't pass it on.
        """
        told = getattr(connection.get_settings(), "in_hot_standby", None)
        if told is not None:
            self.is_standby = told == "on"

    def _not_yet(self) -> StoreUnreachableError:
        return StoreUnreachableError(KIND, self.problem or "not connected yet")

    async def _connect_alone(self) -> Any:
        return await asyncpg.connect(self.address.dsn, **self._options())

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "timeout": _CONNECT_SECONDS,
            "command_timeout": _ANSWER_SECONDS,
            "max_cacheable_statement_size": _MAX_CACHED_STATEMENT,
            "statement_cache_size": 0 if self.address.is_pooled else 256,
        }
        if not self.address.is_pooled:
            options["server_settings"] = dict(_SETTINGS)
        return options

    async def _prepare(self, connection: Any) -> None:
        _notice_loss(connection)
        schema = self.extensions.vectors.strip('"')
        for type_ in ("vector", "halfvec"):
            await connection.set_type_codec(
                type_, schema=schema, encoder=bytes, decoder=bytes, format="binary"
            )
        # The driver asks what a type is when it meets it: all at once here, and none in a search.
        types = ("bigint", "integer", "float8", "numeric", "jsonb")
        asked = ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(types, 1))
        await connection.fetch(f"SELECT {asked}", *[None] * len(types))

    @asynccontextmanager
    async def _translated(self, stop: Stop = NEVER, collection: str = "") -> AsyncIterator[None]:
        """Turns the errors of the driver and of the network into ours."""
        try:
            yield
        except CollectionError as error:
            if isinstance(error, StoreUnreachableError):
                self.problem = str(error)
            raise
        except Exception as error:
            translated = _translation(error, stop, collection)
            if translated is None:
                raise
            if isinstance(translated, _DeadlockError):
                pass  # it has answered
            elif isinstance(translated, StoreUnreachableError):
                if self.problem != str(translated):
                    _LOG.warning("%s", translated, extra={"store": self.address.place})
                self.problem = str(translated)
            raise translated from error
        self.problem = ""


class _LostError(StoreUnreachableError):
    """The connection was lost while, or before, it was used."""


class _DeadlockError(StoreUnreachableError):
    """The work was ended since it and a change waited for each other; nothing of it was done."""


async def until_stopped(work: Awaitable[T], stop: Stop) -> T:
    """Awaits work, and cancels it when a stop is set.

    Raises:
        StoppedError: The stop was set.
    """
    if stop is NEVER:
        return await work
    if stop.is_set:
        if asyncio.iscoroutine(work):
            work.close()
        raise StoppedError
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    with stop.calling(lambda: loop.call_soon_threadsafe(task.cancel)):
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if stop.is_set and not (current and current.cancelling()):
                raise StoppedError from None
            raise


async def _leave_as_it_is(connection: Any) -> None:
    """Sessions are never changed but for the length of a transaction, so there is nothing to do."""


def _notice_loss(connection: Any) -> None:
    """Has the system end a connection whose other end has vanished."""
    # The driver has no setting for it, and shows its socket to nobody.
    transport = getattr(connection, "_transport", None)
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    between = (_VANISHED_SECONDS - _SILENT_SECONDS) // _PINGS
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in {
        "TCP_KEEPIDLE": _SILENT_SECONDS,
        "TCP_KEEPINTVL": between,
        "TCP_KEEPCNT": _PINGS,
        "TCP_USER_TIMEOUT": 1_000 * _VANISHED_SECONDS,
    }.items():
        if (number := getattr(socket, option, None)) is not None:  # not every system has all
            sock.setsockopt(socket.IPPROTO_TCP, number, value)


async def _closed(connection: Any) -> None:
    with suppress(Exception):
        await connection.close(timeout=_CONNECT_SECONDS)


def _translation(error: Exception, stop: Stop, collection: str) -> CollectionError | None:
    """What an error of the driver or the network is to callers; None for one that is a bug."""
    state = str(getattr(error, "sqlstate", "") or "")
    if stop.is_set and (state == _CANCELLED or isinstance(error, TimeoutError)):
        return StoppedError()
    if state == _CANCELLED:
        return StoreUnreachableError(KIND, "a statement took longer than statement_timeout", 1.0)
    if state in _NO_SUCH_TABLE and collection:
        return CollectionClosedError(collection)
    if state == _READ_ONLY:
        return StorageError(
            "the store postgresql is a standby, which takes no writes; write through a server "
            "whose --store is the primary"
        )
    if state.startswith(("28", "3D")):
        return StorageError(f"the store postgresql does not let this server in: {error}")
    if state == "42501":
        return StorageError(
            f"the store postgresql does not allow it: {error}; docs/postgres.md lists the grants "
            "that the role needs"
        )
    if "unsupported startup parameter" in str(error):
        return StorageError(
            "the store postgresql is behind PgBouncer, which refuses the settings of a session: "
            f"{error}; add pgbouncer=true to the parameters of the URL of --store"
        )
    if state == _DEADLOCK:
        return _DeadlockError(KIND, _in_words(error))
    if state.startswith(_UNREACHABLE):
        kind = _LostError if state.startswith(("08", "57P01", "57P02")) else StoreUnreachableError
        return kind(KIND, _in_words(error))
    if isinstance(error, asyncpg.InternalClientError):
        # What the driver says where the connection ends between two steps of one call of its own.
        return _LostError(KIND, _in_words(error))
    if isinstance(error, asyncpg.InterfaceError) and _CLOSED.search(str(error)):
        return _LostError(KIND, _in_words(error))
    # An OSError without a number is none of the system's: a caller's function has raised it.
    if isinstance(error, TimeoutError | EOFError) or getattr(error, "errno", None) is not None:
        return StoreUnreachableError(KIND, type(error).__name__)
    if isinstance(error, asyncpg.PostgresError):
        return StorageError(f"the store postgresql: {error} (SQLSTATE {state})")
    return None


def _in_words(error: Exception) -> str:
    """What an error says, without the host that it may name."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) < 200 else text[:200]


def encode_vector(vector: Float32s, *, is_half: bool = False) -> bytes:
    """A vector as pgvector receives it: how many components, then each, big-endian.

    Args:
        vector: float32 `[dimension]`.
        is_half: Whether it is for a `halfvec`, whose components have two bytes.
    """
    components = vector.astype(">f2" if is_half else ">f4")
    return _VECTOR_HEADER.pack(len(vector), 0) + components.tobytes()


def decode_vector(encoded: bytes) -> Float32s:
    """The vector that pgvector sent."""
    return np.frombuffer(encoded, ">f4", offset=_VECTOR_HEADER.size).astype(np.float32)
