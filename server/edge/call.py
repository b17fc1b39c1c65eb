"""One call of any wire, from when it came until it has its end."""

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from twopass.index.errors import LaneFullError
from twopass.server.edge.call_log import CallLog
from twopass.server.edge.gate import Gate
from twopass.server.edge.messages import Decoder, ReadMessage
from twopass.server.edge.permissions import Permission
from twopass.server.edge.statuses import Statuses
from twopass.server.errors import LateError, NeverInTimeError, PermissionDeniedError
from twopass.server.metadata import Metadata
from twopass.server.request import ANYONE, Caller, Request
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.tracing import Tracer, start_recording, stop_recording
from twopass.v1 import collection_pb2, search_pb2

_STATUSES = Statuses()
_REQUEST_ID = re.compile("[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls share.

    Attributes:
        gate: Admits calls.
        metrics: Where calls are counted.
        tracer: Traces calls; None to trace none.
        log: The log of calls.
        max_message_bytes: Longest answer.
    """

    gate: Gate
    metrics: Metrics
    tracer: Tracer | None
    log: CallLog
    max_message_bytes: int


@dataclass(slots=True)
class Rpc:
    """An rpc of a service.

    Attributes:
        service: Full name of its service.
        method: Its name within the service.
        permission: What its callers must be allowed to do.
        run: The servicer's method; unset where a library implements the service.
        read: Reads plain requests from their bytes, and of others nothing: None, and the decoder
            reads them. Unset for most rpcs.
        decoder: Decodes its requests; unset where a library implements the service.
        statuses: How its failures are told.
        name: Its full name, with dots.
        path: Its name in gRPC, with slashes.
    """

    service: str
    method: str
    permission: Permission
    run: Callable[..., Any] = lambda *_: None
    read: Callable[[bytes], ReadMessage[Any, Any] | None] = lambda _: None
    decoder: Decoder | None = None
    statuses: Statuses = _STATUSES
    name: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        self.name = f"{self.service}.{self.method}"
        self.path = f"/{self.service}/{self.method}"


class Call:
    """One call; a subclass answers it over its wire.

    An overloaded server spends its time here, so the code of every call is kept short: plain blocks
    and one object a call. Generators as context managers would take several times as long.

    Attributes:
        id: Stands in the log, and in the text of an INTERNAL error.
        rpc: What is called.
        shared: What all calls share.
    """

    __slots__ = (
        "_began",
        "_caller",
        "_end_trace",
        "_has_ended",
        "_is_counted",
        "_metadata",
        "_request",
        "_stage",
        "id",
        "rpc",
        "shared",
    )

    def __init__(self, shared: Shared, rpc: Rpc, metadata: Metadata) -> None:
        """Begins a call, which is not admitted yet.

        Args:
            shared: What all calls share.
            rpc: The rpc that is called.
            metadata: The call's metadata.
        """
        self._began = time.perf_counter()
        self.shared = shared
        self.rpc = rpc
        self._metadata = metadata or ()
        self.id = _call_id(self._metadata)
        self._caller = ANYONE
        self._is_counted = False
        self._request: Request | None = None
        self._has_ended = False
        self._stage = "waiting for its message"
        self._end_trace = self._begin_trace()

    def admit(self) -> None:
        """Counts the call as under way, until it ends.

        Raises:
            RequestError: The caller may not make this call, or not now.
        """
        self._caller = self.shared.gate.admit(self._metadata, self.rpc.permission)
        self._is_counted = True

    def check(self) -> None:
        """Checks the key of a call that counts against no quota.

        Raises:
            RequestError: The caller may not make this call.
        """
        self._caller = self.shared.gate.check(self._metadata, self.rpc.permission)

    def failed(self, raised: Exception) -> Exception:
        """Ends the call with an error; returns the one to tell the caller."""
        error = raised
        if isinstance(raised, asyncio.TimeoutError):
            error = LateError("deadline: it ran out")
        if isinstance(error, PermissionDeniedError):
            self.shared.metrics.rejected("permission_denied")
        elif isinstance(error, LaneFullError):
            self.shared.metrics.rejected("lane")
        code = self.rpc.statuses.code(error)
        # NeverInTimeError has been counted where it was raised.
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and not isinstance(error, NeverInTimeError):
            self.shared.metrics.rejected("late")
        # Before the answer, so that a caller that has its answer finds the log line.
        self.ended(code, error)
        return error

    def ended(
        self, code: grpc.StatusCode, error: Exception | None = None, reason: str = ""
    ) -> None:
        """Releases what was reserved for the call, and records its end. Idempotent."""
        if self._has_ended:
            return
        self._has_ended = True
        self._release()
        seconds = time.perf_counter() - self._began
        self.shared.metrics.call_ended(self.rpc.name, code.name, seconds)
        self.shared.log.ended(self.rpc.name, self.id, code, seconds, error, reason)
        if self._end_trace is not None:
            self._end_trace(code)

    def gone(self) -> None:
        """Records that the caller has gone, or that the server's drain is over. Idempotent."""
        if self._has_ended:
            return
        stage = self._stage
        if self._request is not None and (done := self._request.timings.last_done()):
            stage = f"{stage}, after {done}"
        if self._request is not None and self._request.is_at_deadline():
            self.shared.metrics.rejected("late")
            reason = f"deadline: it ran out while the call was {stage}"
            self.ended(grpc.StatusCode.DEADLINE_EXCEEDED, reason=reason)
            return
        causes = ["by the caller"]
        if self._request is None:
            causes.append("for a message of more than max-message-bytes")
        if self.shared.gate.drains:
            causes.append("by the end of the drain")
        reason = f"cancelled: {', or '.join(causes)}, while the call was {stage}"
        self.ended(grpc.StatusCode.CANCELLED, reason=reason)

    def open(self, seconds: float | None) -> Request:
        """Makes the `Request` of the call.

        Args:
            seconds: Until its deadline; None for no deadline.
        """
        self._request = Request(
            id=self.id,
            received=self._began,
            deadline=None if seconds is None else time.perf_counter() + seconds,
            caller=self._caller,
            bytes_in_flight=self.shared.gate.bytes_in_flight,
        )
        return self._request

    def at_stage(self, stage: str) -> None:
        """Notes what is done with the call, to be told if its caller goes meanwhile."""
        self._stage = stage

    def _release(self) -> None:
        """Releases what was reserved, before the answer: the caller's next call finds it free."""
        if self._request is not None:
            self._request.close()
        if self._is_counted:
            self.shared.gate.release(self._caller)
            self._is_counted = False

    def _begin_trace(self) -> Callable[[grpc.StatusCode], None] | None:
        """Begins the trace of the call; returns the function that ends it, or None without one."""
        tracer = self.shared.tracer
        traced = None if tracer is None else tracer.begin(self.rpc.name, self._metadata)
        if traced is None:
            stop_recording()
            return None
        stages = start_recording()

        def end(code: grpc.StatusCode) -> None:
            error = "" if code is grpc.StatusCode.OK else code.name
            traced.end(stages, {"call": self.id, "code": code.name}, error)

        return end


def ensure_may_use_collections(caller: Caller, message: Message) -> None:
    """Checks that a caller may use the collections that its message names.

    Raises:
        PermissionDeniedError: It may not use one of them.
    """
    if caller.may_use_all:
        return
    for collection in _collections_of(message):
        caller.ensure_may_use(collection)


def drop_frames(error: BaseException) -> None:
    """Drops the frames that an error came through, and with them the messages they hold.

    grpc.aio keeps the error that ends a call in a reference cycle with the call's state. Until the
    cycle is collected it holds a few small objects; with the frames, all the call's megabytes.
    """
    dropped: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in dropped:
            dropped.add(id(each))
            each.__traceback__ = None
            left += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                left += each.exceptions


def _call_id(metadata: Metadata) -> str:
    """The id that the caller gave in `x-request-id`, if it is valid; else a random one."""
    for name, value in metadata:
        if name == "x-request-id":
            if isinstance(value, str) and _REQUEST_ID.fullmatch(value):
                return value
            break
    return os.urandom(6).hex()


def _collections_of(request: Message) -> list[str]:
    """The collections, or aliases of them, that a request names; often empty."""
    if isinstance(request, collection_pb2.UpdateAliasesRequest):
        named = [name for change in request.changes for name in (change.alias, change.collection)]
        return [collection for collection in named if collection]  # with none, the alias is removed
    if isinstance(request, search_pb2.BatchSearchRequest):
        return list({search.collection for search in request.searches if search.collection})
    descriptor = request.DESCRIPTOR
    fields = descriptor.fields_by_name
    if "collection" in fields:
        # A later chunk of a stream may leave it out. A snapshot is restored into a new collection.
        named = [getattr(request, f) for f in ("collection", "new_collection") if f in fields]
        return [collection for collection in named if collection]
    if "name" in fields and descriptor.file.name == collection_pb2.DESCRIPTOR.name:
        return [getattr(request, f) for f in ("name", "new_name") if f in fields]
    return []
