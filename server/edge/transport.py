"""The socket: its address, TLS, and the limits of a connection."""

import errno
import logging
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from twopass.server.addresses import UNIX, addresses_of_callers, is_local
from twopass.server.config import ConfigError, ServerConfig

_logger = logging.getLogger("twopass.server")
_CONNECT_SECONDS = 1.0


def check_transport(config: ServerConfig) -> None:
    """Refuses settings that would send texts and keys over a network in plain text unasked.

    Raises:
        ConfigError: Names the settings and the way out.
    """
    if bool(config.tls_certificate) != bool(config.tls_key):
        missing = "--tls-key" if config.tls_certificate else "--tls-certificate"
        raise ConfigError(f"{missing}: unset; TLS needs both --tls-certificate and --tls-key")
    if config.tls_client_ca and not config.tls_certificate:
        raise ConfigError(
            "--tls-client-ca: set, but --tls-certificate is not; clients can't be asked for theirs"
        )
    for setting, address in addresses_of_callers(config):
        if not config.tls_certificate and not config.insecure and not is_local(address):
            raise ConfigError(
                f"--{setting.replace('_', '-')}: {address} is in reach of other machines, and "
                "without TLS all can be read on the way; set --tls-certificate and --tls-key, or "
                "allow it by --insecure"
            )


def ensure_can_listen(config: ServerConfig) -> None:
    """Finds out whether the server can listen, before anything that takes time.

    Nothing listens afterwards: a client that connects too early is refused and does not wait.

    Raises:
        OSError: An address is taken or does not belong to this machine; names the flag.
        ConfigError: A certificate or a key can't be read; names the flag.
    """
    for setting, address in addresses_of_callers(config):
        ensure_free(address, setting)
    if config.metrics_address:
        ensure_free(config.metrics_address, "metrics_address")
    if config.tls_certificate:
        _ensure_certificates(config)


def _ensure_certificates(config: ServerConfig) -> None:
    """Finds out whether the files of TLS can be read and belong together.

    Raises:
        ConfigError: Names the flag, the file and what is wrong.
    """
    files = {
        "--tls-certificate": config.tls_certificate,
        "--tls-key": config.tls_key,
        **({"--tls-client-ca": config.tls_client_ca} if config.tls_client_ca else {}),
    }
    for flag, file in files.items():
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{flag} {file}: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a password would have OpenSSL ask for it on the terminal.
        context.load_cert_chain(config.tls_certificate, config.tls_key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"--tls-certificate {config.tls_certificate} and --tls-key {config.tls_key}: they are "
            f"no certificate and its key without a password, both in PEM ({error})"
        ) from error
    if config.tls_client_ca:
        try:
            context.load_verify_locations(config.tls_client_ca)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"--tls-client-ca {config.tls_client_ca}: no certificates in PEM ({error})"
            ) from error


def ensure_free(address: str, setting: str) -> None:
    """Finds out whether an address can be listened on, by taking it for a moment.

    Args:
        address: host:port, or a Unix socket in gRPC's notation.
        setting: The setting that has this value.

    Raises:
        OSError: The address can't be listened on; names the setting and the address.
    """
    flag = f"--{setting.replace('_', '-')}"
    try:
        _try(address)
    except OSError as error:
        advice = (
            "stop what listens there, or give another"
            if error.errno == errno.EADDRINUSE
            else "give another"
        )
        reason = error.strerror or str(error)
        raise OSError(f"{flag} {address}: can't listen there ({reason}); {advice}") from error


def listening_address(address: str, port: int) -> str:
    """The address at which clients find the server, in gRPC's notation.

    Args:
        address: The address that was bound.
        port: The port that the server listens on.
    """
    if address.startswith(UNIX):
        return address
    return f"{address.rpartition(':')[0]}:{port}"


def server_options(config: ServerConfig) -> Sequence[tuple[str, Any]]:
    """The options of gRPC's server that follow from the settings."""
    options = [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", config.max_message_bytes),
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", config.max_connection_calls),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(config.min_ping_seconds)),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _ms(config.min_ping_seconds)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", _ms(config.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _ms(config.keepalive_timeout_seconds)),
        ("grpc.http2.ping_timeout_ms", _ms(config.keepalive_timeout_seconds)),
    ]
    if config.max_connection_seconds:
        options.append(("grpc.max_connection_age_ms", _ms(config.max_connection_seconds)))
        # Calls under way end in their own time: no upload is cut off for its connection.
    return options


def bind(
    server: grpc.aio.Server, config: ServerConfig, address: str, *, setting: str = "address"
) -> int:
    """Binds an address, with TLS where the settings say so; returns the port.

    Args:
        server: The server that will listen there.
        config: The settings.
        address: host:port, or a Unix socket in gRPC's notation.
        setting: The setting that has this value.

    Raises:
        OSError: The address is taken or not one of this machine, or a certificate can't be read.
    """
    try:
        if not config.tls_certificate:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, Certificates(config).credentials())
    except RuntimeError as error:
        raise OSError(
            f"--{setting.replace('_', '-')} {address}: can't listen there ({error}); give another"
        ) from error


class Certificates:
    """The server's certificate, read again when its file has changed."""

    def __init__(self, config: ServerConfig) -> None:
        self._certificate = Path(config.tls_certificate)
        self._key = Path(config.tls_key)
        self._client_ca = Path(config.tls_client_ca) if config.tls_client_ca else None
        self._stamp = self._stamp_now()

    def credentials(self) -> grpc.ServerCredentials:
        """The credentials of a port, which ask for the certificate at every handshake.

        Raises:
            OSError: A file can't be read.
        """
        return grpc.dynamic_ssl_server_credentials(
            self._read(),
            self._renewed,  # type: ignore[arg-type]  # None is documented; the stubs lack it
            require_client_authentication=self._client_ca is not None,
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new certificate; None where the files have not changed or can't be read."""
        try:
            stamp = self._stamp_now()
            if stamp == self._stamp:
                return None
            renewed = self._read()
        except OSError as error:
            _logger.error("certificate not reloaded: %s", error)
            return None
        self._stamp = stamp
        _logger.info("certificate reloaded", extra={"file": str(self._certificate)})
        return renewed

    def _read(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self._key.read_bytes(), self._certificate.read_bytes())],
            self._client_ca.read_bytes() if self._client_ca else None,
        )

    def _stamp_now(self) -> list[tuple[int, int]]:
        files = [self._certificate, self._key, *([self._client_ca] if self._client_ca else [])]
        return [(status.st_mtime_ns, status.st_ino) for status in map(Path.stat, files)]


def _try(address: str) -> None:
    """Binds an address and frees it again."""
    if address.startswith(UNIX):
        _try_unix(address)
        return
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for family, kind, protocol, _, where in found:
        with socket.socket(family, kind, protocol) as trial:
            # As gRPC does: connections that have ended don't keep an address taken.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.bind(where)


def _try_unix(address: str) -> None:
    """Connects to find out whether somebody listens; a socket file alone does not tell."""
    scheme, _, path = address.partition(":")
    where = f"\0{path}" if scheme == "unix-abstract" else path.removeprefix("//")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(_CONNECT_SECONDS)
        try:
            trial.connect(where)
        except (ConnectionRefusedError, FileNotFoundError):
            if scheme == "unix":
                Path(where).resolve().parent.stat()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _ms(seconds: float) -> int:
    return min(round(seconds * 1000), 2**31 - 1)
