"""Calls of a Milvus, and what is met there as our errors."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from pymilvus import AsyncMilvusClient, DataType, Function, FunctionType
from pymilvus.exceptions import MilvusException

from twopass.index.errors import StoppedError, StorageError, StoreUnreachableError
from twopass.index.milvus.filter_expression import STORE
from twopass.index.milvus.place import MilvusPlace
from twopass.index.stopping import NEVER, Stop

__all__ = [
    "AsyncMilvusClient",
    "DataType",
    "Function",
    "FunctionType",
    "MilvusConnection",
    "NoSuchCollectionError",
    "NotLoadedError",
]

T = TypeVar("T")

_LOG = logging.getLogger("twopass.index")
# It logs each failed try with a traceback; what a failure means is told by who called.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

_CONNECT_SECONDS = 5.0
_CALL_SECONDS = 60.0
_CHANGE_SECONDS = 300.0  # an index over what is there takes longer than any read

# Of Milvus' errors, by their numbers (pkg/util/merr/errors.go).
_NOT_FOUND = 100
_NOT_LOADED = (101, 103)
_BUSY = frozenset({2, 3, 4, 8, 9, 11, 12, 106})
_NOT_LET_IN = frozenset({1400, 1401})
_UNSAID = 1  # the number of what has none, in old versions and in milvus-lite
_MAX_REASON = 300


class NoSuchCollectionError(Exception):
    """Milvus has no collection or alias of that name, or has none any more."""


class NotLoadedError(Exception):
    """The collection's indexes are not in memory."""


