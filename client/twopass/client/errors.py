"""What the client raises.

TwopassError                  every failed call; itself for a status without a class of its own
├── InvalidArgumentError      INVALID_ARGUMENT     bad input; names the field, the limit, the value
├── NotFoundError             NOT_FOUND            unknown collection, model or document
├── AlreadyExistsError        ALREADY_EXISTS       the name is taken
├── FailedPreconditionError   FAILED_PRECONDITION  a `sequence` of a collection since recreated
├── UnauthenticatedError      UNAUTHENTICATED      no API key, or a wrong one
├── PermissionDeniedError     PERMISSION_DENIED    the API key may not use this collection
├── OverloadedError           RESOURCE_EXHAUSTED   queue full, over quota, or a message too large
├── UnavailableError          UNAVAILABLE          server starting, draining, down or out of reach
├── DeadlineExceededError     DEADLINE_EXCEEDED    late
├── DataLossError             DATA_LOSS            what is on the server's disk is damaged
├── UnimplementedError        UNIMPLEMENTED        a server that is older than this client
└── InternalError             INTERNAL             a bug or a failed device; the text has a log id

A mistake in the type of an argument is a TypeError, as anywhere in Python. Using a closed client
is a RuntimeError.
"""

from grpc import StatusCode


class TwopassError(Exception):
    """A call that failed. The gRPC error it stems from, if any, is its `__cause__`.

    Attributes:
        code: The gRPC status.
        message: What was wrong, for a developer.
        retry_after: Seconds after which the same call may succeed, where the server said so: with
            OverloadedError and UnavailableError. None elsewhere.
    """

    code: StatusCode = StatusCode.UNKNOWN

    def __init__(
        self, message: str, *, code: StatusCode | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        if code is not None:
            self.code = code


class InvalidArgumentError(TwopassError):
    """Bad input: the message names the field, the limit and the value received.

    Raised before anything is sent for what a message can't carry, such as a lone surrogate.
    """

    code = StatusCode.INVALID_ARGUMENT


class NotFoundError(TwopassError):
    """The collection, model or document is unknown."""

    code = StatusCode.NOT_FOUND


class AlreadyExistsError(TwopassError):
    """The name is taken."""

    code = StatusCode.ALREADY_EXISTS


class FailedPreconditionError(TwopassError):
    """`min_sequence` belongs to a collection that was deleted and created anew since."""

    code = StatusCode.FAILED_PRECONDITION


class UnauthenticatedError(TwopassError):
    """The server wants an API key, or another one."""

    code = StatusCode.UNAUTHENTICATED


class PermissionDeniedError(TwopassError):
    """The API key may not use this collection."""

    code = StatusCode.PERMISSION_DENIED


class OverloadedError(TwopassError):
    """The queue is full or a quota is used up: wait `retry_after` seconds, then try again.

    Also a message above a size limit, the server's or `max_message_bytes`: there `retry_after` is
    None and trying again is no use.
    """

    code = StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(TwopassError):
    """The server is starting, draining, down or out of reach, after the retries of its call."""

    code = StatusCode.UNAVAILABLE


class DeadlineExceededError(TwopassError):
    """The call's `timeout` ran out. Whether a write took effect is unknown."""

    code = StatusCode.DEADLINE_EXCEEDED


class DataLossError(TwopassError):
    """What is on the server's disk is damaged; the message names what, and the way out."""

    code = StatusCode.DATA_LOSS


class UnimplementedError(TwopassError):
    """The server does not know the call."""

    code = StatusCode.UNIMPLEMENTED


class InternalError(TwopassError):
    """A bug or a failed device; the server's log says more under the id in the message."""

    code = StatusCode.INTERNAL
