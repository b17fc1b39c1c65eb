import json
from types import SimpleNamespace

import grpc
import pytest

from twopass.engines.errors import DeviceError, EngineUnavailableError
from twopass.server.edge.statuses import message_of, retry_after, status_code
from twopass.server.errors import (
    InvalidRequestError,
    LateError,
    OverloadedError,
    PermissionDeniedError,
    ResponseTooLargeError,
    UnauthenticatedError,
    UnknownModelError,
    WrongModelKindError,
)
from twopass.server.http.bodies import MalformedBodyError
from twopass.server.http.dialects.tei import TEI, Tei
from twopass.server.http.endpoint import Answer, Failure, HttpRequest
from twopass.server.http.statuses import HttpError
from twopass.server.request import Request
from twopass.server.tei.errors import BatchSizeError, EmptyInputError


def failed(error: Exception) -> Answer:
    return TEI.failed(
        Failure(
            code=status_code(error),
            message=message_of(error, "id"),
            error=error,
            retry_after=retry_after(error),
            call_id="id",
        )
    )


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (EmptyInputError("x"), 400, "Empty"),
        (InvalidRequestError("x"), 422, "Validation"),
        (BatchSizeError(2, 1), 422, "Validation"),
        (OverloadedError("x", retry_after=None), 422, "Validation"),
        (ResponseTooLargeError("x"), 422, "Validation"),
        (UnknownModelError("x"), 404, "Validation"),
        (PermissionDeniedError("x"), 403, "Validation"),
        (WrongModelKindError("x"), 424, "Backend"),
        (DeviceError("x"), 424, "Backend"),
        (ValueError("a fault of the program"), 424, "Backend"),
        (OverloadedError("x", retry_after=1), 429, "Overloaded"),
        (EngineUnavailableError("x"), 503, "Unhealthy"),
        (LateError("x"), 504, "Backend"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_have_the_statuses_of_tei(error, status, kind):
    answer = failed(error)
    body = json.loads(answer.body)
    assert (answer.status, body["error_type"]) == (status, kind)
    assert body.keys() == {"error", "error_type"} | ({"detail"} if status == 429 else set())


def test_without_a_key_the_answer_is_empty():
    answer = failed(UnauthenticatedError("x"))
    assert (answer.status, answer.body) == (401, b"")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (HttpError(413, "body: too long"), 413, "body: too long"),
        (
            MalformedBodyError("body: x", is_syntax=True),
            400,
            "Failed to parse the request body as JSON: body: x",
        ),
        (
            MalformedBodyError("a: x", is_syntax=False),
            422,
            "Failed to deserialize the JSON body into the target type: a: x",
        ),
    ],
    ids=str,
)
def test_faults_of_a_body_are_told_in_plain_text(error, status, text):
    answer = failed(error)
    assert (answer.status, answer.body.decode()) == (status, text)
    assert answer.content_type.startswith("text/plain")


@pytest.mark.parametrize(("is_well", "status"), [(True, 200), (False, 503)])
async def test_health_follows_the_engines(is_well, status):
    parts = SimpleNamespace(translating=None, limits=None, tei=None, is_well=lambda: is_well)
    telling = [endpoint for endpoint in Tei(parts).endpoints() if endpoint.tells_health]
    assert telling
    for endpoint in telling:
        answer = await endpoint.answer(HttpRequest(method="GET", path=endpoint.path), Request())
        assert answer.status == status
        told = {"error": "unhealthy", "error_type": "Unhealthy"}
        assert answer.body == b"" if is_well else json.loads(answer.body) == told


def test_every_code_has_an_answer():
    for code in grpc.StatusCode:
        failure = Failure(code=code, message="x", error=Exception(), retry_after=None, call_id="id")
        assert 400 <= TEI.failed(failure).status < 600