class MilvusConnection:
    """One channel to a Milvus, over which any number of calls run at once.

    A lost connection is made anew by the next call. Belongs to one event loop.

    Attributes:
        place: Where the Milvus is.
        problem: Why the last call that was answered by nobody failed; "" when one was answered.
    """

    def __init__(self, place: MilvusPlace) -> None:
        self.place = place
        self.problem = ""
        self._client: Any = None
        self._closed = False

    async def read(
        self, verb: str, collection: str, *, stop: Stop = NEVER, **arguments: Any
    ) -> Any:
        """Calls a method of pymilvus' client that changes nothing; the first one is a name.

        Raises:
            NoSuchCollectionError: There is none of that name.
            NotLoadedError: The collection must be loaded first.
            StoreUnreachableError: No answer came.
            StorageError: It was refused.
            StoppedError: The stop was set first.
        """
        client = self._ready_client()
        arguments.setdefault("timeout", _CALL_SECONDS)
        call = getattr(client, verb)(collection, **arguments)
        return await self._answered(_until(call, stop))

    async def change(self, verb: str, *names: Any, **arguments: Any) -> Any:
        """Calls a method of pymilvus' client that changes something; raises as `read`."""
        arguments.setdefault("timeout", _CHANGE_SECONDS)
        return await self._answered(getattr(self._ready_client(), verb)(*names, **arguments))

    async def names(self, stop: Stop = NEVER) -> list[str]:
        """The names of all collections of the database; raises as `read`."""
        call = self._ready_client().list_collections(timeout=_CALL_SECONDS)
        found: list[str] = await self._answered(_until(call, stop))
        return found

    async def upsert(self, collection: str, rows: list[dict[str, Any]], **arguments: Any) -> int:
        """Writes rows; returns Milvus' timestamp of the write, 0 where it tells none."""
        return await self._write("upsert_rows", collection, rows, **arguments)

    async def delete(self, collection: str, expression: str) -> int:
        """Deletes the rows that pass; returns Milvus' timestamp of it, 0 where it tells none."""
        return await self._write("delete", collection, expression)

    async def create_index(self, collection: str, index: Any) -> None:
        """Makes an index, and waits until it is there; raises as `read`."""
        name = index.field_name
        try:
            await self.change("_create_index", collection, index)
        except _UnimplementedError:
            # milvus-lite makes it at once, and has no clock to wait by.
            if name not in await self.read("list_indexes", collection, field_name=name):
                raise

    def forget_schema(self, collection: str) -> None:
        """Has pymilvus ask for a collection's fields again before it writes to it."""
        handler = getattr(self._client, "_handler", None)
        if handler is not None:
            handler._invalidate_schema(collection, db_name=self.place.database)

    async def close(self) -> None:
        """Closes the channel: no collection is found any more. Idempotent."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _write(self, verb: str, *arguments: Any, **more: Any) -> int:
        client = self._ready_client()

        async def write() -> int:
            # The client's own methods leave the timestamp out.
            handler = await client._get_connection()
            context = client._generate_call_context()
            done = await getattr(handler, verb)(
                *arguments, timeout=_CHANGE_SECONDS, context=context, **more
            )
            return int(done.timestamp)

        return await self._answered(write())

    def _ready_client(self) -> Any:
        if self._closed:
            raise NoSuchCollectionError("closed")
        if self._client is None:
            self._client = AsyncMilvusClient(
                uri=self.place.uri,
                token=self.place.credentials,
                db_name=self.place.database,
                timeout=_CONNECT_SECONDS,
                dedicated=True,
            )
        return self._client

    async def _answered(self, call: Awaitable[T]) -> T:
        try:
            answer = await call
        except MilvusException as error:
            raise self._meaning(error) from error
        except TimeoutError as error:
            raise self._unreachable("no answer in time") from error
        except Exception as error:
            if (status := _grpc_status(error)) is None:
                raise
            raise self._meaning_of_status(status) from error
        self.problem = ""
        return answer

    def _meaning(self, error: MilvusException) -> Exception:
        """What an answer of Milvus, or of pymilvus in its stead, means here."""
        reason = str(error.message)[:_MAX_REASON]
        code = error.code
        if not isinstance(code, int):  # gRPC's, after many tries
            return self._meaning_of_status(code.name)
        if code == _NOT_FOUND or (code == _UNSAID and _says(reason, "not exist", "not found")):
            return NoSuchCollectionError(reason)
        if code in _NOT_LOADED or (code == _UNSAID and _says(reason, "not loaded")):
            return NotLoadedError(reason)
        if code in _NOT_LET_IN or _says(reason, "auth check failure"):
            return StorageError(f"the store {STORE} does not let this server in")
        if _says(reason, "fail connecting", "retry timeout", "retry run out", "channel"):
            return self._unreachable("it could not be connected to")
        if code in _BUSY:
            return StoreUnreachableError(STORE, "it is busy")
        return StorageError(f"the store {STORE} refused: {reason}")

    def _meaning_of_status(self, status: str) -> Exception:
        match status:
            case "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "CANCELLED":
                return self._unreachable("it could not be connected to")
            case "RESOURCE_EXHAUSTED":
                return StoreUnreachableError(STORE, "it is busy, or the answer is too large for it")
            case "UNAUTHENTICATED" | "PERMISSION_DENIED":
                return StorageError(f"the store {STORE} does not let this server in")
            case "UNIMPLEMENTED":
                return _UnimplementedError(f"the store {STORE} is of a version that lacks a call")
        return StorageError(f"the store {STORE} refused: {status}")

    def _unreachable(self, problem: str) -> StoreUnreachableError:
        if not self.problem:
            _LOG.warning("the store can't be reached", extra={"store": str(self.place)})
        self.problem = problem
        return StoreUnreachableError(STORE, problem)


class _UnimplementedError(StorageError):
    """The server knows no such call."""


async def _until(call: Awaitable[T], stop: Stop) -> T:
    """Awaits a call until a stop is set, and cancels it then.

    Raises:
        StoppedError: The stop was set first.
    """
    if stop is NEVER:
        return await call
    task = asyncio.ensure_future(call)
    loop = asyncio.get_running_loop()
    try:
        with stop.calling(lambda: loop.call_soon_threadsafe(task.cancel)):
            return await task
    except asyncio.CancelledError:
        caller = asyncio.current_task()
        if stop.is_set and not (caller is not None and caller.cancelling()):
            raise StoppedError from None
        raise


def _grpc_status(error: Exception) -> str | None:
    """The name of gRPC's status, where an error has one: pymilvus lets some of them through."""
    code = getattr(error, "code", None)
    if not callable(code):
        return None
    name = getattr(code(), "name", None)
    return name if isinstance(name, str) else None


def _says(reason: str, *words: str) -> bool:
    lowered = reason.lower()
    return any(word in lowered for word in words)
