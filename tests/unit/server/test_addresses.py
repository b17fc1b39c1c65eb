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
    with pytest.raises(ConfigError, match=f"tei_address: .*{problem}"):
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
        ({"tei_address": ["h:1", "h:1=m"]}, "tei_address: h:1 is given twice"),
        ({"tei_address": ["127.0.0.1:50051"]}, "127.0.0.1:50051 is given by address too"),
        ({"http_address": "h:1", "metrics_address": "h:1"}, "metrics_address: .* by http_address"),
    ],
)
def test_one_thing_listens_at_an_address(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        addresses_of_callers(config(**settings))


def test_ports_that_the_system_chooses_may_be_given_several_times():
    addresses_of_callers(config(address="127.0.0.1:0", tei_address=["127.0.0.1:0", "127.0.0.1:0"]))
