"""What a request can be refused or fail with, and the one table from causes to gRPC status codes.

::

    RequestError                  the root; carries a message for the caller
    ├── InvalidRequestError       a field is wrong: names the field, the limit, the value
    ├── UnknownModelError         no model of that id, or of another kind
    ├── EncoderChangedError       the collection's embeddings were made by other weights
    ├── OverloadedError           the queue has no room; says when to try again
    │   └── WouldBeLateError      it has, but the deadline would pass before the request's turn
    ├── LateError                 the deadline or the time budget ran out
    ├── UnauthenticatedError      no API key, or none of the server's
    ├── PermissionDeniedError     the key may not use this collection
    └── UnavailableError          starting or draining

Errors of the index and of the engines join them in `STATUS_CODES`.
"""

import grpc

from twopass.engines.errors import (
    EngineError,
    EngineUnavailableError,
    InputTooLongError,
    OutOfDeviceMemoryError,
)
from twopass.index import errors as index_errors


class RequestError(Exception):
    """A request was refused or failed; the message is for the caller."""


class InvalidRequestError(RequestError):
    """A field of the request is wrong."""


class UnknownModelError(RequestError):
    """No model of that id serves requests of this kind."""


class EncoderChangedError(RequestError):
    """The collection's embeddings were made by other weights than the server holds."""


class OverloadedError(RequestError):
    """The queue has no room for the whole request.

    Attributes:
        retry_after: Seconds until the queue will likely have room.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WouldBeLateError(OverloadedError):
    """By the measured speed of the engine, the answer would come after the deadline."""


class LateError(RequestError):
    """The deadline or the time budget ran out."""


class UnauthenticatedError(RequestError):
    """The call carries no API key, or none that the server knows."""


class PermissionDeniedError(RequestError):
    """The call's key may not use what it asks for."""


class UnavailableError(RequestError):
    """The server is starting or draining."""


# The most derived class that matches decides; what is not listed is INTERNAL.
STATUS_CODES: dict[type[Exception], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    EncoderChangedError: grpc.StatusCode.FAILED_PRECONDITION,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LateError: grpc.StatusCode.DEADLINE_EXCEEDED,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    EngineError: grpc.StatusCode.INTERNAL,
    EngineUnavailableError: grpc.StatusCode.UNAVAILABLE,
    InputTooLongError: grpc.StatusCode.INVALID_ARGUMENT,
    OutOfDeviceMemoryError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    index_errors.InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    index_errors.CollectionNotFoundError: grpc.StatusCode.NOT_FOUND,
    index_errors.DocumentNotFoundError: grpc.StatusCode.NOT_FOUND,
    index_errors.SnapshotNotFoundError: grpc.StatusCode.NOT_FOUND,
    index_errors.CollectionExistsError: grpc.StatusCode.ALREADY_EXISTS,
    index_errors.AliasExistsError: grpc.StatusCode.ALREADY_EXISTS,
    index_errors.SnapshotExistsError: grpc.StatusCode.ALREADY_EXISTS,
    index_errors.CollectionAliasedError: grpc.StatusCode.FAILED_PRECONDITION,
    index_errors.StaleSequenceError: grpc.StatusCode.FAILED_PRECONDITION,
    index_errors.CollectionClosedError: grpc.StatusCode.UNAVAILABLE,
    index_errors.StorageError: grpc.StatusCode.UNAVAILABLE,
    index_errors.CollectionDamagedError: grpc.StatusCode.DATA_LOSS,
    index_errors.SnapshotDamagedError: grpc.StatusCode.DATA_LOSS,
}


def status_code(error: Exception) -> grpc.StatusCode:
    """The status an error is answered with."""
    for kind in type(error).__mro__:
        if kind in STATUS_CODES:
            return STATUS_CODES[kind]
    return grpc.StatusCode.INTERNAL
