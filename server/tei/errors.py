"""What goes wrong in TEI's operations, in TEI's words.

TEI tells a failure by a type and a text, which begins with what the type says; both of its wires
have them alike.
"""

from dataclasses import dataclass
from enum import StrEnum

import grpc

from twopass.server.errors import (
    InvalidRequestError,
    OverloadedError,
    QuotaError,
    ResponseTooLargeError,
    WrongModelKindError,
)


class EmptyInputError(InvalidRequestError):
    """There is no text to work on; the message is TEI's."""


class BatchSizeError(InvalidRequestError):
    """There are more texts in one request than are allowed; the message is TEI's."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"batch size {size} > maximum allowed batch size {limit}")


class ErrorType(StrEnum):
    """The kinds of failures that TEI knows, as it spells them."""

    UNHEALTHY = "Unhealthy"
    BACKEND = "Backend"
    OVERLOADED = "Overloaded"
    VALIDATION = "Validation"
    TOKENIZER = "Tokenizer"
    EMPTY = "Empty"


@dataclass(frozen=True, slots=True)
class TeiFailure:
    """A failure as TEI tells it.

    Attributes:
        type: Its kind.
        text: What happened.
        detail: What more is known; "" for nothing.
    """

    type: ErrorType
    text: str
    detail: str = ""


def failure_of(code: grpc.StatusCode, error: Exception, message: str) -> TeiFailure:
    """A failure as TEI tells it.

    Args:
        code: What a call of `twopass.v1` would have ended with.
        error: What was raised.
        message: For the caller; without internals.
    """
    match error:
        case EmptyInputError():
            return TeiFailure(ErrorType.EMPTY, message)
        case BatchSizeError():
            return TeiFailure(ErrorType.VALIDATION, message)
        case WrongModelKindError():
            return TeiFailure(ErrorType.BACKEND, f"Backend error: {message}")
        case QuotaError():
            return TeiFailure(ErrorType.OVERLOADED, message)
        case OverloadedError(retry_after=None) | ResponseTooLargeError():
            # Too large for this server: no later try will do better.
            return TeiFailure(ErrorType.VALIDATION, f"Input validation error: {message}")
    match code:
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return TeiFailure(ErrorType.OVERLOADED, "Model is overloaded", message)
        case grpc.StatusCode.UNAVAILABLE:
            return TeiFailure(ErrorType.UNHEALTHY, message)
        case grpc.StatusCode.INTERNAL | grpc.StatusCode.DEADLINE_EXCEEDED:
            return TeiFailure(ErrorType.BACKEND, f"Backend error: {message}")
    return TeiFailure(ErrorType.VALIDATION, f"Input validation error: {message}")
