import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import AsyncClient, Client, InvalidArgumentError, UnavailableError
from twopass.client._target import (
    authority,
    grpc_target,
    is_balanced,
    is_loopback,
    looked_up,
    shown,
)


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
        ("10.0.0.1, 10.0.0.2:1", "ipv4:10.0.0.1:50051,10.0.0.2:1"),
        ("10.0.0.1,::1", "ipv6:[::ffff:10.0.0.1]:50051,[::1]:50051"),
        ("one, two:1,10.0.0.1", "one:50051,two:1,10.0.0.1:50051"),
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
        ("one:1,,two:2", "host:port is needed"),
        ("one:1,two:0", "its port is '0'"),
        ("one:1,unix:/run/twopass.sock", "a list holds addresses, host:port, without a notation"),
        ("dns:///one:1,two:2", "dns: looks up a single name; write several as host:port,"),
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
        ("ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("ipv4:127.0.0.1:1,10.0.0.1:2", False),
        ("ipv6:[::ffff:127.0.0.1]:1,[::1]:1", True),
        ("localhost:1,search.example:1", False),
    ],
)
def test_which_targets_are_on_this_machine(target, expected):
    assert is_loopback(target) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("search.example:1", True),
        ("dns:///search.example:1", True),
        ("dns://10.0.0.53/search.example:1", True),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.1:2", True),
        ("one:1,two:1", True),
        ("xds:///search", True),
        ("localhost:1", False),
        ("dns:///localhost:1", False),
        ("10.0.0.1:1", False),
        ("[fd00::1]:1", False),
        ("ipv4:10.0.0.1:1", False),
        ("dns:///10.0.0.1:1", False),
        ("unix:/run/x,y", False),
    ],
)
def test_which_targets_may_lead_to_several_servers(target, expected):
    assert is_balanced(target) is expected


def test_names_in_a_list_are_looked_up_and_unknown_ones_left_out_while_one_is_known():
    known = "localhost:1,nobody.invalid:2,10.0.0.1:3"
    assert looked_up(known) == "ipv4:127.0.0.1:1,10.0.0.1:3"
    with pytest.raises(UnavailableError, match="no machine is known by a name in") as raised:
        looked_up("nobody.invalid:1,nothing.invalid:2")
    assert raised.value.reason == "NAME_UNKNOWN"


def test_a_single_name_is_left_to_grpc_which_looks_it_up_again_and_again():
    assert looked_up("search.example:1") == "search.example:1"
    assert looked_up("dns:///search.example:1") == "dns:///search.example:1"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("one:1,two:2", "one:1"),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", "10.0.0.1:1"),
        ("ipv6:[::1]:1,[::2]:2", "[::1]:1"),
        ("search.example:1", None),
        ("unix:/run/a,b", None),
        ("xds:///search", None),
    ],
)
def test_servers_of_a_list_are_addressed_by_the_first_name(target, expected):
    assert authority(target) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("ipv4:10.0.0.1:1,10.0.0.2:2", "10.0.0.1:1, 10.0.0.2:2"),
        ("one:1,two:2", "one:1, two:2"),
        ("search.example:1", "search.example:1"),
        ("ipv4:10.0.0.1:1", "ipv4:10.0.0.1:1"),
    ],
)
def test_errors_name_servers_as_people_write_them(target, expected):
    assert shown(target) == expected


def test_a_mesh_needs_to_be_told_where_its_control_plane_is(monkeypatch):
    for name in ("GRPC_XDS_BOOTSTRAP", "GRPC_XDS_BOOTSTRAP_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidArgumentError, match=r"GRPC_XDS_BOOTSTRAP nor .*_CONFIG") as raised:
        grpc_target("xds:///search")
    assert raised.value.field == "target"
    monkeypatch.setenv("GRPC_XDS_BOOTSTRAP_CONFIG", "{}")
    assert grpc_target("xds:///search") == "xds:///search"


@pytest.mark.parametrize("key", ["a key\n", "schlüssel", "\x00"])
def test_a_key_that_a_header_cannot_carry_is_refused_without_being_shown(key):
    with pytest.raises(InvalidArgumentError, match="api_key: holds characters") as raised:
        Client("localhost:1", api_key=key)
    assert key not in str(raised.value)
