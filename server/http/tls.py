"""TLS of the HTTP port, by the same certificate as gRPC's."""

import logging
import ssl
from pathlib import Path

from twopass.server.config import ServerConfig

_logger = logging.getLogger("twopass.server")


class TlsContext:
    """The context of a port, whose certificate is read again when its file has changed.

    Attributes:
        context: To be given to the port.
    """

    def __init__(self, config: ServerConfig) -> None:
        """Reads the files.

        Raises:
            OSError: A file can't be read, or is no certificate; names the setting.
        """
        self._certificate = Path(config.tls_certificate)
        self._key = Path(config.tls_key)
        self._client_ca = config.tls_client_ca
        self._stamp = self._stamp_now()
        self.context = self._read()
        # Called at every handshake, whether or not the client names a server.
        self.context.sni_callback = self._at_handshake

    def _at_handshake(
        self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        del name, context
        try:
            if (stamp := self._stamp_now()) != self._stamp:
                self._stamp = stamp
                self._current = self._read()
                _logger.info("certificate reloaded", extra={"file": str(self._certificate)})
        except OSError as error:
            _logger.error("certificate not reloaded: %s", error)
        connection.context = self._current

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key)
        except ssl.SSLError as error:
            raise OSError(f"--tls-certificate {self._certificate}: {error}") from error
        if self._client_ca:
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError as error:
                raise OSError(f"--tls-client-ca {self._client_ca}: {error}") from error
            context.verify_mode = ssl.CERT_REQUIRED
        self._current = context
        return context

    def _stamp_now(self) -> list[tuple[int, int]]:
        files = self._certificate, self._key
        return [(status.st_mtime_ns, status.st_ino) for status in map(Path.stat, files)]
