"""Serves the metrics, and whether the server serves, over HTTP in plain text.

Supervisors that know neither the server's certificate nor a key, Docker's health check and
Kubernetes' probes among them, ask `/health` here. Every other path has the metrics, in the text
format of Prometheus.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from twopass.server.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_HEALTH_PATH = "/health"


class MetricsEndpoint:
    """An HTTP server in a thread of its own.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, address: str, metrics: Metrics, serves: Callable[[], bool]) -> None:
        """Listens.

        Args:
            address: host:port; port 0 takes a free one.
            metrics: What is served.
            serves: Says whether the server serves; is called by other threads.

        Raises:
            OSError: The address is taken or does not belong to this machine.
        """
        self._serves = serves
        self._metrics = make_wsgi_app(metrics.registry)
        host, _, port = address.rpartition(":")
        try:
            self._server = _server_at(host.strip("[]"), int(port))
        except (OSError, ValueError, OverflowError) as error:
            raise OSError(f"--metrics-address {address}: can't listen there ({error})") from error
        self._server.set_app(self._answer)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stops listening, and ends the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] != _HEALTH_PATH:
            metrics: Iterable[bytes] = self._metrics(environ, start_response)
            return metrics
        status, told = "200 OK", b"serving\n"
        if not self._serves():
            status, told = "503 Service Unavailable", b"not serving\n"
        start_response(
            status,
            [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(told)))],
        )
        return [told]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Logs nothing: scrapes and probes come every few seconds."""


def _server_at(host: str, port: int) -> WSGIServer:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    kind = _ServerOfIPv6 if family == socket.AF_INET6 else _Server
    return kind((str(address[0]), port), _Handler)
