"""Where servers are, as people write it."""

import functools
import ipaddress
import os
import re
import socket

from twopass.client.errors import InvalidArgumentError, UnavailableError

DEFAULT_PORT = 50051
"""Where a server listens unless it is told otherwise."""

# gRPC's own notations, which name a resolver (grpc/doc/naming.md); they are left as they are.
_RESOLVERS = ("dns:", "unix:", "unix-abstract:", "ipv4:", "ipv6:", "vsock:", "xds:", "passthrough:")
_HOST = r"[A-Za-z0-9._-]+"
_LOOPBACK = re.compile(
    r"(dns:(///)?)?(localhost|127(\.\d+){3}|\[(::1|::ffff:127(\.\d+){3})\])(:\d+)?"
)
_BOOTSTRAP = ("GRPC_XDS_BOOTSTRAP", "GRPC_XDS_BOOTSTRAP_CONFIG")


def grpc_target(given: str) -> str:
    """The target for gRPC of what was given, completed where it can mean one thing only.

    Without a port it is that of servers by default, 50051, where gRPC would take 443; without a
    host, as in ":50051" or "50051", it is this machine. Several addresses, with commas between
    them, become one target; names among them stay, until `looked_up`.

    Raises:
        InvalidArgumentError: It is no target; the message says what one looks like.
        TypeError: It is not a str.
    """
    if not isinstance(given, str):
        raise TypeError(f"target: a str is needed, {type(given).__name__} given")
    target = given.strip()
    if target.startswith(_RESOLVERS):
        _check_notation(given, target)
        return target
    if "," not in target:
        return _address(given, target)
    return _joined([_address(given, each.strip()) for each in target.split(",")])


def looked_up(target: str) -> str:
    """A target of `grpc_target` whose list of addresses has numbers in place of names.

    gRPC itself looks up a single name alone. The names of a list are looked up once, in order;
    those that nobody knows are left out while another one is known.

    Raises:
        UnavailableError: No name is known.
    """
    if not _is_list_with_names(target):
        return target
    found: list[str] = []
    for address in target.split(","):
        host, port = address.rsplit(":", 1)
        numbers = [host] if _is_number(host) else _numbers(host)
        found += [f"{number}:{port}" for number in numbers]
    if not found:
        raise UnavailableError(
            f"no machine is known by a name in {target}: are they spelled right?",
            reason="NAME_UNKNOWN",
        )
    # As a list of one, too: it stays a list.
    return _joined(found)


def authority(target: str) -> str | None:
    """The name that servers of a list have in common, that of the first; None for other targets.

    It is what requests are addressed to, and with TLS what every server's certificate must hold.
    """
    if _is_list_with_names(target):
        return target.partition(",")[0]
    scheme, _, rest = target.partition(":")
    return rest.partition(",")[0] if scheme in ("ipv4", "ipv6") and "," in rest else None


@functools.lru_cache(maxsize=64)  # asked in every call
def is_balanced(target: str) -> bool:
    """Whether a target of `grpc_target` may lead to several servers: a list, a name, a mesh."""
    if authority(target) is not None or is_mesh(target):
        return True
    if is_loopback(target):
        return False
    scheme = next((each for each in _RESOLVERS if target.startswith(each)), "")
    if scheme not in ("", "dns:"):
        return False
    host = target.removeprefix(scheme).rpartition("/")[2].rsplit(":", 1)[0]
    return not _is_number(host)


def shown(target: str) -> str:
    """A target of `grpc_target` as people write it: a list without gRPC's notation."""
    return re.sub(r"^ipv[46]:", "", target).replace(",", ", ") if authority(target) else target


def is_mesh(target: str) -> bool:
    """Whether the control plane of a mesh says where a target's servers are, and who gets what."""
    return target.startswith("xds:")


def is_loopback(target: str) -> bool:
    """Whether a target is surely on this machine."""
    if re.match(r"unix(-abstract)?:", target):
        return True
    addresses = re.sub(r"^ipv[46]:", "", target).split(",")
    return all(_LOOPBACK.fullmatch(address) for address in addresses)


def _address(given: str, target: str) -> str:
    """host:port of one address."""
    if target.startswith(_RESOLVERS):
        raise _refused(given, "a list holds addresses, host:port, without a notation of gRPC")
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


def _check_notation(given: str, target: str) -> None:
    if target.startswith("dns:") and "," in target:
        raise _refused(
            given,
            "dns: looks up a single name; write several as host:port,host:port without it",
        )
    if is_mesh(target) and not any(os.environ.get(name) for name in _BOOTSTRAP):
        raise _refused(
            given,
            f"which asks a mesh's control plane, but neither {' nor '.join(_BOOTSTRAP)} says where "
            "that is: set one to the bootstrap's file or to its text, or give host:port",
        )


def _joined(addresses: list[str]) -> str:
    """Addresses as one target: of gRPC where all are numbers, else with the names in it."""
    if not all(_is_number(address.rsplit(":", 1)[0]) for address in addresses):
        return ",".join(addresses)
    if not any(address.startswith("[") for address in addresses):
        return f"ipv4:{','.join(addresses)}"
    # A target holds one family alone; an address of IPv4 is one of IPv6 too (RFC 4291, 2.5.5.2).
    mapped = (
        address if address.startswith("[") else "[::ffff:{}]:{}".format(*address.rsplit(":", 1))
        for address in addresses
    )
    return f"ipv6:{','.join(mapped)}"


def _is_list_with_names(target: str) -> bool:
    return "," in target and not target.startswith(_RESOLVERS)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _numbers(host: str) -> list[str]:
    """The addresses of a name: of IPv4 where it has any, so that a server is not listed twice."""
    for family, form in ((socket.AF_INET, "{}"), (socket.AF_INET6, "[{}]")):
        try:
            found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
        except OSError:
            continue
        if found:
            return list(dict.fromkeys(form.format(each[4][0]) for each in found))
    return []


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
