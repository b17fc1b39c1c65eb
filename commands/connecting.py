"""How commands reach a server: key, certificates and patience from the environment, failures told.

Everything here comes from variables, `TWOPASS_…`, so that it is set once for all commands, and so
that a key does not show in the list of processes.
"""

import math
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import grpc
from rich.text import Text

from twopass.client import (
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    TwopassError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from twopass.client._target import grpc_target, is_loopback
from twopass.commands.terminal.failures import NOT_FOUND, TRY_LATER, USAGE, exit_with
from twopass.commands.terminal.sentences import say_beside

DEFAULT_TARGET = "localhost:50051"
_DEFAULT_TIMEOUT = 30.0
# Where systems keep the authorities that they trust, beside the place that OpenSSL was built with.
_SYSTEM_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
# What messages of the server call rpcs, and what does the same here.
_COMMANDS = {
    "ListCollections": "`twopass collections list`",
    "ListModels": "`twopass models`",
    "ListSnapshots": "`twopass snapshot list`",
    "DeleteSnapshot": "`twopass snapshot delete`",
    "UpdateAliases": "`twopass alias`",
}


@contextmanager
def told_failures(target: str) -> Iterator[None]:
    """Ends the command with a sentence that helps where a call to the server fails."""
    try:
        yield
    except TwopassError as error:
        _exit_with(error, target)


def api_key() -> str | None:
    """The key in `TWOPASS_API_KEY`, without what a file or a shell put around it."""
    return os.environ.get("TWOPASS_API_KEY", "").strip() or None


def key_for(target: str) -> str | None:
    """The key for a server; says on stderr where it goes to another machine in plain text."""
    key = api_key()
    if key is not None and not os.environ.get("TWOPASS_CA") and not is_loopback(_whole(target)):
        say_beside(
            Text("warning: ", style="yellow"),
            f"the key in TWOPASS_API_KEY goes to {target} in plain text, for everybody on the way "
            "to read: set TWOPASS_CA, to a PEM file of authorities or to system, to speak TLS",
        )
    return key


def _whole(target: str) -> str:
    """A target as gRPC takes it; one that is none is refused by the client, in its words."""
    try:
        return grpc_target(target)
    except InvalidArgumentError:
        return DEFAULT_TARGET


def timeout() -> float:
    """Seconds that a call may take, from `TWOPASS_TIMEOUT`; infinity where it is 0."""
    given = os.environ.get("TWOPASS_TIMEOUT", "").strip()
    if not given:
        return _DEFAULT_TIMEOUT
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        exit_with(f"TWOPASS_TIMEOUT: {given!r} given, seconds are needed; 0 for no limit", USAGE)
    return seconds or math.inf


def tls_credentials() -> grpc.ChannelCredentials | None:
    """TLS credentials from `TWOPASS_CA` and its companions; None, for plain text, where unset.

    `TWOPASS_CA` is a PEM file of authorities to trust, or "system" for the machine's own;
    `TWOPASS_CLIENT_CERTIFICATE` and `TWOPASS_CLIENT_KEY` are for a server that asks for them.
    """
    authorities = os.environ.get("TWOPASS_CA")
    certificate = os.environ.get("TWOPASS_CLIENT_CERTIFICATE")
    key = os.environ.get("TWOPASS_CLIENT_KEY")
    if bool(certificate) != bool(key):
        missing = "TWOPASS_CLIENT_KEY" if certificate else "TWOPASS_CLIENT_CERTIFICATE"
        exit_with(f"{missing}: unset; a client's certificate and its key are given together", USAGE)
    if not authorities:
        if certificate:
            exit_with(
                "TWOPASS_CA: unset, so TWOPASS_CLIENT_CERTIFICATE would not be used; set it to a "
                "PEM file of authorities, or to system",
                USAGE,
            )
        return None
    trusted = _system_authorities() if authorities == "system" else _authorities(Path(authorities))
    if not (certificate and key):
        return grpc.ssl_channel_credentials(trusted)
    _check_pair(certificate, key)
    return grpc.ssl_channel_credentials(
        trusted,
        _content("TWOPASS_CLIENT_KEY", Path(key)),
        _content("TWOPASS_CLIENT_CERTIFICATE", Path(certificate)),
    )


def _system_authorities() -> bytes | None:
    """The machine's authorities; None, for those that come with gRPC, where no file has them."""
    known = ssl.get_default_verify_paths().cafile
    for file in map(Path, filter(None, (known, *_SYSTEM_AUTHORITIES))):
        if file.is_file():
            return file.read_bytes()
    return None


def _authorities(file: Path) -> bytes:
    content = _content("TWOPASS_CA", file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except (ssl.SSLError, OSError):
        exit_with(f"TWOPASS_CA: {file} holds no certificate in PEM form", USAGE)
    return content


def _check_pair(certificate: str, key: str) -> None:
    """Refuses files that gRPC would end the whole process for."""
    _content("TWOPASS_CLIENT_CERTIFICATE", Path(certificate))
    _content("TWOPASS_CLIENT_KEY", Path(key))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, OSError, ValueError):
        exit_with(
            f"TWOPASS_CLIENT_CERTIFICATE, TWOPASS_CLIENT_KEY: {certificate} and {key} are no "
            "certificate and its key in PEM form, without a password",
            USAGE,
        )


def _content(variable: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        exit_with(f"{variable}: {file}: {error.strerror}", USAGE)


def in_words_of_commands(message: str) -> str:
    """A message of the server that names options and commands in place of fields and rpcs."""
    message = re.sub(
        r"^schema(?:\.chunking)?\.(\w+)(?=: )",
        lambda found: f"--{found[1].replace('_', '-')}",
        message,
    )
    message = re.sub(r"^changes\[\d+\]\.(?=\w+: )", "", message)
    return re.sub(rf"\b({'|'.join(_COMMANDS)})\b", lambda found: _COMMANDS[found[1]], message)


def _exit_with(error: TwopassError, target: str) -> NoReturn:
    said = in_words_of_commands(error.message)
    match error:
        case UnavailableError() | DeadlineExceededError():
            exit_with(_unavailable(error, target), TRY_LATER)
        case OverloadedError() if error.retry_after is not None:
            exit_with(f"{said}; try again in {error.retry_after:g} s", TRY_LATER)
        case NotFoundError(reason="COLLECTION_NOT_FOUND"):
            exit_with(
                f"collection {error.metadata.get('collection', '')!r} does not exist; `twopass "
                "collections list` shows those that do, `twopass index` makes one",
                NOT_FOUND,
            )
        case NotFoundError():
            exit_with(said, NOT_FOUND)
        case UnauthenticatedError() if api_key() is None:
            exit_with(f"{target} asks for an API key: set TWOPASS_API_KEY")
        case UnauthenticatedError():
            exit_with(f"{target} does not know the API key in TWOPASS_API_KEY")
        case PermissionDeniedError():
            exit_with(f"{said} (the key is that of TWOPASS_API_KEY)")
        case UnimplementedError(reason="UNSUPPORTED_BY_STORE" | "FEEDBACK_NOT_KEPT"):
            exit_with(said)
        case UnimplementedError():
            exit_with(f"{target} is older than this command and can't do that: {error.message}")
    if error.field == "target":
        is_variable = os.environ.get("TWOPASS_TARGET") == target
        given_by = "TWOPASS_TARGET:" if is_variable else "--target:"
        exit_with(error.message.replace("target:", given_by, 1), USAGE)
    if error.field == "api_key":
        exit_with(error.message.replace("api_key:", "TWOPASS_API_KEY:", 1), USAGE)
    exit_with(said or error.code.name)


def _unavailable(error: TwopassError, target: str) -> str:
    """What is wrong, and what to do by the variables that commands read."""
    match error.reason:
        case "CONNECTION_CLOSED":
            return (
                f"{target} closed the connection as soon as it was made: if the server there "
                "speaks TLS, set TWOPASS_CA to the PEM file of its authority, or to system"
            )
        case "NOT_TLS":
            given = os.environ.get("TWOPASS_CA")
            return f"{target} does not speak TLS: unset TWOPASS_CA, which is {given!r}"
        case "NOT_TRUSTED":
            given = os.environ.get("TWOPASS_CA")
            return (
                f"the certificate of {target} is signed by none of the authorities in TWOPASS_CA, "
                f"which is {given!r}"
            )
        case "OTHER_NAME":
            return (
                f"the certificate of {target} is for another name: give one that it holds by "
                "--target"
            )
        case "CERTIFICATE_NEEDED":
            return (
                f"{target} closed the connection while TLS began: if it asks for a client's "
                "certificate, set TWOPASS_CLIENT_CERTIFICATE and TWOPASS_CLIENT_KEY"
            )
    if isinstance(error, DeadlineExceededError) and not error.reason:
        return f"no answer from {target} within {timeout():g} s: set TWOPASS_TIMEOUT to wait longer"
    later = "" if error.retry_after is None else f"; try again in {error.retry_after:g} s"
    return f"{error.message}{later}"
