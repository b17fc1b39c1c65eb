"""Why a part of a search is missing, where the caller may accept an answer without it."""

from enum import Enum

from twopass.engines.errors import EngineError
from twopass.index.errors import LaneFullError, StoppedError, StorageError
from twopass.server.errors import LateError, OverloadedError, WouldBeLateError


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
