"""The one table from errors to gRPC's status codes, and the status that a call is answered with.

A status carries the details of Google's error model: `ErrorInfo` always, `BadRequest` for what is
INVALID_ARGUMENT, `RetryInfo` where another try may succeed. What they say was put into the `facts`
of the error where it was raised.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2

from twopass.engines.errors import (
    DeviceError,
    EngineBusyError,
    EngineError,
    EngineUnavailableError,
    InputTooLongError,
    NonFiniteOutputError,
    OutOfDeviceMemoryError,
)
from twopass.index import errors as index_errors
from twopass.server.errors import (
    EncoderChangedError,
    FeedbackNotKeptError,
    InvalidRequestError,
    LateError,
    NeverInTimeError,
    NotServedError,
    OverloadedError,
    PermissionDeniedError,
    QuotaError,
    ResponseTooLargeError,
    TextTooLongError,
    UnauthenticatedError,
    UnknownModelError,
    WorkerChangedError,
    WouldBeLateError,
    WrongModelKindError,
)
from twopass.v1 import status_pb2

# Messages repeat what was sent. They travel in the trailers, which gRPC bounds to 8 KiB: once
# percent-encoded, where a byte takes up to 3 bytes, and twice in base64, where 3 take 4. So 1,000
# bytes of a message take at most 5.7 KB, and 1,000 of facts, in base64 alone, 1.4 KB.
_MAX_MESSAGE_CHARS = 400
_MAX_MESSAGE_BYTES = 1_000
_MAX_FACTS_BYTES = 1_000
_MAX_FACT_BYTES = 256

# Facts of what is INTERNAL stay in the log, but for where it happened.
_PLACES = ("chunk", "chunks_written", "piece", "message")
_DOMAIN = "twopass"
_ERROR_INFO_TYPE = "type.googleapis.com/google.rpc.ErrorInfo"
_BAD_REQUEST_TYPE = "type.googleapis.com/google.rpc.BadRequest"
_RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo"
_NO_FACTS: Mapping[str, object] = {}

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


@dataclass(frozen=True, slots=True)
class _Cause:
    """What an error is answered with, and its name for programs, which never changes."""

    code: grpc.StatusCode
    reason: str


_INTERNAL = _Cause(grpc.StatusCode.INTERNAL, "INTERNAL")

# The most derived class that matches decides; errors that are not listed are INTERNAL. status.proto
# names the reasons.
_CAUSES: dict[type[Exception], _Cause] = {
    InvalidRequestError: _Cause(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    TextTooLongError: _Cause(grpc.StatusCode.INVALID_ARGUMENT, "INPUT_TOO_LONG"),
    UnknownModelError: _Cause(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
    WrongModelKindError: _Cause(grpc.StatusCode.FAILED_PRECONDITION, "WRONG_MODEL_KIND"),
    EncoderChangedError: _Cause(grpc.StatusCode.FAILED_PRECONDITION, "ENCODER_CHANGED"),
    WorkerChangedError: _Cause(grpc.StatusCode.FAILED_PRECONDITION, "WORKER_CHANGED"),
    OverloadedError: _Cause(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    QuotaError: _Cause(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"),
    WouldBeLateError: _Cause(grpc.StatusCode.RESOURCE_EXHAUSTED, "WOULD_BE_LATE"),
    LateError: _Cause(grpc.StatusCode.DEADLINE_EXCEEDED, "LATE"),
    NeverInTimeError: _Cause(grpc.StatusCode.DEADLINE_EXCEEDED, "NEVER_IN_TIME"),
    FeedbackNotKeptError: _Cause(grpc.StatusCode.UNIMPLEMENTED, "FEEDBACK_NOT_KEPT"),
    NotServedError: _Cause(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED"),
    ResponseTooLargeError: _Cause(grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE"),
    UnauthenticatedError: _Cause(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    PermissionDeniedError: _Cause(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
    EngineError: _INTERNAL,
    EngineUnavailableError: _Cause(grpc.StatusCode.UNAVAILABLE, "ENGINE_UNAVAILABLE"),
    EngineBusyError: _Cause(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    InputTooLongError: _Cause(grpc.StatusCode.INVALID_ARGUMENT, "INPUT_TOO_LONG"),
    OutOfDeviceMemoryError: _Cause(grpc.StatusCode.RESOURCE_EXHAUSTED, "OUT_OF_DEVICE_MEMORY"),
    index_errors.InvalidInputError: _Cause(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    index_errors.CollectionNotFoundError: _Cause(grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND"),
    index_errors.DocumentNotFoundError: _Cause(grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND"),
    index_errors.SnapshotNotFoundError: _Cause(grpc.StatusCode.NOT_FOUND, "SNAPSHOT_NOT_FOUND"),
    index_errors.CollectionExistsError: _Cause(grpc.StatusCode.ALREADY_EXISTS, "COLLECTION_EXISTS"),
    index_errors.DocumentsExistError: _Cause(grpc.StatusCode.ALREADY_EXISTS, "DOCUMENTS_EXIST"),
    index_errors.AliasExistsError: _Cause(grpc.StatusCode.ALREADY_EXISTS, "ALIAS_EXISTS"),
    index_errors.SnapshotExistsError: _Cause(grpc.StatusCode.ALREADY_EXISTS, "SNAPSHOT_EXISTS"),
    index_errors.CollectionAliasedError: _Cause(
        grpc.StatusCode.FAILED_PRECONDITION, "COLLECTION_ALIASED"
    ),
    index_errors.SnapshotsKeptError: _Cause(grpc.StatusCode.FAILED_PRECONDITION, "SNAPSHOTS_KEPT"),
    index_errors.AnswerTooLargeError: _Cause(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE"
    ),
    index_errors.StaleSequenceError: _Cause(grpc.StatusCode.FAILED_PRECONDITION, "STALE_SEQUENCE"),
    index_errors.StoppedError: _Cause(grpc.StatusCode.DEADLINE_EXCEEDED, "LATE"),
    index_errors.LaneFullError: _Cause(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    index_errors.CollectionsInUseError: _Cause(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "COLLECTIONS_IN_USE"
    ),
    index_errors.CollectionClosedError: _Cause(grpc.StatusCode.UNAVAILABLE, "COLLECTION_CLOSED"),
    index_errors.StorageError: _Cause(grpc.StatusCode.UNAVAILABLE, "STORAGE_FAILED"),
    index_errors.StoreUnreachableError: _Cause(grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE"),
    index_errors.UnsupportedByStoreError: _Cause(
        grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED_BY_STORE"
    ),
    index_errors.CollectionDamagedError: _Cause(grpc.StatusCode.DATA_LOSS, "COLLECTION_DAMAGED"),
    index_errors.SnapshotDamagedError: _Cause(grpc.StatusCode.DATA_LOSS, "SNAPSHOT_DAMAGED"),
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
    return _cause_of(error).code


def message_of(error: Exception, call_id: str) -> str:
    """What the caller is told of an error; the text of an INTERNAL error stays in the log."""
    message = str(error)
    if is_fault(error):
        message = f"internal error; the log has the cause under {call_id}"
    place = _place(_facts_of(error))
    return _cut(f"{place}: {message}" if place else message, _MAX_MESSAGE_BYTES)


def details_of(error: Exception) -> tuple[tuple[str, bytes], ...]:
    """The details of an error for programs, as type URL and bytes; see google.rpc.Status."""
    return tuple(_details(error))


def status_of(error: Exception, call_id: str) -> status_pb2.Status:
    """The status an error is answered with; the text of an INTERNAL error stays in the log."""
    return _status(error, status_code(error), message_of(error, call_id))


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
    if isinstance(error, OutOfDeviceMemoryError | EngineBusyError):
        return _RETRY_SECONDS_ELSE
    if status_code(error) is not grpc.StatusCode.UNAVAILABLE:
        return None
    return next(
        (seconds for kind, seconds in _RETRY_SECONDS.items() if isinstance(error, kind)),
        _RETRY_SECONDS_ELSE,
    )


def _status(error: Exception, code: grpc.StatusCode, message: str) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    for type_url, content in _details(error):
        status.details.add(type_url=type_url, value=content)
    return status


def _cause_of(error: Exception) -> _Cause:
    for kind in type(error).__mro__:
        if kind in _CAUSES:
            return _CAUSES[kind]
    return _INTERNAL


def _facts_of(error: Exception) -> Mapping[str, object]:
    facts: Mapping[str, object] = getattr(error, "facts", _NO_FACTS)
    return facts


def _place(facts: Mapping[str, object]) -> str:
    """Which message of a stream was at fault; empty outside of streams."""
    if "chunk" in facts:
        written = facts.get("chunks_written")
        return f"chunk {facts['chunk']}" + (f", after {written} written" if written else "")
    name = next((name for name in ("piece", "message") if name in facts), "")
    return f"{name} {facts[name]}" if name else ""


def _details(error: Exception) -> Iterator[tuple[str, bytes]]:
    cause = _cause_of(error)
    told = _told(error, cause)
    info = error_details_pb2.ErrorInfo(reason=cause.reason, domain=_DOMAIN, metadata=told)
    yield _ERROR_INFO_TYPE, info.SerializeToString()
    if cause.code is grpc.StatusCode.INVALID_ARGUMENT:
        field = told.get("field", "")
        description = _cut(str(error).removeprefix(f"{field}: "), _MAX_MESSAGE_BYTES)
        request = error_details_pb2.BadRequest()
        request.field_violations.add(field=field, description=description)
        yield _BAD_REQUEST_TYPE, request.SerializeToString()
    seconds = retry_after(error)
    if seconds is None and isinstance(error, DeviceError | NonFiniteOutputError):
        # This server builds its engine anew; another one, or the new engine, may compute it.
        seconds = _RETRY_SECONDS_ELSE
    if seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(_milliseconds(seconds))
        yield _RETRY_INFO_TYPE, retry.SerializeToString()


def _told(error: Exception, cause: _Cause) -> dict[str, str]:
    """What is told of the facts: all that are short enough together."""
    facts = _facts_of(error)
    if cause is _INTERNAL:
        facts = {place: facts[place] for place in _PLACES if place in facts}
    told = {name: _cut(str(fact), _MAX_FACT_BYTES) for name, fact in facts.items()}
    while (
        sum(_num_bytes(name) + _num_bytes(fact) for name, fact in told.items()) > _MAX_FACTS_BYTES
    ):
        del told[max(told, key=lambda name: _num_bytes(told[name]))]
    return told


def _cut(text: str, max_bytes: int) -> str:
    """The beginning of a text, of at most so many bytes of UTF-8 and 400 characters."""
    text = text[:_MAX_MESSAGE_CHARS]
    if text.isascii() and len(text) <= max_bytes:
        return text
    return text.encode(errors="replace")[:max_bytes].decode(errors="ignore")


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _milliseconds(seconds: float) -> int:
    """Seconds as milliseconds, at least 1, so that no client retries at once."""
    return max(1, round(seconds * 1000))
