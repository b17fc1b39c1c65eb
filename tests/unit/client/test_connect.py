import copy
import pickle

import pytest
import trustme

from twopass.client import AsyncClients, Client, InvalidArgumentError, connect
from twopass.client._channel import Connection


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("TARGET", "API_KEY", "CA", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        monkeypatch.delenv(f"TWOPASS_{name}", raising=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """PEM files: an authority, a certificate of it, its key, and the key of another."""
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    own, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    own.cert_chain_pems[0].write_to_path(folder / "own.pem")
    own.private_key_pem.write_to_path(folder / "own.key")
    other.private_key_pem.write_to_path(folder / "other.key")
    (folder / "text.pem").write_text("no certificate")
    return {file.name: str(file) for file in folder.iterdir()}


def opened(*args, **kwargs) -> Connection:
    with connect(*args, **kwargs) as client:
        return client._connection


def test_what_is_not_given_is_a_server_of_this_machine_without_key_and_tls():
    connection = opened()
    assert connection.target == "localhost:50051"
    assert connection.metadata == ()
    assert connection.credentials is None
    assert connection.timeout == 30.0


def test_what_is_not_given_is_read_from_variables(monkeypatch, files):
    monkeypatch.setenv("TWOPASS_TARGET", "elsewhere:1234")
    monkeypatch.setenv("TWOPASS_API_KEY", " secret\n")
    monkeypatch.setenv("TWOPASS_CA", files["ca.pem"])
    connection = opened()
    assert connection.target == "elsewhere:1234"
    assert connection.metadata == (("authorization", "Bearer secret"),)
    assert connection.credentials is not None


def test_what_is_given_counts_more_than_variables(monkeypatch):
    monkeypatch.setenv("TWOPASS_TARGET", "elsewhere:1234")
    monkeypatch.setenv("TWOPASS_API_KEY", "secret")
    connection = opened("here:1", api_key="own", timeout=None)
    assert connection.target == "here:1"
    assert connection.metadata == (("authorization", "Bearer own"),)
    assert connection.timeout is None


def test_an_empty_variable_is_as_one_that_is_not_set(monkeypatch):
    for name in ("TARGET", "API_KEY", "CA", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        monkeypatch.setenv(f"TWOPASS_{name}", "")
    assert opened() == opened()


def test_the_authorities_of_the_system_are_trusted_by_a_word():
    assert opened(ca="system").credentials is not None


def test_a_certificate_of_the_client_goes_with_its_key(files):
    connection = opened(
        ca=files["ca.pem"], client_certificate=files["own.pem"], client_key=files["own.key"]
    )
    assert connection.credentials is not None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca": "nowhere.pem"}, "ca: nowhere.pem: No such file"),
        ({"ca": "text.pem"}, "ca: .*text.pem holds no certificate in PEM form"),
        ({"client_certificate": "own.pem"}, "client_key: none given"),
        ({"client_key": "own.key"}, "client_certificate: none given"),
        ({"client_certificate": "own.pem", "client_key": "own.key"}, "ca: none given"),
        (
            {"ca": "ca.pem", "client_certificate": "own.pem", "client_key": "other.key"},
            "client_certificate: .* are no certificate and its key",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_files_that_can_not_be_used_are_refused_by_field(files, given, message):
    with pytest.raises(InvalidArgumentError, match=message) as raised:
        connect(**{field: files.get(name, name) for field, name in given.items()})
    assert raised.value.field == message.partition(":")[0]


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["copy", "pickle"]
)
def test_a_copy_connects_anew_as_its_original_did(files, copied):
    original = connect("elsewhere:1", api_key="k", ca=files["ca.pem"], timeout=7)
    original.close()
    client, clients = copied((original, AsyncClients(original)))
    with client:
        assert client._connection.target == "elsewhere:1"
        assert client._connection.metadata == (("authorization", "Bearer k"),)
        assert client._connection.credentials is not None
        assert client._connection.timeout == 7
        assert clients._client is client


def test_a_pickle_does_not_hold_a_key_that_a_variable_has(monkeypatch):
    monkeypatch.setenv("TWOPASS_API_KEY", "secret-key")
    with connect() as client:
        assert b"secret-key" not in pickle.dumps(client)


def test_a_client_with_credentials_says_which_client_can_be_pickled():
    with Client("localhost:1") as client, pytest.raises(TypeError, match="made by twopass"):
        pickle.dumps(client)


def test_no_connection_shows_its_key():
    assert "secret-key" not in repr(opened(api_key="secret-key"))
