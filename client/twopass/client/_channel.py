"""How both clients open a channel and make a call on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import grpc
import grpc.aio

from twopass.client._balancing import Balancing
from twopass.client._call import Call
from twopass.client._retries import MAX_ATTEMPTS, Attempts, Throttle
from twopass.client._rpcs import Request, Response, Rpc
from twopass.client._target import authority, grpc_target, is_balanced, is_loopback, looked_up
from twopass.client._unreachable import CONNECT_SECONDS
from twopass.client.errors import InvalidArgumentError
from twopass.v1 import collection_pb2, search_pb2

Options: TypeAlias = Sequence[tuple[str, Any]]

MAX_MESSAGE_BYTES = 64 * 2**20
_NO_LIMIT = 2**63 - 1
# Requests that can bound the size of their answer.
_BOUNDED = (
    collection_pb2.GetDocumentsRequest,
    search_pb2.SearchRequest,
    search_pb2.BatchSearchRequest,
)

# A server that has vanished, as by a loss of power, ends no connection; what it was asked would be
# waited for until its deadline. It is pinged after so many silent seconds while a call is open, and
# given up when it does not answer for as many: early enough for another attempt within the default
# timeout of 30 s. Servers of twopass allow such pings (`min_ping_seconds`).
_KEEPALIVE_SECONDS = 10

# Streams are cut into messages of about this size, below the 4 MiB that gRPC receives by default;
# one document or passage that is larger travels alone.
STREAMED_MESSAGE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the servers are and how calls are made.

    Attributes:
        target: Where: gRPC's name, such as "localhost:50051" or "dns:///host:port", or a list.
        credentials: For TLS; None for plain text.
        options: Channel options of gRPC.
        metadata: Metadata sent with every call; with the API key, so that it is never shown.
        timeout: Seconds that a call may take unless it says otherwise; None for no deadline.
        balancing: How calls are spread over several servers.
        throttle: Stops retries while most calls fail.
    """

    target: str
    credentials: grpc.ChannelCredentials | None
    options: Options
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    timeout: float | None
    balancing: Balancing = field(default_factory=Balancing)
    throttle: Throttle = field(default_factory=Throttle, repr=False, compare=False)

    def open(self, *, asks_any: bool = False) -> grpc.Channel:
        """Opens a channel for threads.

        Args:
            asks_any: Whether calls go to any server, of those too whose health is bad.

        Raises:
            UnavailableError: The target is a list of names, and none is known.
        """
        target, options = looked_up(self.target), self._options(asks_any)
        if self.credentials is None:
            return grpc.insecure_channel(target, options)
        return grpc.secure_channel(target, self.credentials, options)

    def open_for_asyncio(self, *, asks_any: bool = False) -> grpc.aio.Channel:
        """Opens a channel for the running event loop, as `open` does."""
        target, options = looked_up(self.target), self._options(asks_any)
        if self.credentials is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, self.credentials, options)

    def attempts(self, call: Call[Any], timeout: float | None) -> Attempts:
        """The attempts at a call, or at a page of it, that has so many seconds."""
        return self._attempts(call.rpc, timeout)

    def _attempts(self, rpc: Rpc[Request, Response], timeout: float | None) -> Attempts:
        is_once = dict(self.options).get("grpc.enable_retries") == 0
        return Attempts(
            rpc,
            self.throttle,
            timeout,
            is_balanced=is_balanced(self.target),
            max_attempts=1 if is_once else MAX_ATTEMPTS,
        )

    def attempts_at_stream(
        self, rpc: Rpc[Request, Response], timeout: float | None, *, is_repeatable: bool
    ) -> Attempts:
        """The attempts at a stream, which with a single server is tried once."""
        is_repeatable = is_repeatable and is_balanced(self.target)
        return self._attempts(replace(rpc, is_repeatable=is_repeatable), timeout)

    def hedge_after(self, call: Call[Any]) -> float | None:
        """Seconds after which another server is asked, too; None for never."""
        hedges = call.rpc.is_read and is_balanced(self.target)
        return self.balancing.hedge_after if hedges else None

    def _options(self, asks_any: bool) -> Options:
        return (*self.options, ("grpc.inhibit_health_checking", 1)) if asks_any else self.options

    def request(self, call: Call[Any]) -> Any:
        """A call's request, its answer bounded by what this client receives where it can be."""
        request = call.request
        if isinstance(request, _BOUNDED):
            limit = dict(self.options)["grpc.max_receive_message_length"]
            request.max_answer_bytes = limit if limit > 0 else _NO_LIMIT
        return request

    def deadline(self, timeout: float | None) -> float | None:
        """A call's timeout for gRPC: None becomes the client's default, infinity no deadline."""
        seconds = self.timeout if timeout is None else timeout
        return None if seconds == math.inf else seconds


def connection(
    target: str,
    api_key: str | None,
    credentials: grpc.ChannelCredentials | None,
    timeout: float | None,
    max_message_bytes: int,
    options: Options,
    balancing: Balancing | None,
) -> Connection:
    """Fills in the options that the caller has not set.

    Raises:
        InvalidArgumentError: The target is none, or the key holds what no header may.
    """
    target, balancing = grpc_target(target), balancing or Balancing()
    metadata = () if api_key is None else (("authorization", f"Bearer {_checked(api_key)}"),)
    defaults = {
        "grpc.max_send_message_length": max_message_bytes,
        "grpc.max_receive_message_length": max_message_bytes,
        "grpc.service_config": balancing.service_config(target),
        # Reconnect as fast as calls are retried: gRPC's own backoff grows to two minutes.
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 2_000,
        # The name is misleading: it is how long a connection may take to be made. By gRPC's
        # default a call waits 20 s for a machine that drops packets.
        "grpc.min_reconnect_backoff_ms": 1_000 * CONNECT_SECONDS,
        # A proxy that the environment names (http_proxy) leads out of this machine.
        "grpc.enable_http_proxy": 0 if is_loopback(target) else 1,
        "grpc.keepalive_time_ms": 1_000 * _KEEPALIVE_SECONDS,
        "grpc.keepalive_timeout_ms": 1_000 * _KEEPALIVE_SECONDS,
        "grpc.http2.ping_timeout_ms": 1_000 * _KEEPALIVE_SECONDS,
        # While a call waits nothing is sent but pings. By gRPC's default, those after the second
        # come a minute apart, and an answer to one is waited for as long.
        "grpc.http2.max_pings_without_data": 0,
    }
    if name := authority(target):
        defaults["grpc.default_authority"] = name
    merged = tuple((defaults | dict(options)).items())
    return Connection(target, credentials, merged, metadata, timeout, balancing)


def _checked(api_key: str) -> str:
    """The key, if a header may carry it; the message never shows it."""
    if not (api_key.isascii() and api_key.isprintable()):
        raise InvalidArgumentError(
            "api_key: holds characters that a header can't carry, such as a line end; give "
            "printable ASCII alone",
            metadata={"field": "api_key"},
        )
    return api_key
