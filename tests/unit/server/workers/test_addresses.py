"""Where engines apart are: what may be given, what is refused, and what a name stands for."""

import socket

import pytest

from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config
from twopass.server.workers.addresses import Place, places_of


def places(*given: str, **settings: object) -> list[Place]:
    return places_of(load_config({"engines": given, **settings}))


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("localhost:5", "localhost", 5),
        ("127.0.0.1:5", "127.0.0.1", 5),
        ("[::1]:5", "[::1]", 5),
        ("dns:///localhost:5", "localhost", 5),
        ("dns:localhost:5", "localhost", 5),
        ("localhost", "localhost", 50051),
    ],
)
def test_a_place_is_a_host_and_a_port(given, host, port):
    assert places(given) == [Place(given, host, port)]


def test_several_places_are_given_with_commas_or_several_times_and_once_each():
    found = places("127.0.0.1:1, 127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:1")
    assert [place.port for place in found] == [1, 2, 3]


def test_a_unix_socket_is_a_place():
    assert places("unix:/run/engine") == [Place("unix:/run/engine")]


@pytest.mark.parametrize("given", ["", "http://host:5", "host:", "host:x", "host:70000", "a b:5"])
def test_what_is_no_place_is_refused_with_what_would_be_one(given):
    with pytest.raises(ConfigError, match="--engines: "):
        places(given, insecure=True)


def test_another_machine_is_refused_in_plain_text_unless_that_is_allowed():
    with pytest.raises(
        ConfigError, match=r"--engines: dns:///far:5 is another machine.*--insecure"
    ):
        places("dns:///far:5")
    assert places("dns:///far:5", insecure=True)
    assert places("dns:///far:5", engines_ca="ca.pem")


def test_a_certificate_needs_its_key_and_an_authority():
    with pytest.raises(ConfigError, match="--engines-certificate and --engines-certificate-key"):
        places("localhost:1", engines_certificate="c.pem", engines_ca="ca.pem")
    with pytest.raises(ConfigError, match="--engines-ca is not"):
        places("localhost:1", engines_certificate="c.pem", engines_certificate_key="k.pem")


def test_a_certificate_has_to_be_for_the_name_that_was_given_but_not_for_an_address():
    assert Place("dns:///far:5", "far", 5).name == "far"
    assert Place("10.0.0.1:5", "10.0.0.1", 5).name == ""


async def test_a_name_stands_for_all_its_addresses_those_of_ipv4_where_there_are_both(monkeypatch):
    import asyncio

    async def found(*_: object, **__: object):
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, 5))
            for family, address in (
                (socket.AF_INET6, "fd00::1"),
                (socket.AF_INET, "10.0.0.2"),
                (socket.AF_INET, "10.0.0.1"),
                (socket.AF_INET, "10.0.0.1"),
            )
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    assert await Place("far:5", "far", 5).targets() == ["10.0.0.1:5", "10.0.0.2:5"]


async def test_an_address_of_ipv6_alone_stands_in_brackets():
    assert await Place("[::1]:5", "[::1]", 5).targets() == ["[::1]:5"]
