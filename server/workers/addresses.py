"""Where workers are, as people write it, and what a name stands for now."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from twopass.server.addresses import UNIX
from twopass.server.config import ConfigError, ServerConfig

_DEFAULT_PORT = 50051
_MAX_PORT = 2**16 - 1
_NAME_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[A-Za-z0-9._-]+)(?::(\w+))?")


@dataclass(frozen=True, slots=True)
class Place:
    """One place of `--engines`: a host and a port, or a Unix socket.

    Attributes:
        given: As it was given, for messages.
        host: A name or an address; "" for a Unix socket.
        port: 0 for a Unix socket.
    """

    given: str
    host: str = ""
    port: int = 0

    @property
    def is_local(self) -> bool:
        """Whether nothing that is sent there leaves this machine."""
        if not self.host or self.host == "localhost":
            return True
        address = _address(self.host)
        return address is not None and address.is_loopback

    @property
    def name(self) -> str:
        """The name that a certificate has to have; "" where the place is an address."""
        return "" if _address(self.host) else self.host

    async def targets(self) -> list[str]:
        """Every address that the name stands for now, in gRPC's notation.

        A name with addresses of IPv4 and of IPv6 stands for those of IPv4: mostly both lead to the
        same processes.

        Raises:
            OSError: The name can't be resolved.
        """
        if not self.host:
            return [self.given]
        found = await asyncio.get_running_loop().getaddrinfo(
            self.host.strip("[]"), self.port, type=socket.SOCK_STREAM
        )
        addresses = {family: set[str]() for family, *_ in found}
        for family, _, _, _, address in found:
            addresses[family].add(str(address[0]))
        if socket.AF_INET in addresses:
            return [f"{each}:{self.port}" for each in sorted(addresses[socket.AF_INET])]
        return [f"[{each}]:{self.port}" for each in sorted(addresses.get(socket.AF_INET6, ()))]


def places_of(config: ServerConfig) -> list[Place]:
    """The places of `--engines`.

    Raises:
        ConfigError: A value is no place; or token ids and keys would go over a network in plain
            text unasked.
    """
    values = [each.strip() for value in config.engines for each in value.split(",")]
    places = [_place(value) for value in values]
    if bool(config.engines_certificate) != bool(config.engines_certificate_key):
        raise ConfigError(
            "--engines-certificate and --engines-certificate-key go together; one is unset"
        )
    if config.engines_certificate and not config.engines_ca:
        raise ConfigError(
            "--engines-certificate: set, but --engines-ca is not, without which "
            "nothing is encrypted"
        )
    for place in places:
        if not (place.is_local or config.engines_ca or config.insecure):
            raise ConfigError(
                f"--engines: {place.given} is another machine, and without TLS what texts are made "
                "of can be read on the way; set --engines-ca, or allow it by --insecure"
            )
    return list(dict.fromkeys(places))


def _place(given: str) -> Place:
    if given.startswith(UNIX):
        return Place(given)
    target = re.sub(r"^dns:(///?)?", "", given)
    found = _NAME_AND_PORT.fullmatch(target)
    if found is None:
        raise ConfigError(
            f"--engines: {given!r} given; host:port is needed, such as "
            f"localhost:{_DEFAULT_PORT}, dns:///name:port, or unix:PATH"
        )
    port = found[2] or str(_DEFAULT_PORT)
    if not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise ConfigError(
            f"--engines: {given!r} has the port {port!r}; a number from 1 to {_MAX_PORT:,} is "
            "needed"
        )
    return Place(given, found[1], int(port))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def told(places: Iterable[Place]) -> str:
    """Places as a sentence names them."""
    return ", ".join(place.given for place in places)
