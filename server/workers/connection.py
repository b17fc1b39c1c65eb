"""The wire to one worker: two rpcs, and what their failures mean to a fleet."""

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from twopass.engine.v1 import engine_pb2
from twopass.engines.errors import (
    DeviceError,
    EngineBusyError,
    EngineError,
    EngineUnavailableError,
    InputTooLongError,
    OutOfDeviceMemoryError,
)
from twopass.server.config import ConfigError, ServerConfig
from twopass.v1 import status_pb2

_Answer = TypeVar("_Answer")

_SERVICE = "/twopass.engine.v1.EngineService"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
# A worker that was started again is found this soon.
_RECONNECT_MS, _MOST_RECONNECT_MS = 100, 2_000
# gRPC's name is misleading: how long a connection may take to be made.
_CONNECT_MS = 2_000
# A machine that has vanished ends no connection. That it does not answer is found out by asking it
# what it is; this has it connected to anew, which is silent until the system gives the connection
# up, often after a quarter of an hour. Servers of twopass allow such pings (`min_ping_seconds`).
_KEEPALIVE_MS = 10_000


@dataclass(frozen=True, slots=True)
class Wire:
    """How all workers are reached.

    Attributes:
        credentials: For TLS; None for plain text.
        metadata: Sent with every call; with the API key, so that it is never shown.
        max_message_bytes: Longest message in or out.
    """

    credentials: grpc.ChannelCredentials | None
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    max_message_bytes: int

    @classmethod
    def of(cls, config: ServerConfig) -> "Wire":
        """That of the settings.

        Raises:
            ConfigError: A file can't be read; names the flag.
        """
        credentials = None
        if config.engines_ca:
            credentials = grpc.ssl_channel_credentials(
                _read("--engines-ca", config.engines_ca),
                _read("--engines-certificate-key", config.engines_certificate_key),
                _read("--engines-certificate", config.engines_certificate),
            )
        key = (_read("--engines-key-file", config.engines_key_file) or b"").strip()
        if config.engines_key_file and not (key.isascii() and key.decode("ascii").isprintable()):
            raise ConfigError(
                f"--engines-key-file {config.engines_key_file}: it holds more than a key of "
                "printable ASCII, which alone a header can carry"
            )
        metadata = (("authorization", f"Bearer {key.decode()}"),) if key else ()
        return cls(credentials, metadata, config.max_message_bytes)


class Connection:
    """A channel to one worker. Safe to use from several threads."""

    def __init__(self, target: str, wire: Wire, server_name: str = "") -> None:
        """Prepares to connect; nothing is sent yet.

        Args:
            target: Where it is, in gRPC's notation, one address.
            wire: How workers are reached.
            server_name: What its certificate has to be for; "" for the address.
        """
        self.target = target
        options: list[tuple[str, Any]] = [
            ("grpc.max_send_message_length", wire.max_message_bytes),
            ("grpc.max_receive_message_length", wire.max_message_bytes),
            ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS),
            ("grpc.max_reconnect_backoff_ms", _MOST_RECONNECT_MS),
            ("grpc.min_reconnect_backoff_ms", _CONNECT_MS),
            # Whether a call is made again is the fleet's to say.
            ("grpc.enable_retries", 0),
            # Workers are inside: a proxy that the environment names leads out.
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
            ("grpc.http2.ping_timeout_ms", _KEEPALIVE_MS),
            # Else pings after the second come a minute apart while a call waits.
            ("grpc.http2.max_pings_without_data", 0),
        ]
        if wire.credentials is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            if server_name:
                options.append(("grpc.ssl_target_name_override", server_name))
            self._channel = grpc.secure_channel(target, wire.credentials, options)
        self._metadata = wire.metadata
        self._describe = self._channel.unary_unary(
            f"{_SERVICE}/Describe",
            engine_pb2.DescribeRequest.SerializeToString,
            engine_pb2.DescribeResponse.FromString,
        )
        self._compute = self._channel.unary_unary(
            f"{_SERVICE}/Compute",
            engine_pb2.ComputeRequest.SerializeToString,
            engine_pb2.ComputeResponse.FromString,
        )

    def describe(self, seconds: float) -> Future[engine_pb2.DescribeResponse]:
        """Asks what the worker computes; fails as `compute` does."""
        call = self._describe.future(
            engine_pb2.DescribeRequest(), timeout=seconds, metadata=self._metadata
        )
        return _future_of(call, self.target, lambda response: response)

    def compute(
        self,
        request: engine_pb2.ComputeRequest,
        seconds: float,
        read: Callable[[engine_pb2.ComputeResponse], _Answer],
    ) -> Future[_Answer]:
        """Has a batch computed.

        Args:
            request: The batch.
            seconds: Until nobody waits for it any more.
            read: Makes of the response what is wanted; what it raises the future raises.

        Returns:
            A future that raises errors of engines. Cancelling it cancels the call.
        """
        call = self._compute.future(request, timeout=seconds, metadata=self._metadata)
        return _future_of(call, self.target, read)

    def close(self) -> None:
        """Ends all calls and the channel."""
        self._channel.close()


