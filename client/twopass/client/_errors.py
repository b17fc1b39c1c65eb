"""Translates gRPC's errors into the client's."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from twopass.client import errors
from twopass.client._values import seconds
from twopass.v1.status_pb2 import RetryInfo, Status

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_CLASSES = {
    error.code: error
    for error in (
        errors.InvalidArgumentError,
        errors.NotFoundError,
        errors.AlreadyExistsError,
        errors.FailedPreconditionError,
        errors.UnauthenticatedError,
        errors.PermissionDeniedError,
        errors.OverloadedError,
        errors.UnavailableError,
        errors.DeadlineExceededError,
        errors.DataLossError,
        errors.UnimplementedError,
        errors.InternalError,
    )
}


@contextmanager
def translated() -> Iterator[None]:
    """Raises the client's error in place of gRPC's, which becomes its cause."""
    try:
        yield
    except grpc.RpcError as error:
        details = _details(error)
        raise _error(error.code(), error.details() or "", details) from error


def status_error(status: Status) -> errors.TwopassError:
    """The error that a status message carries."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return _error(code, status.message, status.details)


def _error(
    code: grpc.StatusCode, message: str, details: Iterable[AnyMessage]
) -> errors.TwopassError:
    error = _CLASSES.get(code, errors.TwopassError)
    return error(message, code=code, retry_after=_retry_after(details))


def _details(error: grpc.RpcError) -> Iterable[AnyMessage]:
    metadata: Any = error.trailing_metadata() or ()  # pairs, whatever the type stubs say
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            try:
                return Status.FromString(value).details
            except DecodeError:  # a proxy's own format: the code and the message still stand
                return ()
    return ()


def _retry_after(details: Iterable[AnyMessage]) -> float | None:
    for detail in details:
        if detail.type_url.endswith("/google.rpc.RetryInfo"):
            try:
                return seconds(RetryInfo.FromString(detail.value).retry_delay)
            except DecodeError:
                return None
    return None
