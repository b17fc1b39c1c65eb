"""What a status says for programs: details of Google's error model, and gRPC's word on retries."""

from collections.abc import Iterable
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from twopass.v1.status_pb2 import ErrorInfo, RetryInfo, Status

_Detail = TypeVar("_Detail", ErrorInfo, RetryInfo)


def details_of(error: grpc.RpcError) -> Iterable[AnyMessage]:
    """The details of a failed call; none where gRPC itself, or a proxy, has failed it."""
    value = _trailer(error, "grpc-status-details-bin")
    if value is not None:
        try:
            return Status.FromString(value).details
        except DecodeError:  # a proxy's own format: the code and the message still stand
            pass
    return ()


def detail(details: Iterable[AnyMessage], name: str, kind: type[_Detail]) -> _Detail | None:
    """The detail of a name; None where there is none, or one that is not a message of its kind."""
    for each in details:
        if each.type_url.endswith(f"/google.rpc.{name}"):
            try:
                return kind.FromString(each.value)
            except DecodeError:
                return None
    return None


def pushback_of(error: grpc.RpcError) -> float | None:
    """Seconds that gRPC's own clients are asked to wait before another try; below 0 for never.

    None where nothing is said. What is no number asks for no other try, as gRPC has it (gRFC A6).
    """
    value = _trailer(error, "grpc-retry-pushback-ms")
    if value is None:
        return None
    try:
        return int(value) / 1000
    except ValueError:
        return -1.0


def _trailer(error: grpc.RpcError, name: str) -> Any:
    metadata: Any = error.trailing_metadata() or ()  # pairs, whatever the type stubs say
    return next((value for key, value in metadata if key == name), None)
