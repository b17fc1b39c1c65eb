"""A client with settings that are given, or read from the variables of the command `twopass`."""

import functools
import os
import ssl
from pathlib import Path

import grpc

from twopass.client._balancing import Balancing
from twopass.client._sync import Client
from twopass.client._target import DEFAULT_PORT
from twopass.client.errors import InvalidArgumentError

# Where systems keep the authorities that they trust, beside the place that OpenSSL was built with.
_SYSTEM_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


def connect(
    target: str | None = None,
    *,
    api_key: str | None = None,
    ca: str | None = None,
    client_certificate: str | None = None,
    client_key: str | None = None,
    timeout: float | None = 30.0,
    balancing: Balancing | None = None,
) -> Client:
    """Opens a client with plain settings, as configurations and environments have them.

    What is None is read from a variable, which the command `twopass` reads too; one that is empty
    is as one that is not set. The client can be pickled and copied, with what is given here; the
    copy reads variables and files itself, and connects anew.

    Args:
        target: Where the server is, over gRPC: "host:port", or several with commas between them,
            as for `Client`. `TWOPASS_TARGET`, or "localhost:50051".
        api_key: Sent with every call; unencrypted without TLS. `TWOPASS_API_KEY`, or none.
        ca: For TLS: a PEM file of authorities to trust, or "system" for the machine's own.
            `TWOPASS_CA`, or plain text.
        client_certificate: A PEM file, for a server that asks for it. `TWOPASS_CLIENT_CERTIFICATE`.
        client_key: The PEM file of its key. `TWOPASS_CLIENT_KEY`.
        timeout: Seconds that a call may take unless it says otherwise. None: no deadline.
        balancing: How calls are spread over several servers. None: as `Balancing()` says.

    Raises:
        InvalidArgumentError: The target is none, a file can't be used, or one is missing.
    """
    client = Client(
        target or _variable("TARGET") or f"localhost:{DEFAULT_PORT}",
        api_key=(api_key or _variable("API_KEY")).strip() or None,
        credentials=_credentials(
            ca or _variable("CA"),
            client_certificate or _variable("CLIENT_CERTIFICATE"),
            client_key or _variable("CLIENT_KEY"),
        ),
        timeout=timeout,
        balancing=balancing,
    )
    client._connect_again = functools.partial(
        connect,
        target,
        api_key=api_key,
        ca=ca,
        client_certificate=client_certificate,
        client_key=client_key,
        timeout=timeout,
        balancing=balancing,
    )
    return client


def _variable(name: str) -> str:
    return os.environ.get(f"TWOPASS_{name}", "").strip()


def _credentials(ca: str, certificate: str, key: str) -> grpc.ChannelCredentials | None:
    if bool(certificate) != bool(key):
        missing = "client_key" if certificate else "client_certificate"
        raise _refused(missing, "none given; a client's certificate and its key go together")
    if not ca:
        if certificate:
            raise _refused(
                "ca",
                "none given, so the client's certificate would not be used; give a PEM file of "
                "authorities, or system",
            )
        return None
    trusted = _system_authorities() if ca == "system" else _content("ca", ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca != "system":
        try:
            context.load_verify_locations(ca)
        except (ssl.SSLError, OSError):
            raise _refused("ca", f"{ca} holds no certificate in PEM form") from None
    if not certificate:
        return grpc.ssl_channel_credentials(trusted)
    contents = _content("client_key", key), _content("client_certificate", certificate)
    try:  # gRPC would end the process for a pair that does not match
        context.load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, OSError, ValueError):
        raise _refused(
            "client_certificate",
            f"{certificate} and {key} are no certificate and its key in PEM form, without a "
            "password",
        ) from None
    return grpc.ssl_channel_credentials(trusted, *contents)


def _system_authorities() -> bytes | None:
    """The machine's authorities; None, for those that come with gRPC, where no file has them."""
    known = ssl.get_default_verify_paths().cafile
    for file in map(Path, filter(None, (known, *_SYSTEM_AUTHORITIES))):
        if file.is_file():
            return file.read_bytes()
    return None


def _content(field: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _refused(field, f"{file}: {error.strerror}") from None


def _refused(field: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{field}: {reason}", metadata={"field": field})
