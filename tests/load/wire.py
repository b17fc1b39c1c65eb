"""Unary calls straight over HTTP/2, for a load that takes little of the machine it shares.

gRPC's own client for Python takes as much of a core for a call as a server takes to refuse it. This
one writes frames that are made beforehand, and keeps what comes back to be read when all is over.
It knows what one connection to a gRPC server needs (RFC 9113) and no more.
"""

import asyncio
import base64
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc
import hpack
from hpack.struct import NeverIndexedHeaderTuple

from twopass.v1.status_pb2 import RetryInfo, Status

from .driver import Outcome

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM = _ACK = 0x1
_END_HEADERS = 0x4
_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE = 1, 4
_FRAME_HEADER = 9
_DEFAULT_WINDOW = 2**16 - 1
_WINDOW = 2**30  # of what we receive, more than a run does
_STATUSES = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a call.

    Attributes:
        ended: When it came, seconds of `time.perf_counter`.
        seconds: From when it was asked to be sent until then.
        trailers: The header block that ended it; None where the server broke it off.
    """

    ended: float
    seconds: float
    trailers: bytes | None

    def outcome(self, deadline: float) -> Outcome:
        """What gRPC's client would have said, which stops waiting at the deadline."""
        if self.seconds > deadline:
            return Outcome("DEADLINE_EXCEEDED", self.seconds)
        if self.trailers is None:
            return Outcome("UNAVAILABLE", self.seconds)
        fields = {bytes(k): bytes(v) for k, v in hpack.Decoder().decode(self.trailers, raw=True)}
        status = _STATUSES[int(fields[b"grpc-status"])]
        return Outcome(status, self.seconds, _retry_after(fields.get(b"grpc-status-details-bin")))


class Wire(asyncio.Protocol):
    """A connection on which any number of calls of one method are under way."""

    def __init__(
        self, path: str, deadline: float, metadata: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Prepares a connection; `connect` opens one.

        Args:
            path: Of the method, as /package.Service/Method.
            deadline: Sent with every call, in seconds.
            metadata: Sent with every call.
        """
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", f"{round(deadline * 1000)}m"),
            *metadata,
        ]
        # Never indexed: so the block means the same in every call.
        self._block = hpack.Encoder().encode([NeverIndexedHeaderTuple(*field) for field in fields])
        self._waiting: dict[int, tuple[float, asyncio.Future[Answer]]] = {}
        self._unsent: deque[tuple[bytes, int]] = deque()  # frames, and their bytes of data
        self._received = b""
        self._next_stream = 1
        self._lost: Exception | None = None
        self._window = _DEFAULT_WINDOW
        self._stream_window = _DEFAULT_WINDOW

    @classmethod
    async def connect(
        cls, target: str, path: str, deadline: float, metadata: Sequence[tuple[str, str]] = ()
    ) -> "Wire":
        """Opens a connection to host:port; the other arguments are those of the constructor."""
        host, _, port = target.rpartition(":")
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(
            lambda: cls(path, deadline, metadata), host, int(port)
        )
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets: without a table of headers, each block of them can be read by itself."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        settings = struct.pack(">HIHI", _HEADER_TABLE_SIZE, 0, _INITIAL_WINDOW_SIZE, _WINDOW)
        transport.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW))
        )

    def call(self, message: bytes) -> asyncio.Future[Answer]:
        """Sends a serialized request, of almost 16 KiB at most; the result is there at its end.

        Raises:
            ConnectionError: The connection is lost.
        """
        if self._lost is not None:
            raise ConnectionError("the connection is lost") from self._lost
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[stream] = time.perf_counter(), future
        body = struct.pack(">BI", 0, len(message)) + message
        assert len(body) <= min(self._stream_window, 2**14)
        headers = _frame(_HEADERS, _END_HEADERS, stream, self._block)
        self._unsent.append((headers + _frame(_DATA, _END_STREAM, stream, body), len(body)))
        self._send()
        return future

    def data_received(self, data: bytes) -> None:
        """Takes what the server sends."""
        now = time.perf_counter()
        for kind, flags, stream, content in self._frames(data):
            if kind == _HEADERS and flags & _END_STREAM:
                self._ended(stream, now, content)
            elif kind == _RST_STREAM:
                self._ended(stream, now, None)
            elif kind == _SETTINGS and not flags & _ACK:
                self._take_settings(content)
            elif kind == _PING and not flags & _ACK:
                self._transport.write(_frame(_PING, _ACK, 0, content))
            elif kind == _WINDOW_UPDATE and stream == 0:
                self._window += struct.unpack(">I", content)[0]
                self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Fails what is under way, and what comes later."""
        self._lost = error or ConnectionError("the server closed the connection")
        for _, future in self._waiting.values():
            future.set_exception(self._lost)

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def _send(self) -> None:
        """Sends what waits, as far as the server's window goes."""
        while self._unsent and self._unsent[0][1] <= self._window:
            frames, num_bytes = self._unsent.popleft()
            self._window -= num_bytes
            self._transport.write(frames)

    def _ended(self, stream: int, now: float, trailers: bytes | None) -> None:
        if stream in self._waiting:
            began, future = self._waiting.pop(stream)
            future.set_result(Answer(now, now - began, trailers))

    def _take_settings(self, content: bytes) -> None:
        for setting, value in struct.iter_unpack(">HI", content):
            if setting == _INITIAL_WINDOW_SIZE:
                self._stream_window = value
        self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))

    def _frames(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Kind, flags, stream and content of every frame that is complete."""
        received = self._received + data
        start = 0
        while len(received) >= (head := start + _FRAME_HEADER):
            high, low, kind, flags, stream = struct.unpack_from(">BHBBI", received, start)
            if len(received) < (end := head + (high << 16 | low)):
                break
            yield kind, flags, stream, received[head:end]
            start = end
        self._received = received[start:]


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    size = len(content)
    return struct.pack(">BHBBI", size >> 16, size & 0xFFFF, kind, flags, stream) + content


def _retry_after(details: bytes | None) -> float | None:
    """Seconds of the RetryInfo in a status; None without one."""
    if details is None:
        return None
    status = Status.FromString(base64.b64decode(details + b"=" * (-len(details) % 4)))
    for detail in status.details:
        if detail.type_url.endswith("/google.rpc.RetryInfo"):
            delay = RetryInfo.FromString(detail.value).retry_delay
            return float(delay.seconds + delay.nanos / 1e9)
    return None
