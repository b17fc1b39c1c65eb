"""What the HTTP server knows of a dialect: its endpoints, and how failures look in it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

import grpc

from twopass.server.http.statuses import status_of_http
from twopass.server.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request whose body has come.

    Attributes:
        method: "GET", "POST", "PUT", "PATCH" or "DELETE".
        path: The path that the endpoint was found by: percent-decoded, without a model's prefix and
            without a slash at its end.
        query: What follows the question mark, percent-encoded; "" for nothing.
        headers: By lower-case name; of several with one name the last.
        body: Its content, decompressed; empty where there is none.
        model: The model of the prefix `/models/{id}`; "" without that prefix.
        variables: What stands in the places of a path's variables, by their names.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    model: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back.

    Attributes:
        body: Its content.
        status: The status of HTTP.
        content_type: What the content is.
        headers: Further headers, names in lower case.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request has no answer.

    Attributes:
        code: What a call of gRPC would have ended with.
        message: For the caller; without internals.
        error: What was raised.
        retry_after: Seconds after which another try may succeed; None where it can't.
        call_id: Id of the call, found in the log.
        details: The serialised details of the status: type URL and bytes.
    """

    code: grpc.StatusCode
    message: str
    error: Exception
    retry_after: float | None
    call_id: str
    details: tuple[tuple[str, bytes], ...] = ()

    @property
    def status(self) -> int:
        """The status of HTTP that most dialects give it; of a body's faults all do."""
        return status_of_http(self.code, self.error)


class Dialect(Protocol):
    """How failures look."""

    def failed(self, failure: Failure) -> Answer:
        """The answer that tells a failure; headers about retries and the call's id are added."""


Answering: TypeAlias = Callable[[HttpRequest, Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One thing that can be asked for.

    Attributes:
        name: Stands in metrics, in the log, and in the table of permissions, as in "tei.rerank".
        method: The method of HTTP.
        path: As `HttpRequest.path`, variables in braces.
        answer: Answers a request; raises what the server's pipelines raise.
        dialect: How its failures look.
        below_models: Whether it is also found below `/models/{id}`.
        counts: Whether its calls count against quotas and `--max-calls`. Those that do not are
            short, and are answered while others are refused: health, metrics.
        tells_health: Whether it needs no key where `--open-health` is set.
        for_browsers: Whether only requests that accept `text/html` find it, before any other
            endpoint of its path. Its path has no variables.
    """

    name: str
    method: str
    path: str
    answer: Answering
    dialect: Dialect
    below_models: bool = True
    counts: bool = True
    tells_health: bool = False
    for_browsers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedEndpoint:
    """A path that several dialects share; the body tells which one is spoken.

    Attributes:
        name: As for an `Endpoint`; what counts until the body has come. Its permission holds for
            all of them.
        method: The method of HTTP.
        path: The path.
        choose: The endpoint that a request is for; may raise what `Endpoint.answer` may.
        dialect: How failures look that come before the body.
        below_models: Whether it is also found below `/models/{id}`.
    """

    name: str
    method: str
    path: str
    choose: Callable[[HttpRequest, Request], Awaitable[Endpoint]]
    dialect: Dialect
    below_models: bool = True
    counts: ClassVar[bool] = True
