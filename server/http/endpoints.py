"""Every endpoint of the server, and how failures look where no dialect is known."""

from twopass.server.http.bodies import encode
from twopass.server.http.endpoint import Answer, Failure
from twopass.server.http.parts import HttpParts
from twopass.server.http.routes import AnyEndpoint


class AnyDialect:
    """Failures under every name by which clients of some dialect look for them."""

    def failed(self, failure: Failure) -> Answer:
        """The answer that tells a failure."""
        message = failure.message
        error = {"message": message, "type": failure.code.name.lower(), "code": failure.status}
        body = {"message": message, "detail": message, "error": error}
        return Answer(body=encode(body), status=failure.status)


def all_endpoints(parts: HttpParts) -> list[AnyEndpoint]:
    """The endpoints of all dialects.

    Args:
        parts: What they work with.
    """
    del parts
    return []
