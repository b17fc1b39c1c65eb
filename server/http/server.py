"""The HTTP server: uvicorn in the event loop of gRPC."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.middleware.cors import CORSMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from twopass.server.config import ServerConfig
from twopass.server.http.calls import CONNECTION
from twopass.server.http.origins import allowed_origins
from twopass.server.http.tls import TlsContext

_UNIX = "unix:"
# How long a connection may be idle, or take to send the headers of a request. Clients that pool
# connections keep them for less: httpx 5 s, Node 5 s, load balancers 60 s.
_IDLE_SECONDS = 75
# Request line and headers of a request; cookies and tokens of proxies have a few KiB.
_MAX_HEAD_BYTES = 64 * 1024
_LINGER_SECONDS = 0.5
# Requests that a client may send ahead of their answers on one connection.
_MAX_AHEAD = 16
# What is read of a body that has its answer already: a connection that is closed with something
# unread is reset, and the client may never see the answer.
_MAX_LEFT_BYTES = 64 * 1024 * 1024
_HEAD_TOO_LONG = (
    f"headers: more than {_MAX_HEAD_BYTES:,} bytes with the request line; send less of them, or "
    "what is long in the body"
).encode()
_BACKLOG = 2048
_POLL_SECONDS = 0.005
_EXPOSED_HEADERS = (
    "x-request-id",
    "retry-after",
    "retry-after-ms",
    "x-twopass-query-truncated",
    "x-twopass-documents-truncated",
    "x-twopass-texts-truncated",
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Application = Callable[[Any, Any, Any], Awaitable[None]]


class HttpServer:
    """Listens, and hands requests to an ASGI application."""

    def __init__(self, config: ServerConfig, application: Application) -> None:
        """Binds the address; nothing is answered before `start`.

        Args:
            config: The server's settings; `http_address` is set.
            application: What answers.

        Raises:
            OSError: The address is taken, or a certificate can't be read.
        """
        if config.http_cors_origins:
            application = CORSMiddleware(
                application,
                allow_origins=allowed_origins(config),
                allow_methods=_METHODS,
                allow_headers=["*"],
                expose_headers=_EXPOSED_HEADERS,
            )
        tls = TlsContext(config) if config.tls_certificate else None
        self._socket = _listening_socket(config.http_address)
        self._server = _Server(
            uvicorn.Config(
                application,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=config.drain_seconds,  # type: ignore[arg-type]
                ssl_context_factory=None if tls is None else lambda *_: tls.context,
            )
        )
        self._address = config.http_address
        self._scheme = "http" if tls is None else "https"

    @property
    def port(self) -> int:
        """The port that it listens on; 0 for a Unix socket."""
        name = self._socket.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    @property
    def url(self) -> str:
        """Where clients find it."""
        if self._address.startswith(_UNIX):
            return self._address
        return f"{self._scheme}://{self._address.rpartition(':')[0]}:{self.port}"

    async def start(self) -> None:
        """Begins to answer."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Takes no more connections, lets requests under way end, and returns when all have.

        After `drain_seconds` those that are left are told that the server ends.
        """
        self._server.should_exit = True
        await self._serving


class _Server(uvicorn.Server):
    """Leaves signals to the process that it is a part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


