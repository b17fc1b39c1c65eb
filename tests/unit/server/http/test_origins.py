"""Which web pages may ask, decided by the headers that browsers send and pages can't set."""

import pytest

from twopass.server.config import ServerConfig
from twopass.server.errors import PermissionDeniedError
from twopass.server.http.origins import Origins

LOOPBACK = "127.0.0.1:8080"
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
TLS = {"tls_certificate": "cert.pem", "tls_key": "key.pem"}


def is_let_in(headers, method="POST", **settings):
    origins = Origins(ServerConfig(**{"http_address": LOOPBACK, **settings}))
    try:
        origins.ensure_may_ask(method, headers)
    except PermissionDeniedError:
        return False
    return True


@pytest.mark.parametrize("method", [*CHANGING, "GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("headers", [{}, {"host": LOOPBACK}, {"host": ""}], ids=str)
def test_programs_send_no_origin_and_are_let_in(method, headers):
    assert is_let_in(headers, method)


@pytest.mark.parametrize("method", CHANGING)
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1:8081",  # another server of this machine
        "http://127.0.0.1",
        "https://127.0.0.1:8080",
        "http://localhost:8080",  # not the host that was asked
        "http://127.0.0.1:8080.evil.example",
        "http://127.0.0.1:80800",
        "null",
        "",
    ],
)
def test_pages_of_other_origins_change_nothing(method, origin):
    assert not is_let_in({"host": LOOPBACK, "origin": origin}, method)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_pages_of_other_origins_get_but_can_not_read_is_answered(method):
    assert is_let_in({"host": LOOPBACK, "origin": "https://evil.example"}, method)


@pytest.mark.parametrize(
    ("host", "origin", "settings"),
    [
        (LOOPBACK, "http://127.0.0.1:8080", {}),
        ("localhost:8080", "http://localhost:8080", {}),
        ("LocalHost:8080", "http://localhost:8080", {}),
        ("[::1]:8080", "http://[::1]:8080", {}),
        ("localhost", "http://localhost", {}),
        ("localhost:80", "http://localhost", {}),
        ("search.example", "https://search.example", TLS),
        ("search.example:443", "https://search.example", TLS),
        ("search.example:8443", "https://search.example:8443", TLS),
    ],
)
def test_the_servers_own_pages_may_ask(host, origin, settings):
    assert is_let_in({"host": host, "origin": origin}, **settings)


@pytest.mark.parametrize(
    ("site", "expected"), [("same-origin", True), ("same-site", False), ("cross-site", False)]
)
def test_behind_a_proxy_the_browsers_word_on_what_is_one_origin_counts(site, expected):
    headers = {"host": LOOPBACK, "origin": "https://search.example", "sec-fetch-site": site}
    assert is_let_in(headers) is expected


@pytest.mark.parametrize(
    "given", ["https://search.example", "https://search.example/", "HTTPS://Search.Example"]
)
def test_an_origin_of_the_flag_is_read_as_browsers_write_it(given):
    settings = {"http_cors_origins": [given]}
    headers = {"host": LOOPBACK, "origin": "https://search.example"}
    assert is_let_in(headers, **settings)
    assert not is_let_in(headers | {"origin": "http://search.example"}, **settings)


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_star_lets_every_page_ask_by_every_name(origin):
    headers = {"host": "evil.example", "origin": origin}
    assert is_let_in(headers, http_cors_origins=["*"])


@pytest.mark.parametrize("method", [*CHANGING, "GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "128.0.0.1:8080",
        "0.0.0.0:8080",
        "[::2]:8080",
        "localhost:8080@evil.example",
        "[::1",
        "localhost:port",
        "a" * 60_000 + ".localhost",
    ],
    ids=lambda host: host[:30],
)
def test_a_name_that_was_made_to_lead_here_is_refused(method, host):
    assert not is_let_in({"host": host, "origin": f"http://{host}"}, method)
    assert not is_let_in({"host": host, "sec-fetch-site": "same-origin"}, method)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "LOCALHOST.:8080",
        "search.localhost:8080",
        "127.0.0.1",
        "127.255.0.9:65535",
        "[::1]",
        "[::1]:8080",
    ],
)
@pytest.mark.parametrize("address", [LOOPBACK, "localhost:0", "[::1]:8080"])
def test_every_name_of_the_loopback_interface_is_taken_with_any_port(host, address):
    assert is_let_in({"host": host}, http_address=address)


def test_the_hosts_of_the_flag_are_taken_too():
    settings = {"http_cors_origins": ["https://search.example"]}
    assert is_let_in({"host": "search.example"}, **settings)
    assert is_let_in({"host": "Search.Example:8080"}, **settings)
    assert not is_let_in({"host": "other.search.example"}, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"keys": "keys.toml"},
        {"http_address": "0.0.0.0:8080", "insecure": True},
        {"http_address": "search.example:8080", "insecure": True},
        {"http_address": "unix:/run/twopass.sock"},
        TLS,
    ],
    ids=str,
)
def test_where_a_name_gives_no_right_any_is_taken(settings):
    assert is_let_in({"host": "search.example:8080"}, **settings)


def test_a_refusal_says_how_to_let_the_page_in():
    origins = Origins(ServerConfig(http_address=LOOPBACK))
    with pytest.raises(
        PermissionDeniedError,
        match=r"^host: 'a.example:1' .*--http-cors-origins http://a.example:1",
    ):
        origins.ensure_may_ask("GET", {"host": "a.example:1"})
    with pytest.raises(
        PermissionDeniedError, match=r"^origin: 'https://a.example' .*origins https://a.example "
    ) as refused:
        origins.ensure_may_ask("POST", {"host": LOOPBACK, "origin": "https://a.example"})
    assert refused.value.facts == {"field": "origin", "value": "https://a.example"}
    with pytest.raises(PermissionDeniedError, match=r"^origin: null .*--http-cors-origins"):
        origins.ensure_may_ask("POST", {"host": LOOPBACK, "origin": "null"})
