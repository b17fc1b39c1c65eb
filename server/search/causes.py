"""Why a part of a search is missing, where the caller may accept an answer without it."""

from enum import Enum

from twopass.engines.errors import EngineError
from twopass.index.errors import LaneFullError, StoppedError, StorageError
from twopass.server.errors import (
    EncoderChangedError,
    LateError,
    OverloadedError,
    UnknownModelError,
    WouldBeLateError,
)


class Cause(Enum):
    """Why a retriever or the second pass has no result."""

    DEADLINE = "deadline"
    OVERLOAD = "overload"
    FAILED = "failed"


_CAUSES: dict[type[Exception], Cause] = {
    LateError: Cause.DEADLINE,
    WouldBeLateError: Cause.DEADLINE,
    StoppedError: Cause.DEADLINE,
    OverloadedError: Cause.OVERLOAD,
    LaneFullError: Cause.OVERLOAD,
    EngineError: Cause.FAILED,
    StorageError: Cause.FAILED,
}


def cause_of(error: BaseException) -> Cause | None:
    """The cause that an error stands for; None for an error that ends the search."""
    return next((_CAUSES[kind] for kind in type(error).__mro__ if kind in _CAUSES), None)


def cause_of_missing(error: BaseException) -> Cause | None:
    """The cause that something is missing which a search by words can do without.

    Such is a moment that has passed, and an encoder that the server does not hold.
    """
    if isinstance(error, TimeoutError):
        return Cause.DEADLINE
    if isinstance(error, UnknownModelError | EncoderChangedError):
        return Cause.FAILED
    return cause_of(error)
