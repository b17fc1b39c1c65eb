import pytest

from twopass.engines.errors import DeviceError, EngineUnavailableError
from twopass.server.errors import (
    InvalidRequestError,
    LateError,
    OverloadedError,
    PermissionDeniedError,
    UnauthenticatedError,
    WrongModelKindError,
)
from twopass.server.tei.errors import EmptyInputError
from twopass.server.tei.servicers.statuses import TeiStatuses

STATUSES = TeiStatuses()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InvalidRequestError("a: b"), "INVALID_ARGUMENT", "Input validation error: a: b"),
        (EmptyInputError("`texts` cannot be empty"), "INVALID_ARGUMENT", "`texts` cannot be empty"),
        (WrongModelKindError("not so"), "FAILED_PRECONDITION", "Backend error: not so"),
        (DeviceError("secret"), "FAILED_PRECONDITION", "Backend error: internal error; the log"),
        (EngineUnavailableError("it starts"), "UNAVAILABLE", "it starts"),
        (OverloadedError("full", retry_after=1), "RESOURCE_EXHAUSTED", "Model is overloaded"),
        (UnauthenticatedError("no key"), "UNAUTHENTICATED", "no key"),
        (PermissionDeniedError("not yours"), "PERMISSION_DENIED", "not yours"),
        (LateError("deadline"), "DEADLINE_EXCEEDED", "deadline"),
        (ZeroDivisionError("a bug"), "INTERNAL", "internal error; the log"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_have_the_statuses_of_tei_where_it_has_one(error, code, message):
    assert STATUSES.code(error).name == code
    assert STATUSES.message(error, "id").startswith(message)
