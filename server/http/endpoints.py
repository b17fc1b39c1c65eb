"""Every endpoint of the server."""

from twopass.server.http.parts import HttpParts
from twopass.server.http.routes import AnyEndpoint


def all_endpoints(parts: HttpParts) -> list[AnyEndpoint]:
    """The endpoints of all dialects.

    Args:
        parts: What they work with.
    """
    del parts
    return []
