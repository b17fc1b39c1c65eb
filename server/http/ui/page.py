"""The endpoints of the page: its files, what it can't learn from an rpc, and the way to it."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from twopass.server.http.bodies import encode
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.rpcs.failures import RPC_DIALECT
from twopass.server.request import Request

_NAME = "http.ui"
_PAGE = "ui.html"
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
# What the page has in place of the path of its other files, and of the links to its modules.
_ASSETS = "/ui/assets/"
_MODULES = "<!-- preloaded modules -->"
_HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
_ASKED_AGAIN = (*_HEADERS, ("cache-control", "no-cache"))
# The path of an asset names its content.
_KEPT = (*_HEADERS, ("cache-control", "public, max-age=31536000, immutable"))


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
    assets = _assets()
    html = assets.pop(_PAGE).decode()
    place = f"/ui/{_version_of(assets)}/"
    shown = _endpoint("/ui", _file(_PAGE, _html(html, place, assets).encode(), _ASKED_AGAIN))
    others = [_endpoint(place + name, _file(name, body, _KEPT)) for name, body in assets.items()]
    told = _endpoint(
        "/ui/server.json", lambda: Answer(body=encode(surroundings()), headers=_ASKED_AGAIN)
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
    return [shown, *others, told, to_page]


def _assets() -> dict[str, bytes]:
    """All files below `assets/`, by their paths in it."""
    root = Path(__file__).with_name("assets")
    found = (path for path in sorted(root.rglob("*")) if path.suffix in _CONTENT_TYPES)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def _version_of(assets: Mapping[str, bytes]) -> str:
    """A name for their content, other as soon as one of them is: browsers keep them until then."""
    digest = hashlib.sha256()
    for name, body in assets.items():
        digest.update(f"{name} {len(body)} ".encode() + body)
    return digest.hexdigest()[:12]


def _html(html: str, place: str, names: Iterable[str]) -> str:
    """The page, with its files in their place and all its modules fetched at once.

    Without the links a browser learns of a module only when it has one that imports it.
    """
    links = [
        f'<link rel="modulepreload" href="{place}{name}">' for name in names if name.endswith(".js")
    ]
    return html.replace(_ASSETS, place).replace(_MODULES, "\n".join(links))


def _file(name: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> Callable[[], Answer]:
    content_type = _CONTENT_TYPES[Path(name).suffix]
    return lambda: Answer(body=body, content_type=content_type, headers=headers)


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
