"""Calls over HTTP: through the same edge as those of gRPC, one after the other on a connection."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeAlias

import grpc

from twopass.server.edge.call import Call, Rpc, Shared, drop_frames
from twopass.server.edge.permissions import Permission
from twopass.server.edge.statuses import details_of, message_of, retry_after, status_code
from twopass.server.errors import InvalidRequestError, RequestError
from twopass.server.http.bodies import too_long
from twopass.server.http.endpoint import Answer, Dialect, Endpoint, Failure, HttpRequest
from twopass.server.http.origins import Origins
from twopass.server.http.routes import Route, Routes
from twopass.server.http.statuses import HttpError
from twopass.server.http.unpacking import Unpacking
from twopass.server.metadata import Metadata
from twopass.server.request import Request

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONNECTION = "twopass.connection"
"""Extension of a scope: its `Connection`."""

# A client that sends nothing of an announced body for so long, or takes nothing of its answer, has
# gone as far as we know, and loses its connection.
_STALLED_SECONDS = 30.0
# And so has one that is slower than this for longer than that: bodies and answers that trickle
# would hold places and memory for hours.
_SLOWEST_BYTES_PER_SECOND = 16 * 1024
# Answers are handed over in pieces of this size: the next when the one before has left.
_PIECE_BYTES = 64 * 1024
# Of requests that need no key, or count against no quota: none of them has anything to say.
_OPEN_BODY_BYTES = 4 * 1024
_TIMEOUTS = ("x-request-timeout-ms", "connect-timeout-ms")
# Ten digits, as Connect's protocol has it: 115 days.
_MAX_TIMEOUT_DIGITS = 10


class Connection(Protocol):
    """What a call may do with its connection, which carries one call at a time.

    Attributes:
        when_lost: Called when the client has closed it; None to call nothing.
    """

    when_lost: Callable[[], object] | None

    @property
    def has_whole_body(self) -> bool:
        """Whether the body of the request under way has come."""

    @property
    def is_choked(self) -> bool:
        """Whether the client takes less than was written."""

    def hold(self) -> None:
        """Keeps what is sent, until `flush`."""

    def flush(self) -> None:
        """Sends what was held, as one."""

    def abort(self) -> None:
        """Closes it at once, whatever is still to be sent."""


class _ClientGoneError(Exception):
    """The client closed its connection before its request had come."""


class HttpEdge:
    """The ASGI application: finds the endpoint of a request, and takes its call to its end."""

    def __init__(
        self,
        shared: Shared,
        routes: Routes,
        origins: Origins,
        unknown: Dialect,
        unpacking: Unpacking,
        *,
        max_body_bytes: int,
    ) -> None:
        """Takes what all calls share.

        Args:
            shared: The same as for gRPC's calls.
            routes: The endpoints.
            origins: Which web pages may ask.
            unknown: How failures look on paths that no dialect has.
            unpacking: Undoes gzip.
            max_body_bytes: Longest body.
        """
        self._shared = shared
        self._routes = routes
        self._origins = origins
        self._unknown = unknown
        self._unpacking = unpacking
        self._unknown_rpc = routes.rpc_named("http.unknown")
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        metadata: Metadata = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        headers: dict[str, str] = dict(metadata)  # type: ignore[arg-type]  # all are texts
        call: HttpCall
        try:
            route = self._routes.find(
                scope["method"],
                scope["raw_path"].decode("ascii"),
                is_browser="text/html" in headers.get("accept", ""),
            )
        except HttpError as error:
            call = HttpCall(self._shared, self._unknown_rpc, metadata, scope, receive, send)
            await call.refuse(error, self._unknown)
            return
        call = HttpCall(self._shared, route.rpc, metadata, scope, receive, send)
        try:
            self._origins.ensure_may_ask(scope["method"], headers)
            if route.endpoint.counts:
                call.admit()
            else:
                call.check()
        except RequestError as error:
            await call.refuse(error, route.endpoint.dialect)
            return
        is_open = route.rpc.permission is Permission.OPEN or not route.endpoint.counts
        max_bytes = min(_OPEN_BODY_BYTES, self._max_body_bytes) if is_open else self._max_body_bytes
        await call.answer(route, headers, self._routes, self._unpacking, max_bytes)


class HttpCall(Call):
    """A call over HTTP."""

    __slots__ = ("_client_is_gone", "_connection", "_dialect", "_receive", "_scope", "_send")

    def __init__(
        self,
        shared: Shared,
        rpc: Rpc,
        metadata: Metadata,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Begins a call, as `Call` does, with the functions of ASGI to receive and to send."""
        super().__init__(shared, rpc, metadata)
        self._scope = scope
        self._connection: Connection = scope["extensions"][CONNECTION]
        self._client_is_gone = False
        self._dialect: Dialect | None = None  # told by the body
        self._receive = receive
        self._send = send

    async def refuse(self, error: Exception, dialect: Dialect) -> None:
        """Answers with an error before the body was read."""
        await self._tell(self._failure(error), dialect)

    async def answer(
        self,
        route: Route,
        headers: dict[str, str],
        routes: Routes,
        unpacking: Unpacking,
        max_body_bytes: int,
    ) -> None:
        """Reads the body, and answers.

        Args:
            route: The endpoint.
            headers: The request's.
            routes: All endpoints, of which the body may choose one.
            unpacking: Undoes gzip.
            max_body_bytes: Longest body.
        """
        try:
            answer = await self._answered(route, headers, routes, unpacking, max_body_bytes)
        except _ClientGoneError:
            self.gone()
            return
        except Exception as error:
            self._connection.when_lost = None
            failure = self._failure(error)
            drop_frames(error)  # and with them the body, however slowly the client reads
            await self._tell(failure, self._dialect or route.endpoint.dialect)
            return
        except asyncio.CancelledError:
            self.gone()
            self._connection.when_lost = None
            if not self._client_is_gone:
                await self._end_of_drain()
            _keep_running()
            return
        self._connection.when_lost = None
        self.ended(grpc.StatusCode.OK)
        await self._send_answer(answer)

    async def _answered(
        self,
        route: Route,
        headers: dict[str, str],
        routes: Routes,
        unpacking: Unpacking,
        max_body_bytes: int,
    ) -> Answer:
        """Reads the body, and asks the endpoint; arguments are those of `answer`."""
        seconds = _timeout(headers)
        request = self.open(seconds)
        body = await self._body(headers, request, unpacking, max_body_bytes)
        asked = HttpRequest(
            method=self._scope["method"],
            path=route.path,
            query=self._scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            model=route.model,
            variables=route.variables,
        )
        request.message_bytes = len(body)
        endpoint = route.endpoint
        self.at_stage("being worked on")
        if endpoint.counts:
            self._cancel_when_gone()
        if not isinstance(endpoint, Endpoint):
            endpoint = await endpoint.choose(asked, request)
            self.rpc = routes.rpc_named(endpoint.name)
            self._dialect = endpoint.dialect
        if seconds is None:
            return await endpoint.answer(asked, request)
        async with asyncio.timeout(seconds):
            return await endpoint.answer(asked, request)

    def _failure(self, raised: Exception) -> Failure:
        """Ends the call with an error, and tells it."""
        error = self.failed(raised)
        return Failure(
            code=status_code(error),
            message=message_of(error, self.id),
            error=error,
            retry_after=retry_after(error),
            call_id=self.id,
            details=details_of(error),
        )

    async def _tell(self, failure: Failure, dialect: Dialect) -> None:
        answer = dialect.failed(failure)
        headers = list(answer.headers)
        if failure.code is grpc.StatusCode.UNAUTHENTICATED:
            headers.append(("www-authenticate", "Bearer"))
        if failure.retry_after is not None:
            milliseconds = max(1, round(failure.retry_after * 1000))
            headers.append(("retry-after", str(-(-milliseconds // 1000))))
            headers.append(("retry-after-ms", str(milliseconds)))
        if isinstance(failure.error, HttpError):
            headers += failure.error.headers
        await self._send_answer(
            Answer(
                body=answer.body,
                status=answer.status,
                content_type=answer.content_type,
                headers=tuple(headers),
            )
        )

    async def _end_of_drain(self) -> None:
        """Tells a client that waits still that the server ends."""
        await self._send_answer(
            Answer(
                body=b"the server ends; another may answer",
                status=503,
                content_type="text/plain; charset=utf-8",
                headers=(("connection", "close"), ("retry-after", "1")),
            )
        )

    async def _body(
        self, headers: dict[str, str], request: Request, unpacking: Unpacking, max_bytes: int
    ) -> bytes:
        """Receives the body.

        Raises:
            HttpError: It is too long, stalls, or is encoded in a way that is not known.
            OverloadedError: There is no room for it.
        """
        self.at_stage("waiting for its body")
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > max_bytes:
            raise too_long(int(announced), max_bytes)
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding not in ("identity", "gzip", ""):
            raise HttpError(
                415,
                f"content-encoding: {encoding[:32]!r} given, gzip or identity is needed",
                headers=(("accept-encoding", "gzip, identity"),),
            )
        if self._connection.has_whole_body:
            body, _ = await self._piece(request, 0, max_bytes)
        else:
            body = await self._received(request, max_bytes)
        return await unpacking.run(body, request, is_gzip=encoding == "gzip", max_bytes=max_bytes)

    async def _piece(self, request: Request, num_before: int, max_bytes: int) -> tuple[bytes, bool]:
        """The next piece of the body, counted, and whether more follow."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        piece = bytes(message.get("body", b""))
        if num_before + len(piece) > max_bytes:
            raise too_long(num_before + len(piece), max_bytes)
        request.reserve_bytes(len(piece))
        return piece, message.get("more_body", False)

    async def _received(self, request: Request, max_bytes: int) -> bytes:
        pieces = []
        num_bytes = 0
        began = _now()
        try:
            async with asyncio.timeout(_STALLED_SECONDS) as stalled:
                has_more = True
                while has_more:
                    piece, has_more = await self._piece(request, num_bytes, max_bytes)
                    pieces.append(piece)
                    num_bytes += len(piece)
                    stalled.reschedule(_patience(began, num_bytes))
        except TimeoutError:
            raise HttpError(
                408,
                f"body: {num_bytes:,} bytes of it came in {_now() - began:.0f} s, and "
                f"nothing more for {_STALLED_SECONDS:g} s, or less than "
                f"{_SLOWEST_BYTES_PER_SECOND:,} a second; send it faster",
                headers=(("connection", "close"),),
            ) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _cancel_when_gone(self) -> None:
        """Cancels this task when the client closes its connection."""
        working = asyncio.current_task()
        assert working is not None

        def lost() -> None:
            self._client_is_gone = True
            working.cancel()

        self._connection.when_lost = lost

    async def _send_answer(self, answer: Answer) -> None:
        body = answer.body
        headers = [
            (b"content-type", answer.content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.id.encode()),
        ]
        headers += [(name.encode(), _one_line(value)) for name, value in answer.headers]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        if len(body) <= _PIECE_BYTES and not self._connection.is_choked:
            await self._send_first(start, body, has_more=False)
        else:
            await self._send_pieces(start, body)

    async def _send_first(self, start: dict[str, Any], piece: bytes, *, has_more: bool) -> None:
        """Sends the head of an answer, and the first piece of its body with it."""
        self._connection.hold()
        try:
            await self._send(start)
            await self._send(_body_message(piece, has_more=has_more))
        finally:
            self._connection.flush()

    async def _send_pieces(self, start: dict[str, Any], body: bytes) -> None:
        """Sends a long body, which counts as kept until the client has taken it."""
        in_flight = self.shared.gate.bytes_in_flight
        in_flight.count(len(body))
        began = _now()
        try:
            async with asyncio.timeout(_STALLED_SECONDS) as stalled:
                end = _PIECE_BYTES
                await self._send_first(start, body[:end], has_more=end < len(body))
                while end < len(body):
                    stalled.reschedule(_patience(began, end))
                    piece, end = body[end : end + _PIECE_BYTES], end + _PIECE_BYTES
                    await self._send(_body_message(piece, has_more=end < len(body)))
        except TimeoutError:
            self._connection.abort()
        finally:
            in_flight.release(len(body))


def _body_message(piece: bytes, *, has_more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": piece, "more_body": has_more}


def _patience(began: float, num_bytes: int) -> float:
    """Until when the next piece of a body or an answer is waited for, by the loop's clock.

    Args:
        began: When the first was.
        num_bytes: What has been received or sent since.
    """
    in_pace = began + num_bytes / _SLOWEST_BYTES_PER_SECOND
    return min(_now(), in_pace) + _STALLED_SECONDS


def _keep_running() -> None:
    """Takes back that this task is to end: it has what it was cancelled for behind it."""
    working = asyncio.current_task()
    if working is not None:
        working.uncancel()


def _timeout(headers: dict[str, str]) -> float | None:
    """Seconds until the deadline that a request states; None where it states none.

    Raises:
        InvalidRequestError: It is not a number of milliseconds.
    """
    for name in _TIMEOUTS:
        if (stated := headers.get(name)) is not None:
            if not stated.isdecimal() or len(stated) > _MAX_TIMEOUT_DIGITS or int(stated) == 0:
                raise InvalidRequestError(
                    f"{name}: {stated[:32]!r} given, milliseconds from 1 to "
                    f"{10**_MAX_TIMEOUT_DIGITS - 1:,} are needed"
                )
            return int(stated) / 1000
    return None


def _one_line(value: str) -> bytes:
    """A header's value, of which no character can end its line."""
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")


def _now() -> float:
    return asyncio.get_running_loop().time()
