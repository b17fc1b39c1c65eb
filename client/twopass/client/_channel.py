"""How both clients open a channel and make a call on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import grpc.aio

from twopass.client._call import Call
from twopass.client._rpcs import service_config
from twopass.client._target import grpc_target, is_loopback
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

# Streams are cut into messages of about this size, below the 4 MiB that gRPC receives by default;
# one document or passage that is larger travels alone.
STREAMED_MESSAGE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the server is and how calls are made.

    Attributes:
        target: gRPC's name of the server, such as "localhost:50051" or "dns:///host:port".
        credentials: For TLS; None for plain text.
        options: Channel options of gRPC.
        metadata: Metadata sent with every call; with the API key, so that it is never shown.
        timeout: Seconds that a call may take unless it says otherwise; None for no deadline.
    """

    target: str
    credentials: grpc.ChannelCredentials | None
    options: Options
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    timeout: float | None

    def open(self) -> grpc.Channel:
        """Opens a channel for threads."""
        if self.credentials is None:
            return grpc.insecure_channel(self.target, self.options)
        return grpc.secure_channel(self.target, self.credentials, self.options)

    def open_for_asyncio(self) -> grpc.aio.Channel:
        """Opens a channel for the running event loop."""
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.target, self.options)
        return grpc.aio.secure_channel(self.target, self.credentials, self.options)

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
) -> Connection:
    """Fills in the options that the caller has not set.

    Raises:
        InvalidArgumentError: The target is none, or the key holds what no header may.
    """
    target = grpc_target(target)
    metadata = () if api_key is None else (("authorization", f"Bearer {_checked(api_key)}"),)
    defaults = {
        "grpc.max_send_message_length": max_message_bytes,
        "grpc.max_receive_message_length": max_message_bytes,
        "grpc.service_config": service_config(),
        # Reconnect as fast as calls are retried: gRPC's own backoff grows to two minutes.
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 2_000,
        # The name is misleading: it is how long a connection may take to be made. By gRPC's
        # default a call waits 20 s for a machine that drops packets.
        "grpc.min_reconnect_backoff_ms": 1_000 * CONNECT_SECONDS,
        # A proxy that the environment names (http_proxy) leads out of this machine.
        "grpc.enable_http_proxy": 0 if is_loopback(target) else 1,
        # Notices a peer that is gone while a call is open. By gRPC's default, servers end a
        # connection that pings more often than every 5 minutes.
        "grpc.keepalive_time_ms": 300_000,
        "grpc.keepalive_timeout_ms": 20_000,
    }
    merged = tuple((defaults | dict(options)).items())
    return Connection(target, credentials, merged, metadata, timeout)


def _checked(api_key: str) -> str:
    """The key, if a header may carry it; the message never shows it."""
    if not (api_key.isascii() and api_key.isprintable()):
        raise InvalidArgumentError(
            "api_key: holds characters that a header can't carry, such as a line end; give "
            "printable ASCII alone",
            metadata={"field": "api_key"},
        )
    return api_key