def _read(flag: str, file: str) -> bytes | None:
    if not file:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{flag} {file}: {error.strerror}") from error


def _future_of(call: Any, target: str, read: Callable[[Any], _Answer]) -> Future[_Answer]:
    """A call of gRPC as a future of Python's, whose errors are those of engines."""
    answer: Future[_Answer] = Future()

    def ended(ended_call: Any) -> None:
        if answer.cancelled():
            return
        with suppress(InvalidStateError):  # it was cancelled at this very moment
            try:
                result = read(ended_call.result())
            except grpc.RpcError:
                answer.set_exception(failure_of(ended_call, target))
            except grpc.FutureCancelledError:
                answer.set_exception(EngineUnavailableError(f"{target}: the connection is closed"))
            except (EngineError, DecodeError, ValueError) as error:
                answer.set_exception(DeviceError(f"{target}: {error}"))
            else:
                answer.set_result(result)

    answer.add_done_callback(lambda each: call.cancel() if each.cancelled() else None)
    call.add_done_callback(ended)
    return answer


def failure_of(call: grpc.Call, target: str) -> EngineError:
    """What a failed call means: whether the worker is lost, busy, or another than was asked."""
    code, details = call.code(), call.details() or "no reason given"
    info = _error_info(call)
    reason = info.reason
    told = f"{target}: {details}"
    if reason == "INPUT_TOO_LONG":
        limit, value = (_number(info.metadata.get(name, "")) for name in ("limit", "value"))
        return InputTooLongError(value, limit)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        is_memory = reason == "OUT_OF_DEVICE_MEMORY"
        return OutOfDeviceMemoryError(told) if is_memory else EngineBusyError(told)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return EngineBusyError(f"{target}: it has not answered in time")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return EngineUnavailableError(
            f"{target}: no server with --role engine answers there, or one of another version"
        )
    # Told by the worker itself, or by a connection that was not there before the call.
    if reason or (code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details.lower()):
        is_sound = code is not grpc.StatusCode.INTERNAL
        return EngineUnavailableError(told) if is_sound else DeviceError(told)
    return DeviceError(f"{target}: {code.name}, {details}")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _error_info(call: grpc.Call) -> error_details_pb2.ErrorInfo:
    """What a server of ours says of an error for programs; empty where none of ours said it."""
    content = dict(call.trailing_metadata() or ()).get("grpc-status-details-bin")
    info = error_details_pb2.ErrorInfo()
    if isinstance(content, bytes):
        with suppress(DecodeError):
            for detail in status_pb2.Status.FromString(content).details:
                if detail.type_url == _ERROR_INFO:
                    info.ParseFromString(detail.value)
    return info
