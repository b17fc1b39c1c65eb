"""Where the server listens, by its settings."""

from dataclasses import dataclass

from twopass.server.config import ConfigError, ServerConfig


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
                f"tei_address: {value!r} names no address; give host:port or host:port=model"
            )
        if equals and not model:
            raise ConfigError(
                f"tei_address: {value!r} names no model after the =; leave the = out for the "
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
    if config.http_address:
        addresses.append(("http_address", config.http_address))
    addresses += [("tei_address", each.address) for each in tei_addresses(config)]
    _ensure_distinct([*addresses, ("metrics_address", config.metrics_address)])
    return addresses


def _ensure_distinct(addresses: list[tuple[str, str]]) -> None:
    """Refuses an address that two settings have, but for ports that the system chooses."""
    seen: dict[str, str] = {}
    for setting, address in addresses:
        if not address or address.endswith(":0"):
            continue
        if address in seen:
            first = seen[address]
            whose = "twice" if first == setting else f"by {first} too"
            raise ConfigError(
                f"{setting}: {address} is given {whose}; one thing listens at an address, so give "
                f"another port by --{setting.replace('_', '-')}"
            )
        seen[address] = setting
