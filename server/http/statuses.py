"""From the status codes of gRPC to those of HTTP, as Connect and most dialects have them."""

import grpc

from twopass.server.errors import InvalidRequestError

_OF_CODES = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""https://connectrpc.com/docs/protocol#error-codes; 499 and 429 as nginx and RFC 6585 have them."""


class HttpError(InvalidRequestError):
    """A request is wrong in a way that HTTP has a status for, whatever the dialect.

    Attributes:
        status: That status.
        headers: Headers that go with it, such as `allow`.
    """

    def __init__(
        self, status: int, message: str, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def status_of_http(code: grpc.StatusCode, error: Exception | None = None) -> int:
    """The status of a failure.

    Args:
        code: What a call of gRPC would have ended with.
        error: What was raised.
    """
    return error.status if isinstance(error, HttpError) else _OF_CODES[code]
