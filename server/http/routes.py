"""Which endpoint a request is for."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote

from twopass.server.edge.call import Rpc
from twopass.server.edge.permissions import Permission, permission_of
from twopass.server.http.endpoint import Endpoint, SharedEndpoint
from twopass.server.http.statuses import HttpError

AnyEndpoint: TypeAlias = Endpoint | SharedEndpoint

_MODELS = "/models/"
# No path of ours is longer: an id of a document has at most 512 bytes, three characters each.
_MAX_PATH_CHARS = 2_048
# Ids of models are names, names on a hub, or paths of folders.
_MAX_ID_SLASHES = 16
_VARIABLE = re.compile(r"\{(\w+)(=\*\*)?\}")


class RouteError(Exception):
    """Two endpoints have one path, so the server must not start."""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, as it was found.

    Attributes:
        endpoint: The endpoint.
        rpc: What a call of it is called in metrics, logs and permissions.
        path: The path without a model's prefix.
        model: The model of the prefix; "" without one.
        variables: What stands in the places of the path's variables.
    """

    endpoint: AnyEndpoint
    rpc: Rpc
    path: str
    model: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


class Routes:
    """All endpoints, by method and path.

    Most paths are found by a look into a dictionary. Paths with variables, which our own REST has,
    are tried one after the other, and only among those of the method.
    """

    def __init__(self, endpoints: Iterable[AnyEndpoint], *, health_is_open: bool = True) -> None:
        """Collects the endpoints.

        Args:
            endpoints: All of them.
            health_is_open: Whether those that tell health need no key.

        Raises:
            RouteError: Two have one method and path.
            UndeclaredRpcError: One has no permission.
        """
        self._exact: dict[tuple[str, str], tuple[AnyEndpoint, Rpc]] = {}
        self._for_browsers: dict[tuple[str, str], tuple[AnyEndpoint, Rpc]] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], AnyEndpoint, Rpc]]] = {}
        self._rpcs: dict[str, Rpc] = {}
        self._health_is_open = health_is_open
        for endpoint in endpoints:
            self._add(endpoint)

    def find(self, method: str, path: str, *, is_browser: bool = False) -> Route:
        """Finds the endpoint of a request.

        Args:
            method: The method of HTTP; HEAD is answered as GET.
            path: The path as sent, percent-encoded.
            is_browser: Whether the request accepts `text/html`.

        Raises:
            HttpError: 404, 405 or 414, with the way out.
        """
        if len(path) > _MAX_PATH_CHARS:
            raise HttpError(
                414, f"path: {len(path):,} characters given, at most {_MAX_PATH_CHARS:,} are read"
            )
        if method == "HEAD":
            method = "GET"
        path = path.rstrip("/") or "/"
        found = self._for_browsers.get((method, path)) if is_browser else None
        found = found or self._exact.get((method, path))
        if found is not None:
            return Route(*found, path)
        if (route := self._templated(method, path)) is not None:
            return route
        if path.startswith(_MODELS) and (route := self._below_models(method, path)) is not None:
            return route
        raise self._not_found(method, path)

    def rpc_named(self, name: str, *, tells_health: bool = False) -> Rpc:
        """What a call of an endpoint is to the edge.

        Args:
            name: The endpoint's name.
            tells_health: Whether it tells health.

        Raises:
            UndeclaredRpcError: It has no permission.
        """
        rpc = self._rpcs.get(name)
        if rpc is None:
            is_open = tells_health and self._health_is_open
            service, _, method = name.rpartition(".")
            rpc = Rpc(service, method, Permission.OPEN if is_open else permission_of(name))
            self._rpcs[name] = rpc
        return rpc

    def _add(self, endpoint: AnyEndpoint) -> None:
        tells_health = isinstance(endpoint, Endpoint) and endpoint.tells_health
        rpc = self.rpc_named(endpoint.name, tells_health=tells_health)
        if "{" in endpoint.path:
            pattern = re.compile(_VARIABLE.sub(_group, _escaped(endpoint.path)))
            self._patterns.setdefault(endpoint.method, []).append((pattern, endpoint, rpc))
            return
        key = endpoint.method, endpoint.path
        is_for_browsers = isinstance(endpoint, Endpoint) and endpoint.for_browsers
        exact = self._for_browsers if is_for_browsers else self._exact
        if key in exact:
            other = exact[key][0].name
            raise RouteError(
                f"{endpoint.method} {endpoint.path}: of {other} and of {endpoint.name}"
            )
        exact[key] = endpoint, rpc

    def _templated(self, method: str, path: str) -> Route | None:
        for pattern, endpoint, rpc in self._patterns.get(method, ()):
            if match := pattern.fullmatch(path):
                variables = {name: unquote(value) for name, value in match.groupdict().items()}
                return Route(endpoint, rpc, path, variables=variables)
        return None

    def _below_models(self, method: str, path: str) -> Route | None:
        """The endpoint below `/models/{id}`; ids may hold slashes, so the shortest one counts."""
        at = len(_MODELS) - 1
        for _ in range(_MAX_ID_SLASHES + 1):
            at = path.find("/", at + 1)
            if at < 0:
                break
            rest = path[at:]
            found = self._exact.get((method, rest))
            if found is not None and found[0].below_models:
                return Route(*found, rest, unquote(path[len(_MODELS) : at]))
            route = self._templated(method, rest)
            if route is not None and route.endpoint.below_models:
                model = unquote(path[len(_MODELS) : at])
                return Route(route.endpoint, route.rpc, rest, model, route.variables)
        else:
            return None
        found = self._exact.get((method, "/"))
        if found is not None and found[0].below_models and len(path) > len(_MODELS):
            return Route(*found, "/", unquote(path[len(_MODELS) :]))
        return None

    def _not_found(self, method: str, path: str) -> HttpError:
        methods = sorted({m for m, p in self._exact if p == path})
        methods += sorted(
            m for m in self._patterns if m not in methods and self._templated(m, path)
        )
        if methods:
            allowed = ", ".join(methods)
            return HttpError(
                405,
                f"method: {method} given, {path[:128]} takes {allowed}",
                headers=(("allow", allowed),),
            )
        return HttpError(404, f"path: there is no {path[:128]}; {self._hint(method, path)}")

    def _hint(self, method: str, path: str) -> str:
        """Names the path that a client's base URL has made too long, as in `/v1/v1/rerank`."""
        at = 0
        while (at := path.find("/", at + 1)) > 0:
            if (method, path[at:]) in self._exact:
                rest, extra = path[at : at + 128], path[: min(at, 128)]
                return (
                    f"there is {rest}: the base URL that the client was given "
                    f"may have {extra} too much"
                )
        return "/docs lists what there is"


def _escaped(path: str) -> str:
    """A path as a pattern, but for its variables."""
    parts = re.split(r"(\{[^}]*\})", path)
    return "".join(part if part.startswith("{") else re.escape(part) for part in parts)


def _group(variable: re.Match[str]) -> str:
    """The pattern of a variable: one segment, or with `=**` any number of them."""
    return f"(?P<{variable[1]}>{'.+' if variable[2] else '[^/]+'})"
