"""Whether the server lives and answers, and what it is, in the words of NIM and Infinity."""

import time
from importlib.metadata import version

import msgspec

from twopass.server.http.bodies import encode
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.request import Request

_UNAVAILABLE = 503


class Health(msgspec.Struct):
    """What NIM tells of its health."""

    object: str
    message: str
    status: str


class ModelName(msgspec.Struct):
    """A model in NIM's metadata."""

    shortName: str  # noqa: N815 - NIM's own name
    modelUrl: str  # noqa: N815


class ServiceMetadata(msgspec.Struct):
    """What NIM tells of itself."""

    version: str
    modelInfo: list[ModelName]  # noqa: N815


class NimHealth:
    """Tells whether the server lives and answers."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._version = version("twopass")

    async def live(self, http: HttpRequest, request: Request) -> Answer:
        """Tells that it lives, which is so whenever it can tell."""
        del http, request
        return _told("Service is live.", "live")

    async def ready(self, http: HttpRequest, request: Request) -> Answer:
        """Tells whether it answers: not while an engine does not, nor while it ends."""
        del http, request
        if self._parts.is_well():
            return _told("Service is ready.", "ready")
        return _told("Service is not ready.", "not-ready", _UNAVAILABLE)

    async def metadata(self, http: HttpRequest, request: Request) -> Answer:
        """Tells version and models."""
        del request
        named = self._parts.named_models.any(http)
        models = self._parts.models.all() if named is None else [named]
        names = [ModelName(model.spec.id, "") for model in models]
        return Answer(body=encode(ServiceMetadata(self._version, names)))

    async def infinitys(self, http: HttpRequest, request: Request) -> Answer:
        """Tells Infinity's clients the time, where the server answers."""
        ready = await self.ready(http, request)
        return Answer(body=encode({"unix": time.time()}), status=ready.status)


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """What tells health needs no place among the calls, and no key where health is open."""
    health = NimHealth(parts)
    return [
        *(
            Endpoint(
                name=name,
                method="GET",
                path=path,
                answer=answer,
                dialect=SHARED,
                counts=False,
                tells_health=True,
            )
            for name, path, answer in (
                ("nim.health.live", "/v1/health/live", health.live),
                ("nim.health.ready", "/v1/health/ready", health.ready),
                ("infinity.health", "/infinity/health", health.infinitys),
            )
        ),
        Endpoint(
            name="nim.metadata",
            method="GET",
            path="/v1/metadata",
            answer=health.metadata,
            dialect=SHARED,
            counts=False,
        ),
    ]


def _told(message: str, status: str, code: int = 200) -> Answer:
    return Answer(body=encode(Health("health.response", message, status)), status=code)
