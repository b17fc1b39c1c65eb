"""Where the server listens, by its settings."""

import ipaddress
from dataclasses import dataclass

from twopass.server.config import ConfigError, ServerConfig

UNIX = ("unix:", "unix-abstract:")
"""How addresses of Unix sockets begin, in gRPC's notation."""
_MAX_PORT = 2**16 - 1


@dataclass(frozen=True, slots=True)
class TeiAddress:
    """Where tei.v1 is spoken, and for which model: a value of `--tei-address`.

    Attributes:
        address: host:port, or a Unix socket in gRPC's notation.
        model: The model's id, as it was given; "" for the default reranker.
        given: The value.
    """

    address: str
    model: str
    given: str


def tei_addresses(config: ServerConfig) -> list[TeiAddress]:
    """Reads the values of `--tei-address`: an address, or an address, "=" and a model.

    Raises:
        ConfigError: Names the setting, the value and the way out.
    """
    addresses = []
    for value in config.tei_address:
        address, equals, model = map(str.strip, value.partition("="))
        if not address:
            raise ConfigError(
                f"--tei-address: {value!r} names no address; give host:port or host:port=model"
            )
        if equals and not model:
            raise ConfigError(
                f"--tei-address: {value!r} names no model after the =; leave the = out for the "
                "default reranker"
            )
        addresses.append(TeiAddress(address, model, value))
    return addresses


def addresses_of_callers(config: ServerConfig) -> list[tuple[str, str]]:
    """Where clients send texts and keys: settings and addresses.

    Raises:
        ConfigError: A setting is no address, or an address is given twice.
    """
    addresses = [("address", config.address)]
    if config.metrics_address:
        _ensure_address("metrics_address", config.metrics_address)
    if config.http_address:
        addresses.append(("http_address", config.http_address))
    addresses += [("tei_address", each.address) for each in tei_addresses(config)]
    for setting, address in addresses:
        _ensure_address(setting, address)
    _ensure_distinct([*addresses, ("metrics_address", config.metrics_address)])
    return addresses


def is_local(address: str) -> bool:
    """Whether only this machine reaches an address."""
    if address.startswith(UNIX):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name, which may be any machine's
        return False


def _ensure_address(setting: str, address: str) -> None:
    """Refuses what is no host:port, unless it is a Unix socket."""
    if address.startswith(UNIX):
        return
    if problem := _problem_of(address, 50051 if setting == "address" else 8080):
        raise ConfigError(f"--{setting.replace('_', '-')}: {address!r} {problem}")


def _problem_of(address: str, port: int) -> str:
    """What is wrong with a host:port, and what to give instead; "" for nothing."""
    if "://" in address:
        bare = address.partition("://")[2].partition("/")[0]
        return f"is a URL; give host:port, such as {bare or f'127.0.0.1:{port}'}"
    if address.isdecimal():
        return (
            f"names no host; give 127.0.0.1:{address} for this machine alone, or 0.0.0.0:{address} "
            "for others too"
        )
    if ":" not in address or address.endswith("]"):
        return f"names no port; give {address}:{port}, or {address}:0 for a free one"
    host, _, given = address.rpartition(":")
    if ":" in host and not host.startswith("["):
        return f"is an IPv6 address without brackets; give [{address}]:{port}"
    if not host:
        return (
            f"names no host; give 127.0.0.1{address} for this machine alone, or 0.0.0.0{address} "
            "for others too"
        )
    if not given.isdecimal() or int(given) > _MAX_PORT:
        return (
            f"has the port {given!r}; a number from 1 to {_MAX_PORT:,} is needed, or 0 for a free "
            "one"
        )
    return ""


def _ensure_distinct(addresses: list[tuple[str, str]]) -> None:
    """Refuses an address that two settings have, but for ports that the system chooses."""
    seen: dict[str, str] = {}
    for setting, address in addresses:
        if not address or address.endswith(":0"):
            continue
        if address in seen:
            first = seen[address]
            whose = "twice" if first == setting else f"by --{first.replace('_', '-')} too"
            raise ConfigError(
                f"--{setting.replace('_', '-')}: {address} is given {whose}; one thing listens at "
                "an address, so give another port"
            )
        seen[address] = setting
