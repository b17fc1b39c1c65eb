"""How failures look on the paths that several dialects share."""

import json

import grpc
import pytest

from twopass.engines.errors import DeviceError
from twopass.server.edge.statuses import retry_after, status_code
from twopass.server.errors import (
    InvalidRequestError,
    NeverInTimeError,
    OverloadedError,
    PermissionDeniedError,
    QuotaError,
    ResponseTooLargeError,
    UnauthenticatedError,
    UnknownModelError,
)
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoint import Answer, Failure


def failed(error: Exception) -> Answer:
    return SHARED.failed(
        Failure(
            code=status_code(error),
            message=str(error),
            error=error,
            retry_after=retry_after(error),
            call_id="c1",
        )
    )


def test_every_client_finds_the_message_where_its_dialect_has_it():
    answer = failed(InvalidRequestError("documents[3].text: missing; give it"))
    assert answer.status == 400
    assert json.loads(answer.body) == {
        "id": "c1",
        "message": "documents[3].text: missing; give it",
        "detail": "documents[3].text: missing; give it",
        "error": {
            "message": "documents[3].text: missing; give it",
            "type": "invalid_request_error",
            "param": "documents[3].text",
            "code": 400,
        },
    }


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequestError("x"), 400, "invalid_request_error"),
        (UnauthenticatedError("x"), 401, "authentication_error"),
        (PermissionDeniedError("x"), 403, "permission_error"),
        (UnknownModelError("x"), 404, "not_found_error"),
        (OverloadedError("x", retry_after=0.2), 429, "rate_limit_error"),
        (QuotaError("x", retry_after=60), 429, "rate_limit_error"),
        (OverloadedError("x", retry_after=None), 413, "invalid_request_error"),
        (ResponseTooLargeError("x"), 413, "invalid_request_error"),
        (DeviceError("x"), 500, "server_error"),
        (NeverInTimeError("x"), 504, "server_error"),
        (ZeroDivisionError("x"), 500, "server_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_has_its_status_and_its_kind(error, status, kind):
    answer = failed(error)
    assert answer.status == status
    assert json.loads(answer.body)["error"]["type"] == kind
    assert json.loads(answer.body)["error"]["code"] == status


def test_clients_are_told_not_to_send_again_what_no_retry_mends():
    never = (("x-should-retry", "false"),)
    assert failed(ZeroDivisionError("a bug")).headers == never
    assert failed(NeverInTimeError("too slow")).headers == never
    assert failed(ResponseTooLargeError("too large")).headers == never
    assert failed(DeviceError("built anew")).headers == ()
    assert failed(OverloadedError("later", retry_after=1)).headers == ()


def test_only_a_message_about_a_field_names_one():
    told = json.loads(failed(InvalidRequestError("nothing fits")).body)
    assert told["error"]["param"] is None
    told = json.loads(failed(UnknownModelError("model: no model 'x'")).body)
    assert told["error"]["param"] is None


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_no_code_of_grpc_is_without_a_status(code):
    if code is grpc.StatusCode.OK:
        return
    failure = Failure(code=code, message="x", error=Exception(), retry_after=None, call_id="")
    assert 400 <= SHARED.failed(failure).status < 600
