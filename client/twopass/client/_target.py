"""Where a server is, as people write it."""

import re

from twopass.client.errors import InvalidArgumentError

DEFAULT_PORT = 50051
"""Where a server listens unless it is told otherwise."""

# gRPC's own notations, which name a resolver (grpc/doc/naming.md); they are left as they are.
_RESOLVERS = ("dns:", "unix:", "unix-abstract:", "ipv4:", "ipv6:", "vsock:", "xds:", "passthrough:")
_HOST = r"[A-Za-z0-9._-]+"
_LOOPBACK = re.compile(
    r"(ipv[46]:|dns:(///)?)?(localhost|127(\.\d+){3}|\[::1\])(:\d+)?|unix(-abstract)?:.*"
)


def grpc_target(given: str) -> str:
    """The target for gRPC of what was given, completed where it can mean one thing only.

    Without a port it is that of servers by default, 50051, where gRPC would take 443; without a
    host, as in ":50051" or "50051", it is this machine.

    Raises:
        InvalidArgumentError: It is no target; the message says what one looks like.
        TypeError: It is not a str.
    """
    if not isinstance(given, str):
        raise TypeError(f"target: a str is needed, {type(given).__name__} given")
    target = given.strip()
    if target.startswith(_RESOLVERS):
        return target
    if "/" in target:
        raise _refused(given, _about_url(target))
    if re.fullmatch(r":?[0-9]+", target):
        host, port = "localhost", target.removeprefix(":")
    elif found := re.fullmatch(rf"({_HOST}|\[[0-9A-Fa-f:.]+(?:%\w+)?\])(?::(\w*))?", target):
        host, port = found[1], str(DEFAULT_PORT) if found[2] is None else found[2]
    elif re.fullmatch(r"[0-9A-Fa-f:.]*::?[0-9A-Fa-f:.]*", target) and target.count(":") > 1:
        host, port = f"[{target}]", str(DEFAULT_PORT)  # an address of IPv6 alone
    else:
        raise _refused(given, f"host:port is needed, as in localhost:{DEFAULT_PORT}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise _refused(given, f"its port is {port!r}, a number from 1 to 65535 is needed")
    return f"{host}:{port}"


def is_loopback(target: str) -> bool:
    """Whether a target is surely on this machine."""
    return _LOOPBACK.fullmatch(target) is not None


def _about_url(target: str) -> str:
    scheme, separator, rest = target.partition("://")
    if not separator:
        return f"host:port is needed, as in localhost:{DEFAULT_PORT}, or unix:PATH for a socket"
    host = rest.partition("/")[0].rpartition("@")[2]
    name = host.partition(":")[0] or "localhost"
    return (
        f"host:port is needed, without {scheme}://; the port is that of gRPC, not of HTTP, as in "
        f"{name}:{DEFAULT_PORT}"
    )


def _refused(given: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"target: {given!r} given, {reason}", metadata={"field": "target", "value": given}
    )
