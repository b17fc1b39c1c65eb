"""The endpoints of the page: its files, what it can't learn from an rpc, and the way to it."""

from collections.abc import Callable
from importlib.resources import files

import msgspec

from twopass.server.http.bodies import encode
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.rpcs.failures import RPC_DIALECT
from twopass.server.request import Request

_NAME = "http.ui"
_FILES = {
    "/ui": ("ui.html", "text/html; charset=utf-8"),
    "/ui/ui.css": ("ui.css", "text/css; charset=utf-8"),
    "/ui/ui.js": ("ui.js", "text/javascript; charset=utf-8"),
}
_HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
)


class Surroundings(msgspec.Struct, frozen=True):
    """What the page can't learn from an rpc before it has a key.

    Attributes:
        grpc_port: Where gRPC listens, for the commands that the page writes; 0 for a Unix socket.
        needs_key: Whether rpcs need an API key.
    """

    grpc_port: int
    needs_key: bool


def endpoints(surroundings: Callable[[], Surroundings]) -> list[Endpoint]:
    """The page, its files, and the way from `/` to it.

    Args:
        surroundings: Tells what the page can't learn from an rpc, once the server listens.
    """
    assets = [
        _endpoint(path, _file(name, content_type)) for path, (name, content_type) in _FILES.items()
    ]
    told = _endpoint(
        "/ui/server.json", lambda: Answer(body=encode(surroundings()), headers=_HEADERS)
    )
    to_page = _endpoint(
        "/",
        lambda: Answer(
            status=302,
            content_type="text/plain; charset=utf-8",
            headers=(("location", "/ui"), ("vary", "accept"), ("cache-control", "no-store")),
        ),
        for_browsers=True,
    )
    return [*assets, told, to_page]


def _file(name: str, content_type: str) -> Callable[[], Answer]:
    body = files(__package__).joinpath("assets", name).read_bytes()
    return lambda: Answer(body=body, content_type=content_type, headers=_HEADERS)


def _endpoint(path: str, made: Callable[[], Answer], *, for_browsers: bool = False) -> Endpoint:
    async def answer(asked: HttpRequest, request: Request) -> Answer:
        del asked, request
        return made()

    return Endpoint(
        name=_NAME,
        method="GET",
        path=path,
        answer=answer,
        dialect=RPC_DIALECT,
        below_models=False,
        counts=False,
        for_browsers=for_browsers,
    )
