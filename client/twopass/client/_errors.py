"""Translates gRPC's errors into the client's."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from twopass.client import errors
from twopass.client._channel import Connection
from twopass.client._details import detail, details_of
from twopass.client._target import shown
from twopass.client._unreachable import why_unreachable
from twopass.client._values import seconds
from twopass.v1.status_pb2 import ErrorInfo, RetryInfo, Status

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
def translated(connection: Connection, timeout: float | None) -> Iterator[None]:
    """Raises the client's error in place of gRPC's, which becomes its cause.

    Args:
        connection: Where the call goes, for errors that gRPC raises by itself.
        timeout: Seconds that the call may take; None for no deadline.
    """
    try:
        yield
    except grpc.RpcError as error:
        code, message, details = error.code(), error.details() or "", details_of(error)
        if not details and (own := _of_grpc(code, message, connection, timeout)):
            raise own from error
        raise _error(code, message, details) from error
    except RuntimeError as error:
        # Ctrl-C, or what another signal's handler raised, just when gRPC had released a lock to
        # wait. Releasing it once more on the way out, `threading.Condition` hides that.
        hidden = error.__context__
        is_signal = isinstance(hidden, KeyboardInterrupt | SystemExit)
        if hidden is not None and is_signal and str(error) == "cannot release un-acquired lock":
            raise hidden from None
        raise


def status_error(status: Status) -> errors.TwopassError:
    """The error that a status message carries."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return _error(code, status.message, status.details)


def _of_grpc(
    code: grpc.StatusCode, message: str, connection: Connection, timeout: float | None
) -> errors.TwopassError | None:
    """The error for what gRPC itself found, without a server: told in words that help."""
    target = shown(connection.target)
    if code is grpc.StatusCode.UNAVAILABLE:
        why = why_unreachable(message, target, is_tls=connection.credentials is not None)
        return errors.UnavailableError(why.sentence, reason=why.reason) if why else None
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and message.startswith("Deadline Exceeded"):
        within = "in time" if timeout is None else f"within {timeout:g} s"
        return errors.DeadlineExceededError(
            f"no answer from {target} {within}: give the call a longer `timeout`"
        )
    return None


def _error(
    code: grpc.StatusCode, message: str, details: Iterable[AnyMessage]
) -> errors.TwopassError:
    error = _CLASSES.get(code, errors.TwopassError)
    info = detail(details, "ErrorInfo", ErrorInfo)
    retry = detail(details, "RetryInfo", RetryInfo)
    return error(
        message,
        code=code,
        retry_after=None if retry is None else seconds(retry.retry_delay),
        reason=info.reason if info else "",
        metadata=info.metadata if info else None,
    )
