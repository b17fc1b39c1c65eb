"""Requests straight over HTTP/1.1, with what `wire` has for calls of gRPC.

One connection carries one request at a time, so there are as many as requests are under way, and an
idle one is used again: what a client with a pool of connections does.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .driver import Outcome

# What gRPC would have said, by the statuses that the dialects of rerank have for it.
_STATUSES = {
    200: "OK",
    400: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back of a request; as `wire.Answer`.

    Attributes:
        ended: When it came, seconds of `time.perf_counter`.
        seconds: From when it was asked to be sent until then.
        status: The status of HTTP; 0 where the server closed the connection without an answer.
        retry_after: Seconds after which to try again; None where the server said nothing.
        body: The answer's content.
    """

    ended: float
    seconds: float
    status: int
    retry_after: float | None
    body: bytes

    def outcome(self, deadline: float) -> Outcome:
        """What a client would have said that stops waiting at the deadline."""
        if self.seconds > deadline:
            return Outcome("DEADLINE_EXCEEDED", self.seconds)
        status = "UNAVAILABLE" if self.status == 0 else _STATUSES.get(self.status, str(self.status))
        return Outcome(status, self.seconds, self.retry_after)


class HttpWire:
    """A pool of connections on which any number of requests of one path are under way."""

    def __init__(
        self, target: str, path: str, deadline: float, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Prepares the pool, which has no connection yet.

        Args:
            target: Where the server listens, host:port.
            path: The path.
            deadline: Sent with every request, in seconds.
            headers: Sent with every request.
        """
        self._host, _, self._port = target.rpartition(":")
        fields = [
            ("host", target),
            ("content-type", "application/json"),
            ("x-request-timeout-ms", str(max(1, round(deadline * 1000)))),
            *headers,
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self._head = f"POST {path} HTTP/1.1\r\n{lines}"
        self._idle: list[_Connection] = []
        self._all: list[_Connection] = []

    @classmethod
    async def connect(
        cls, target: str, path: str, deadline: float, headers: Sequence[tuple[str, str]] = ()
    ) -> "HttpWire":
        """Opens the first connection; arguments are those of the constructor."""
        wire = cls(target, path, deadline, headers)
        wire._idle.append(await wire._opened())
        return wire

    def call(self, body: bytes) -> "asyncio.Task[HttpAnswer]":
        """Sends a request; the result is there when it is answered."""
        began = time.perf_counter()
        return asyncio.ensure_future(self._call(body, began))

    async def _call(self, body: bytes, began: float) -> HttpAnswer:
        request = f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body
        connection = self._idle.pop() if self._idle else await self._opened()
        answer = await connection.ask(request, began)
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def _opened(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, int(self._port))
        self._all.append(connection)
        return connection

    def close(self) -> None:
        """Ends the connections."""
        for connection in self._all:
            connection.close()


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self) -> None:
        self.is_open = True
        self._received = bytearray()
        self._waiting: tuple[float, asyncio.Future[HttpAnswer]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, began: float) -> "asyncio.Future[HttpAnswer]":
        """Sends a request that was asked for at a time."""
        future: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self._waiting = began, future
        if self.is_open:
            self._transport.write(request)
        else:
            self._answered(0, None, b"")
        return future

    def data_received(self, data: bytes) -> None:
        """Takes what the server sends."""
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        size = int(headers["content-length"])
        if len(rest) < size:
            return
        self._received = rest[size:]
        if headers.get("connection") == "close":
            self.close()
        milliseconds = headers.get("retry-after-ms")
        retry_after = None if milliseconds is None else int(milliseconds) / 1000
        self._answered(int(first.split()[1]), retry_after, bytes(rest[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        """Ends what is under way without an answer."""
        self.is_open = False
        self._answered(0, None, b"")

    def close(self) -> None:
        """Ends the connection."""
        self.is_open = False
        self._transport.close()

    def _answered(self, status: int, retry_after: float | None, body: bytes) -> None:
        if self._waiting is None:
            return
        began, future = self._waiting
        self._waiting = None
        now = time.perf_counter()
        if not future.done():
            future.set_result(HttpAnswer(now, now - began, status, retry_after, body))