class _Transport:
    """A transport that can send several writes as one.

    uvicorn writes the head of an answer and its body apart, which would be two calls of the system
    and wake the client twice.
    """

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def hold(self) -> None:
        """Keeps what is written, until `flush`."""
        self._held = []

    def flush(self) -> None:
        """Writes what was held. A no-op where nothing is held."""
        held, self._held = self._held, None
        if held:
            self._transport.write(b"".join(held))

    def write(self, data: bytes) -> None:
        """Writes, or holds."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def close(self) -> None:
        """Closes the connection once all is sent."""
        self.flush()
        self._transport.close()


class _TooFarAheadError(Exception):
    """More requests came than may wait for the answers of those before."""


class _Connection(HttpToolsProtocol):
    """A connection, which a client that sends no request loses too.

    Until a request's headers have come whole it is no call, so what is kept of it is bounded here,
    in bytes and in time.

    Attributes:
        when_lost: As `calls.Connection` has it.
    """

    when_lost: Callable[[], object] | None = None
    transport: Any
    _head_began: float | None = None  # by the loop's clock; None between heads
    _has_begun_head = False  # in the data that came last
    _head_bytes = 0  # received of an unfinished head
    _field_bytes = 0  # of the fields of a head that have come whole
    _left_bytes = 0  # of a body that has its answer
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _Transport(transport)
        # Without this the second piece of an answer would wait for the client's acknowledgement of
        # the first, which comes 40 ms later. The event loop sets it itself only on sockets whose
        # protocol number was given.
        connected = transport.get_extra_info("socket")
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lose_when_idle()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._has_begun_head = False
        super().data_received(data)
        if self._is_refused or self.transport.is_closing():
            return
        if self._head_began is not None:
            # Of data in which the head begins, only its whole fields are known to be its own.
            self._head_bytes += 0 if self._has_begun_head else len(data)
            if max(self._head_bytes, self._field_bytes) > _MAX_HEAD_BYTES:
                self._refuse_head()
                return
        is_between_requests = self.cycle is None or self.cycle.response_complete
        if is_between_requests:
            if self.cycle is not None and self.cycle.more_body:
                self._left_bytes += len(data)
                if self._left_bytes > _MAX_LEFT_BYTES:
                    self.abort()
                    return
            self._unset_keepalive_if_required()
            self._lose_when_idle()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MAX_AHEAD:
            raise _TooFarAheadError
        super().on_message_begin()
        self._head_began = self.loop.time()
        self._has_begun_head = True
        self._head_bytes = self._field_bytes = self._left_bytes = 0
        self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]

    def on_url(self, url: bytes) -> None:
        self._field_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_began is not None:  # else it follows a body, where nobody reads it
            self._field_bytes += len(name) + len(value)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_began = None
        if self._field_bytes > _MAX_HEAD_BYTES:
            self._refuse_head()
        if not self._is_refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_refused:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.when_lost is not None:
            self.when_lost()

    @property
    def has_whole_body(self) -> bool:
        """Whether the body of the request under way has come."""
        return not self.cycle.more_body

    @property
    def is_choked(self) -> bool:
        """Whether the client takes less than was written."""
        return self.flow.write_paused

    def hold(self) -> None:
        """Keeps what is written, until `flush`."""
        self.transport.hold()

    def flush(self) -> None:
        """Sends what was held, as one."""
        self.transport.flush()

    def abort(self) -> None:
        """Closes it at once, whatever is still to be sent."""
        self.transport.abort()

    def _lose_when_idle(self) -> None:
        """Closes it when nothing comes for a while, or the rest of a head does not."""
        began = self.loop.time() if self._head_began is None else self._head_began
        self.timeout_keep_alive_task = self.loop.call_at(
            began + self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _refuse_head(self) -> None:
        """Tells why, and closes a moment later: what the client still sends would undo the telling.

        A socket that is closed with something unread resets the connection.
        """
        self._is_refused = True
        self._unset_keepalive_if_required()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            b"content-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s"
            % (len(_HEAD_TOO_LONG), _HEAD_TOO_LONG)
        )


def _listening_socket(address: str) -> socket.socket:
    """Binds an address.

    Args:
        address: host:port, or `unix:` and a path.

    Raises:
        OSError: It is taken, or not one of this machine.
    """
    if address.startswith(_UNIX):
        path = Path(address.removeprefix(_UNIX).removeprefix("//"))
        path.unlink(missing_ok=True)  # nobody listens there: it was tried
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        return listening
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family, *_, where = socket.getaddrinfo(
        host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
