"""Serves the metrics over HTTP, in the text format of Prometheus."""

from prometheus_client import start_http_server

from twopass.server.telemetry.metrics import Metrics


class MetricsEndpoint:
    """An HTTP server in a thread of its own.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, address: str, metrics: Metrics) -> None:
        """Listens.

        Args:
            address: host:port; port 0 takes a free one.
            metrics: What is served.

        Raises:
            OSError: The address is taken or does not belong to this machine.
        """
        host, _, port = address.rpartition(":")
        try:
            self._server, self._thread = start_http_server(
                int(port), host.strip("[]"), registry=metrics.registry
            )
        except (OSError, ValueError, OverflowError) as error:
            raise OSError(f"--metrics-address {address}: can't listen there ({error})") from error
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stops listening, and ends the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
