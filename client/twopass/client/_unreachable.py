"""Why no server could be reached: gRPC's words for it, and ours.

gRPC tells every such failure as UNAVAILABLE with a text of its own, which changes from version to
version; what is not recognised stays as it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from twopass.client._target import DEFAULT_PORT, is_loopback, is_mesh

CONNECT_SECONDS = 5
"""How long a connection may take to be made, TLS and all."""

# Texts with which gRPC begins when it had no connection to call on.
_NO_CONNECTION = (
    "failed to connect to all addresses",
    "connections to all backends failing",
    "errors resolving",
    "DNS resolution failed",
    "Failed to create channel",
    "empty address list",
)
# Those of a call whose connection ended before its answer.
_LOST = ("Socket closed", "recvmsg:", "Connection reset", "Broken pipe")


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Why a server was not reached: `reason` for programs, `sentence` for people."""

    reason: str
    sentence: str


def why_unreachable(words: str, target: str, *, is_tls: bool) -> Unreachable | None:
    """What kept a call from a server; None where a server did answer.

    Args:
        words: gRPC's text of an UNAVAILABLE status.
        target: Where the server should be.
        is_tls: Whether the client speaks TLS.
    """
    if words.startswith(_LOST):
        return Unreachable("CONNECTION_LOST", f"{target} ended the connection: did it stop?")
    if not words.startswith(_NO_CONNECTION):
        return None
    if is_mesh(target):
        said = f"the control plane of {target}, or a server that it named, was not reached: {words}"
        return Unreachable("UNREACHABLE", said)
    for pattern, reason, sentence in _CAUSES:
        if re.search(pattern, words):
            if reason == "CONNECTION_CLOSED" and is_tls:
                return Unreachable("CERTIFICATE_NEEDED", _client_certificate(target))
            return Unreachable(reason, sentence(target))
    return Unreachable("UNREACHABLE", f"no server could be reached at {target}: {words}")


def _refused(target: str) -> str:
    port = target.rpartition(":")[2]
    if "," in target:
        return f"connection refused: is a server running at any of {target}?"
    if not is_loopback(target):
        return (
            f"connection refused: is a server running at {target}, and does it listen for other "
            f"machines? start it there with: twopass serve --address 0.0.0.0:{port}"
        )
    ours = port == str(DEFAULT_PORT)
    command = "twopass serve" if ours else f"twopass serve --address {target}"
    return f"connection refused: is a server running at {target}? start one with: {command}"


def _no_such_name(target: str) -> str:
    return f"no machine is known by the name in {target}: is it spelled right?"


def _no_socket(target: str) -> str:
    return f"there is no socket at {target}: is a server running with that --address?"


def _no_answer(target: str) -> str:
    return (
        f"no answer from {target} within {CONNECT_SECONDS} s: is that machine up, and does a "
        "firewall let this port through?"
    )


def _silent(target: str) -> str:
    return (
        f"something listens at {target}, but it said nothing within {CONNECT_SECONDS} s: it is no "
        "server of gRPC, or one that hangs"
    )


def _no_route(target: str) -> str:
    return f"no way leads to {target} from this machine: is the network up, and the address right?"


def _closed(target: str) -> str:
    return (
        f"{target} closed the connection as soon as it was made: if the server there speaks TLS, "
        'give `ca`, a PEM file of authorities or "system", or to `Client` itself `credentials`, '
        "such as grpc.ssl_channel_credentials()"
    )


def _not_tls(target: str) -> str:
    return (
        f"{target} does not speak TLS: leave out `ca` (and TWOPASS_CA) or `credentials`, or is "
        "another port meant?"
    )


def _not_trusted(target: str) -> str:
    return (
        f"the certificate of {target} is signed by no authority that is trusted here: give the "
        "authority's certificate as `ca`, a PEM file, or to `credentials`, as root_certificates"
    )


def _other_name(target: str) -> str:
    return (
        f"the certificate of {target} is for another name: connect by a name that it holds, or "
        'set the option "grpc.ssl_target_name_override"'
    )


def _client_certificate(target: str) -> str:
    return (
        f"{target} closed the connection while TLS began: if it asks for a client's certificate, "
        "give one as `client_certificate` and `client_key` (or by TWOPASS_CLIENT_CERTIFICATE and "
        "TWOPASS_CLIENT_KEY), or to `credentials`"
    )


def _not_grpc(target: str) -> str:
    return (
        f"{target} speaks HTTP but not gRPC: if it is a server's HTTP port, the port for gRPC is "
        f"another, {DEFAULT_PORT} unless it was set otherwise"
    )


def _unwell(target: str) -> str:
    return (
        f"no server at {target} is well: they say so themselves; their logs say why, and `twopass "
        "info` which models do not answer"
    )


# In order: the first that is found counts.
_CAUSES: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("backend unhealthy|health check", "UNWELL", _unwell),
    ("Connection refused", "CONNECTION_REFUSED", _refused),
    ("No such file or directory", "CONNECTION_REFUSED", _no_socket),
    ("WRONG_VERSION_NUMBER", "NOT_TLS", _not_tls),
    ("CERTIFICATE_REQUIRED", "CERTIFICATE_NEEDED", _client_certificate),
    ("CERTIFICATE_VERIFY_FAILED", "NOT_TRUSTED", _not_trusted),
    ("[Hh]ostname [Vv]erification|Peer name", "OTHER_NAME", _other_name),
    ("http1.x server|missing selected ALPN|as the first frame", "NOT_GRPC", _not_grpc),
    ("SETTINGS frame", "NOT_GRPC", _silent),
    ("timed out|[Tt]imeout|handshaker shutdown|Endpoint closing", "NO_ANSWER", _no_answer),
    ("[Uu]nreachable|No route", "NO_ROUTE", _no_route),
    ("resolv|Domain name", "NAME_UNKNOWN", _no_such_name),
    ("Socket closed|Connection reset|Broken pipe", "CONNECTION_CLOSED", _closed),
)  # fmt: skip
