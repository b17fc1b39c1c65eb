import pytest

from twopass.server.addresses import TeiAddress, addresses_of_callers, tei_addresses
from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config


def config(**settings):
    return load_config({"address": "127.0.0.1:50051"} | settings)


def test_a_port_of_tei_has_the_model_that_is_named_or_the_default():
    given = ["127.0.0.1:3000", "[::1]:3001=hub/model", "unix:/run/tei = all-MiniLM-L6-v2"]
    assert tei_addresses(config(tei_address=given)) == [
        TeiAddress("127.0.0.1:3000", "", given[0]),
        TeiAddress("[::1]:3001", "hub/model", given[1]),
        TeiAddress("unix:/run/tei", "all-MiniLM-L6-v2", given[2]),
    ]


def test_a_model_may_have_the_sign_in_its_name():
    (address,) = tei_addresses(config(tei_address=["h:1=models/a=b"]))
    assert (address.address, address.model) == ("h:1", "models/a=b")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("=model", "'=model' names no address"),
        ("h:1=", "'h:1=' names no model"),
        ("", "no address"),
    ],
)
def test_what_lacks_a_part_is_refused_by_its_value(given, problem):
    with pytest.raises(ConfigError, match=f"--tei-address: .*{problem}"):
        tei_addresses(config(tei_address=[given]))


def test_texts_and_keys_come_to_every_port_but_that_of_metrics():
    settings = config(
        http_address="127.0.0.1:8080", tei_address=["h:1", "h:2=m"], metrics_address="h:3"
    )
    assert addresses_of_callers(settings) == [
        ("address", "127.0.0.1:50051"),
        ("http_address", "127.0.0.1:8080"),
        ("tei_address", "h:1"),
        ("tei_address", "h:2"),
    ]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"tei_address": ["h:1", "h:1=m"]}, "--tei-address: h:1 is given twice"),
        ({"tei_address": ["127.0.0.1:50051"]}, "127.0.0.1:50051 is given by --address too"),
        (
            {"http_address": "h:1", "metrics_address": "h:1"},
            "metrics-address: .* by --http-ad",
        ),
    ],
)
def test_one_thing_listens_at_an_address(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        addresses_of_callers(config(**settings))


def test_ports_that_the_system_chooses_may_be_given_several_times():
    addresses_of_callers(config(address="127.0.0.1:0", tei_address=["127.0.0.1:0", "127.0.0.1:0"]))


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("localhost", "names no port; give localhost:50051, or localhost:0 for a free one"),
        ("[::1]", "names no port; give [::1]:50051"),
        ("50051", "names no host; give 127.0.0.1:50051 for this machine alone, or 0.0.0.0:50051"),
        (":50051", "names no host; give 127.0.0.1:50051 for this machine alone"),
        ("::1", "is an IPv6 address without brackets; give [::1]:50051"),
        ("http://localhost:1/x", "is a URL; give host:port, such as localhost:1"),
        ("127.0.0.1:port", "has the port 'port'; a number from 1 to 65,535 is needed, or 0"),
        ("127.0.0.1:65536", "has the port '65536'; a number from 1 to 65,535 is needed"),
        ("localhost:", "has the port ''; a number"),
    ],
)
@pytest.mark.parametrize("setting", ["address", "http_address", "metrics_address", "tei_address"])
def test_what_is_no_address_is_told_with_what_is_one(setting, address, problem):
    flag = f"--{setting.replace('_', '-')}"
    wanted = f"{flag}: {address!r} {problem}"
    if setting != "address":
        wanted = wanted.replace("localhost:50051", "localhost:8080").replace(
            "[::1]:50051", "[::1]:8080"
        )
    given = [address] if setting == "tei_address" else address
    with pytest.raises(ConfigError) as raised:
        addresses_of_callers(config(**{setting: given}))
    assert str(raised.value).startswith(wanted)


@pytest.mark.parametrize(
    "address", ["localhost:0", "[::1]:50051", "h:65535", "unix:/run/s", "unix-abstract:s"]
)
def test_addresses_are_hosts_with_ports_and_unix_sockets(address):
    assert ("address", address) in addresses_of_callers(config(address=address))
