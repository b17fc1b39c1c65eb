"""A relay between a client and a server: bytes pass unchanged, requests and answers are noted."""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Self

import httptools

_CHUNK = 64 * 1024


@dataclass(slots=True)
class Exchange:
    """A request that passed, and its answer.

    Attributes:
        began: When its head had come, seconds of the clock.
        method: Its method.
        path: Its path, with the query string.
        status: Of the answer; 0 where none came.
        ended: When the answer's head had come.
        headers: Of the answer, names in lower case.
    """

    began: float
    method: str
    path: str
    status: int
    ended: float
    headers: dict[str, str]

    @property
    def retry_after(self) -> float | None:
        """Seconds that the answer says to wait; None where it says nothing."""
        value = self.headers.get("retry-after")
        return float(value) if value else None


class Relay:
    """Listens on a free port and passes everything on.

    Attributes:
        target: Where it listens, host:port; known inside the block.
        exchanges: What has passed, in the order in which it was asked.
    """

    def __init__(self, server: str) -> None:
        self.target = ""
        self.exchanges: list[Exchange] = []
        self._host, _, port = server.rpartition(":")
        self._port = int(port)
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.target = f"127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        open_exchanges: deque[Exchange] = deque()
        requests = _Requests(self.exchanges, open_exchanges)
        answers = _Answers(open_exchanges)
        with contextlib.suppress(OSError):
            upstream, downstream = await asyncio.open_connection(self._host, self._port)
            await asyncio.gather(
                _pass_on(reader, downstream, requests), _pass_on(upstream, writer, answers)
            )
        self._under_way.discard(task)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listening: "_Requests | _Answers"
) -> None:
    try:
        while piece := await reader.read(_CHUNK):
            with contextlib.suppress(httptools.HttpParserError):  # passed on, though not understood
                listening.feed(piece)
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


class _Requests:
    def __init__(self, exchanges: list[Exchange], open_exchanges: deque[Exchange]) -> None:
        self._exchanges = exchanges
        self._open = open_exchanges
        self._parser: Any = httptools.HttpRequestParser(self)
        self._path = b""

    def feed(self, piece: bytes) -> None:
        self._parser.feed_data(piece)

    def on_message_begin(self) -> None:
        self._path = b""

    def on_url(self, piece: bytes) -> None:
        self._path += piece

    def on_headers_complete(self) -> None:
        method = self._parser.get_method().decode()
        exchange = Exchange(time.time(), method, self._path.decode(), 0, 0.0, {})
        self._exchanges.append(exchange)
        self._open.append(exchange)


class _Answers:
    def __init__(self, open_exchanges: deque[Exchange]) -> None:
        self._open = open_exchanges
        self._parser: Any = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}

    def feed(self, piece: bytes) -> None:
        self._parser.feed_data(piece)

    def on_message_begin(self) -> None:
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and self._open:
            exchange = self._open.popleft()
            exchange.status, exchange.ended = status, time.time()
            exchange.headers = self._headers
