"""What the dialects that share paths have in common: how failures look, and counts of tokens.

Cohere, Jina, vLLM, OpenAI, Voyage, NIM and Infinity tell failures by the same statuses, and each
client reads its own field: Cohere's `message`, Voyage's and LlamaIndex's for Jina `detail`, all
others `error.message`. One answer has them all.
"""

from collections.abc import Mapping

import grpc
import msgspec

from twopass.engines.errors import EngineError
from twopass.server.errors import NeverInTimeError, RequestError
from twopass.server.http.bodies import encode
from twopass.server.http.endpoint import Answer, Failure

_TOO_LARGE = 413
# By the names of OpenAI, whose clients many programs have their cases of.
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class Told(msgspec.Struct):
    """The part of a failure that OpenAI's clients read."""

    message: str
    type: str
    param: str | None
    code: int


class FailureBody(msgspec.Struct):
    """A failure in every dialect of the shared paths.

    Attributes:
        id: Id of the call, found in the log.
    """

    id: str
    message: str
    detail: str
    error: Told


class SharedDialect:
    """How failures look on the paths that several dialects share."""

    def failed(self, failure: Failure) -> Answer:
        """The answer with every dialect's fields."""
        return self.told(failure, status_of(failure))

    def told(self, failure: Failure, status: int) -> Answer:
        """The same under another status."""
        told = Told(failure.message, type_of(status), field_of(failure), status)
        body = FailureBody(failure.call_id, failure.message, failure.message, told)
        return Answer(body=encode(body), status=status, headers=headers_of(failure))


SHARED = SharedDialect()
"""One is enough: it holds nothing."""


def status_of(failure: Failure) -> int:
    """The status of HTTP that tells a failure.

    What is exhausted without hope that a later try succeeds is a request that is too large for the
    server, or that asks for too large an answer: 413, which no client sends again by itself.
    """
    is_exhausted = failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    if is_exhausted and failure.retry_after is None:
        return _TOO_LARGE
    return failure.status


def headers_of(failure: Failure) -> tuple[tuple[str, str], ...]:
    """The headers that tell clients what to do, beside those about when to try again."""
    if is_hopeless(failure):
        # Clients of OpenAI and Cohere send 429 and every 5xx again unless they are told otherwise.
        return (("x-should-retry", "false"),)
    return ()


def is_hopeless(failure: Failure) -> bool:
    """Whether the same request would fail again with a status that clients take for passing.

    A fault of an engine passes, since it is built anew; a fault of the program does not.
    """
    if isinstance(failure.error, NeverInTimeError):
        return True
    if failure.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
        return not isinstance(failure.error, EngineError)
    if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return failure.retry_after is None
    return failure.code in (grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNIMPLEMENTED)


def type_of(status: int) -> str:
    """The kind of failure in OpenAI's words."""
    if status in _TYPES:
        return _TYPES[status]
    return "invalid_request_error" if status < 500 else "server_error"


def field_of(failure: Failure) -> str | None:
    """The field of the request that a failure is about; None where it is about none."""
    if not isinstance(failure.error, RequestError):
        return None
    field = failure.error.facts.get("field")
    return field if isinstance(field, str) else None


class Usage(msgspec.Struct):
    """Tokens that the model read, special ones included."""

    prompt_tokens: int
    total_tokens: int


def usage_of(num_tokens: int) -> Usage:
    """The counts of a request whose answer has no tokens."""
    return Usage(num_tokens, num_tokens)
