import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import AsyncClient, Client, InvalidArgumentError
from twopass.client._target import grpc_target, is_loopback


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("localhost:50051", "localhost:50051"),
        ("localhost", "localhost:50051"),
        (":8000", "localhost:8000"),
        ("8000", "localhost:8000"),
        ("search.example", "search.example:50051"),
        ("search.example:443", "search.example:443"),
        (" localhost:50051\n", "localhost:50051"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
        ("[fe80::1%eth0]:65535", "[fe80::1%eth0]:65535"),
        ("unix:/run/twopass.sock", "unix:/run/twopass.sock"),
        ("dns:///search.example:443", "dns:///search.example:443"),
    ],
)
def test_a_target_is_completed_where_it_can_mean_one_thing_only(written, meant):
    assert grpc_target(written) == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "target: '' given, host:port is needed, as in localhost:50051"),
        ("http://search.example:8080/x", "without http://; .* as in search.example:50051"),
        ("https://user@search.example", "without https://; .* as in search.example:50051"),
        ("/run/twopass.sock", "or unix:PATH for a socket"),
        ("localhost:", "its port is '', a number from 1 to 65535"),
        ("localhost:http", "its port is 'http', a number"),
        ("localhost:65536", "its port is '65536', a number"),
        ("localhost:0", "its port is '0', a number"),
        ("a host:50051", "host:port is needed"),
        ("one:1,two:2", "host:port is needed"),
    ],
)
@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_what_is_no_target_is_refused_when_the_client_is_made(make, written, told):
    with pytest.raises(InvalidArgumentError, match=told) as raised:
        make(written)
    assert raised.value.field == "target"


def test_a_target_of_another_type_is_a_mistake_in_the_type():
    with pytest.raises(TypeError, match="target: a str is needed, NoneType given"):
        Client(None)


@given(st.text(max_size=20))
def test_any_text_is_a_whole_target_or_refused(text):
    try:
        target = grpc_target(text)
    except InvalidArgumentError:
        return
    assert grpc_target(target) == target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:1", True),
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("dns:///localhost:1", True),
        ("unix:/run/x", True),
        ("unix-abstract:x", True),
        ("unix.example:1", False),
        ("localhost.example:1", False),
        ("10.0.0.1:1", False),
    ],
)
def test_which_targets_are_on_this_machine(target, expected):
    assert is_loopback(target) is expected


@pytest.mark.parametrize("key", ["a key\n", "schlüssel", "\x00"])
def test_a_key_that_a_header_cannot_carry_is_refused_without_being_shown(key):
    with pytest.raises(InvalidArgumentError, match="api_key: holds characters") as raised:
        Client("localhost:1", api_key=key)
    assert key not in str(raised.value)
