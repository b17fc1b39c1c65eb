"""The one table from errors to gRPC status codes, and the status that a call is answered with."""

import grpc
from google.protobuf.duration_pb2 import Duration

from twopass.engines.errors import (
    EngineError,
    EngineUnavailableError,
    InputTooLongError,
    OutOfDeviceMemoryError,
)
from twopass.index import errors as index_errors
from twopass.server.errors import (
    EncoderChangedError,
    InvalidRequestError,
    LateError,
    NotServedError,
    OverloadedError,
    PermissionDeniedError,
    ResponseTooLargeError,
    UnauthenticatedError,
    UnknownModelError,
    WrongModelKindError,
)
from twopass.v1 import status_pb2

# Messages repeat what was sent. They travel twice in the trailers, which gRPC bounds to 8 KiB: a
# character takes up to 12 bytes percent-encoded and 6 in base64, so that 400 take at most 7.2 KB.
_MAX_MESSAGE_CHARS = 400
_RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo"

# When to retry UNAVAILABLE calls whose error does not say: an engine is rebuilt in seconds, a full
# or failing disk needs an operator, and a closed collection is deleted or about to be reopened.
_RETRY_SECONDS: dict[type[Exception], float] = {
    EngineUnavailableError: 1.0,
    index_errors.CollectionClosedError: 0.5,
    index_errors.StorageError: 5.0,
}
_RETRY_SECONDS_ELSE = 1.0
# Clients of gRPC are told not to retry by themselves where the wait would be longer.
_MAX_PUSHBACK_SECONDS = 2.0
_NEVER = -1

# The most derived class that matches decides; errors that are not listed are INTERNAL.
STATUS_CODES: dict[type[Exception], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    WrongModelKindError: grpc.StatusCode.FAILED_PRECONDITION,
    EncoderChangedError: grpc.StatusCode.FAILED_PRECONDITION,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LateError: grpc.StatusCode.DEADLINE_EXCEEDED,
    NotServedError: grpc.StatusCode.UNIMPLEMENTED,
    ResponseTooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    EngineError: grpc.StatusCode.INTERNAL,
    EngineUnavailableError: grpc.StatusCode.UNAVAILABLE,
    InputTooLongError: grpc.StatusCode.INVALID_ARGUMENT,
    OutOfDeviceMemoryError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    index_errors.InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    index_errors.CollectionNotFoundError: grpc.StatusCode.NOT_FOUND,
    index_errors.DocumentNotFoundError: grpc.StatusCode.NOT_FOUND,
    index_errors.SnapshotNotFoundError: grpc.StatusCode.NOT_FOUND,
    index_errors.CollectionExistsError: grpc.StatusCode.ALREADY_EXISTS,
    index_errors.DocumentsExistError: grpc.StatusCode.ALREADY_EXISTS,
    index_errors.AliasExistsError: grpc.StatusCode.ALREADY_EXISTS,
    index_errors.SnapshotExistsError: grpc.StatusCode.ALREADY_EXISTS,
    index_errors.CollectionAliasedError: grpc.StatusCode.FAILED_PRECONDITION,
    index_errors.AnswerTooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    index_errors.StaleSequenceError: grpc.StatusCode.FAILED_PRECONDITION,
    index_errors.StoppedError: grpc.StatusCode.DEADLINE_EXCEEDED,
    index_errors.LaneFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    index_errors.CollectionsInUseError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    index_errors.CollectionClosedError: grpc.StatusCode.UNAVAILABLE,
    index_errors.StorageError: grpc.StatusCode.UNAVAILABLE,
    index_errors.CollectionDamagedError: grpc.StatusCode.DATA_LOSS,
    index_errors.SnapshotDamagedError: grpc.StatusCode.DATA_LOSS,
}


class Statuses:
    """How a service tells failures: by the table, unless its protocol has other words for them."""

    def code(self, error: Exception) -> grpc.StatusCode:
        """The status code an error is answered with."""
        return status_code(error)

    def message(self, error: Exception, call_id: str) -> str:
        """What the caller is told of an error."""
        return message_of(error, call_id)


def is_fault(error: Exception) -> bool:
    """Whether an error is the server's own: its text and its traceback are for the log."""
    return status_code(error) is grpc.StatusCode.INTERNAL


def status_code(error: Exception) -> grpc.StatusCode:
    """The status code an error is answered with."""
    for kind in type(error).__mro__:
        if kind in STATUS_CODES:
            return STATUS_CODES[kind]
    return grpc.StatusCode.INTERNAL


def status_of(error: Exception, call_id: str) -> status_pb2.Status:
    """The status an error is answered with; the text of an INTERNAL error stays in the log."""
    return _status(error, status_code(error), message_of(error, call_id))


def message_of(error: Exception, call_id: str) -> str:
    """What the caller is told of an error; the text of an INTERNAL error stays in the log."""
    if is_fault(error):
        return f"internal error; the log has the cause under {call_id}"
    return str(error)[:_MAX_MESSAGE_CHARS]


def details_of(error: Exception) -> tuple[tuple[str, bytes], ...]:
    """What programs are told of an error: messages of google.rpc, as type URL and bytes."""
    seconds = retry_after(error)
    if seconds is None:
        return ()
    delay = Duration()
    delay.FromMilliseconds(_milliseconds(seconds))
    info = status_pb2.RetryInfo(retry_delay=delay)
    return ((_RETRY_INFO_TYPE, info.SerializeToString()),)


def trailers_of(
    error: Exception, code: grpc.StatusCode, message: str
) -> tuple[tuple[str, str | bytes], ...]:
    """The trailers of a call that ends with an error.

    Clients of gRPC that retry UNAVAILABLE calls by themselves obey `grpc-retry-pushback-ms`: they
    wait that long, or give up where the wait would hide the fault for seconds.
    """
    status = _status(error, code, message)
    details = ("grpc-status-details-bin", status.SerializeToString())
    seconds = retry_after(error)
    if seconds is None or code is not grpc.StatusCode.UNAVAILABLE:
        return (details,)
    pushback = _milliseconds(seconds) if seconds <= _MAX_PUSHBACK_SECONDS else _NEVER
    return details, ("grpc-retry-pushback-ms", str(pushback))


def retry_after(error: Exception) -> float | None:
    """Seconds after which another try may succeed; None where there is nothing to wait for."""
    given = getattr(error, "retry_after", None)
    if isinstance(given, int | float):
        return given
    if isinstance(error, OutOfDeviceMemoryError):
        return _RETRY_SECONDS_ELSE
    if status_code(error) is not grpc.StatusCode.UNAVAILABLE:
        return None
    return next(
        (seconds for kind, seconds in _RETRY_SECONDS.items() if isinstance(error, kind)),
        _RETRY_SECONDS_ELSE,
    )


def _status(error: Exception, code: grpc.StatusCode, message: str) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    for type_url, value in details_of(error):
        status.details.add(type_url=type_url, value=value)
    return status


def _milliseconds(seconds: float) -> int:
    """Seconds as milliseconds, at least 1, so that no client retries at once."""
    return max(1, round(seconds * 1000))
