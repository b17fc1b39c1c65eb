"""The metrics at `/metrics`, beside the port of their own that `--metrics-address` opens.

They name all collections and models, so where the server has keys they are for those that may use
every collection; without keys they are open, as everything is.
"""

from prometheus_client.exposition import choose_encoder

from twopass.server.errors import PermissionDeniedError
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.request import Request


class MetricsPage:
    """Writes the metrics in the format of Prometheus that a request asks for."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Writes them, in a thread: gauges look into every room of the server.

        Raises:
            PermissionDeniedError: The key may not use every collection.
        """
        if "*" not in request.caller.collections:
            raise PermissionDeniedError(
                f"collection: the key {request.caller.name!r} may use some collections, metrics "
                "tell of all; use a key that may use every collection, or the port of "
                "--metrics-address"
            )
        encode, content_type = choose_encoder(http.headers.get("accept", ""))
        registry = self._parts.metrics.registry
        body = await self._parts.translating.in_thread(encode, registry, request=request)
        return Answer(body=body, content_type=content_type)


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """Also where NIM has them."""
    page = MetricsPage(parts)
    return [
        Endpoint(
            name="http.metrics",
            method="GET",
            path=path,
            answer=page.answer,
            dialect=SHARED,
            below_models=False,
            counts=False,
        )
        for path in ("/metrics", "/v1/metrics")
    ]
