"""What the client raises.

TwopassError                  every failed call; raised itself for any other status
├── InvalidArgumentError      INVALID_ARGUMENT     bad input; names the field, the limit, the value
├── NotFoundError             NOT_FOUND            unknown collection, model or document
├── AlreadyExistsError        ALREADY_EXISTS       the name or an id is taken
├── FailedPreconditionError   FAILED_PRECONDITION  collection recreated since, or it has aliases
├── UnauthenticatedError      UNAUTHENTICATED      no API key, or a wrong one
├── PermissionDeniedError     PERMISSION_DENIED    the API key may not use this collection
├── OverloadedError           RESOURCE_EXHAUSTED   queue full, over quota, or a message too large
├── UnavailableError          UNAVAILABLE          server starting, draining, down or out of reach
├── DeadlineExceededError     DEADLINE_EXCEEDED    not done within `timeout` or `time_budget`
├── DataLossError             DATA_LOSS            what is on the server's disk is damaged
├── UnimplementedError        UNIMPLEMENTED        the server is older, or its store can't do it
└── InternalError             INTERNAL             a bug or a failed device; the text has a log id

A mistake in the type of an argument is a TypeError, as anywhere in Python. Using a closed client
is a RuntimeError.
"""

from collections.abc import Mapping

from grpc import StatusCode


class TwopassError(Exception):
    """A call that failed. The gRPC error it stems from, if any, is its `__cause__`.

    Attributes:
        code: The gRPC status.
        message: What was wrong, for a developer.
        retry_after: Seconds after which the same call may succeed, where the server said so: with
            OverloadedError and UnavailableError. None elsewhere.
        reason: The cause for programs, as in "COLLECTION_NOT_FOUND", which never changes;
            `ErrorInfo` of the contract lists them, `UnavailableError` those of the client itself.
            "" where neither knows.
        metadata: What the message says in words: "field", "limit", "value", "limit_name",
            "collection", "document", "snapshot", "model", "chunk", as far as it is known; and of an
            upsert "position": which of the documents given was refused, counted from 0.
    """

    code: StatusCode = StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: StatusCode | None = None,
        retry_after: float | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.reason = reason
        self.metadata = dict(metadata or {})
        if code is not None:
            self.code = code

    @property
    def field(self) -> str:
        """The path of the field in the request that was wrong; "" where none was."""
        return self.metadata.get("field", "")


class InvalidArgumentError(TwopassError):
    """Bad input: the message names the field, the limit and the value received.

    Raised before anything is sent for what a message can't carry, such as a lone surrogate.
    """

    code = StatusCode.INVALID_ARGUMENT


class NotFoundError(TwopassError):
    """The collection, model or document is unknown."""

    code = StatusCode.NOT_FOUND


class AlreadyExistsError(TwopassError):
    """The name of a collection or a snapshot is taken, or ids of documents that must be new."""

    code = StatusCode.ALREADY_EXISTS


class FailedPreconditionError(TwopassError):
    """The call does not fit the collection's state.

    Either `min_sequence` belongs to a collection that was deleted and created anew since, or a
    collection that is to be deleted has aliases.
    """

    code = StatusCode.FAILED_PRECONDITION


class UnauthenticatedError(TwopassError):
    """No API key was sent, or the server does not know it."""

    code = StatusCode.UNAUTHENTICATED


class PermissionDeniedError(TwopassError):
    """The API key may not use this collection."""

    code = StatusCode.PERMISSION_DENIED


class OverloadedError(TwopassError):
    """The queue is full or a quota is used up: wait `retry_after` seconds, then try again.

    Also raised for a message above a size limit, the server's or `max_message_bytes`: then
    `retry_after` is None, and trying again does not help.
    """

    code = StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(TwopassError):
    """The server is starting, draining, down or out of reach, after the retries of its call.

    Where no server could be reached, `reason` says why: "CONNECTION_REFUSED", "CONNECTION_CLOSED",
    "CONNECTION_LOST", "NO_ANSWER", "NO_ROUTE", "NAME_UNKNOWN"; "NOT_TLS", "NOT_TRUSTED",
    "OTHER_NAME" and "CERTIFICATE_NEEDED" of TLS; "NOT_GRPC" of something else that listens there;
    "UNWELL" where none of several servers is well; or "UNREACHABLE".
    """

    code = StatusCode.UNAVAILABLE


class DeadlineExceededError(TwopassError):
    """The call's `timeout` or `time_budget` ran out. Whether a write took effect is unknown."""

    code = StatusCode.DEADLINE_EXCEEDED


class DataLossError(TwopassError):
    """What is on the server's disk is damaged; the message names what, and the way out."""

    code = StatusCode.DATA_LOSS


class UnimplementedError(TwopassError):
    """The server does not know the call, being older than this client, or its store can't do it.

    What a store can't do has the reason UNSUPPORTED_BY_STORE, and the message names the way out.
    """

    code = StatusCode.UNIMPLEMENTED


class InternalError(TwopassError):
    """A bug or a failed device; the server's log says more under the id in the message."""

    code = StatusCode.INTERNAL
