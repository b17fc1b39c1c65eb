import grpc
import pytest

from twopass.engines.errors import DeviceError, EngineUnavailableError
from twopass.server.edge.statuses import message_of, status_code
from twopass.server.errors import (
    InvalidRequestError,
    LateError,
    OverloadedError,
    QuotaError,
    ResponseTooLargeError,
    UnknownModelError,
    WrongModelKindError,
)
from twopass.server.tei.errors import BatchSizeError, EmptyInputError, TeiFailure, failure_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EmptyInputError("`texts` cannot be empty"), ("Empty", "`texts` cannot be empty")),
        (BatchSizeError(9, 8), ("Validation", "batch size 9 > maximum allowed batch size 8")),
        (InvalidRequestError("a: b"), ("Validation", "Input validation error: a: b")),
        (WrongModelKindError("model is not"), ("Backend", "Backend error: model is not")),
        (OverloadedError("queue: full", retry_after=1), ("Overloaded", "Model is overloaded")),
        (QuotaError("quota: used up", retry_after=9), ("Overloaded", "quota: used up")),
        (OverloadedError("x", retry_after=None), ("Validation", "Input validation error: x")),
        (ResponseTooLargeError("x"), ("Validation", "Input validation error: x")),
        (UnknownModelError("no model"), ("Validation", "Input validation error: no model")),
        (EngineUnavailableError("down"), ("Unhealthy", "down")),
        (LateError("late"), ("Backend", "Backend error: late")),
        (
            DeviceError("secret"),
            ("Backend", "Backend error: internal error; the log has the cause under id"),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_have_the_type_and_the_beginning_that_tei_gives_them(error, expected):
    failure = failure_of(status_code(error), error, message_of(error, "id"))
    assert (failure.type, failure.text) == expected


def test_what_an_overload_is_about_is_told_beside_the_text_of_tei():
    failure = failure_of(
        grpc.StatusCode.RESOURCE_EXHAUSTED, OverloadedError("queue: full", retry_after=1), "queue"
    )
    assert failure == TeiFailure(failure.type, "Model is overloaded", "queue")
