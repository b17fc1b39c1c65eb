"""What commands read from the environment, and how they say what is wrong with it."""

import math

import pytest
import trustme
import typer

from twopass.client import errors
from twopass.commands.connecting import (
    api_key,
    in_words_of_commands,
    key_for,
    timeout,
    tls_credentials,
    told_failures,
)
from twopass.commands.terminal.failures import FAILED, NOT_FOUND, TRY_LATER, USAGE

VARIABLES = (
    "TWOPASS_API_KEY",
    "TWOPASS_TIMEOUT",
    "TWOPASS_CA",
    "TWOPASS_CLIENT_CERTIFICATE",
    "TWOPASS_CLIENT_KEY",
)


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def issued(tmp_path):
    """Paths of an authority, a certificate and its key, and of another key."""
    authority = trustme.CA()
    certificates = [authority.issue_cert("client"), authority.issue_cert("other")]
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificates[0].cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificates[0].private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificates[1].private_key_pem.write_to_path(str(tmp_path / "other.pem"))
    return {file.stem: str(file) for file in tmp_path.iterdir()}


def ending(capsys, act):
    """The exit status of what ends the command, and its sentence on one line."""
    with pytest.raises(typer.Exit) as ended:
        act()
    return ended.value.exit_code, " ".join(capsys.readouterr().err.split())


def failing(error):
    with told_failures("search.example:50051"):
        raise error


@pytest.mark.parametrize(
    ("given", "key"),
    [(None, None), ("", None), (" \n", None), ("tp_x", "tp_x"), ("tp_x\n", "tp_x")],
)
def test_the_key_is_that_of_the_environment_without_line_ends(monkeypatch, given, key):
    if given is not None:
        monkeypatch.setenv("TWOPASS_API_KEY", given)
    assert api_key() == key


@pytest.mark.parametrize(
    "target", ["search.example:50051", "10.0.0.1", "dns:///search.example:50051", "unix.example"]
)
def test_a_key_that_goes_to_another_machine_in_plain_text_is_warned_of(monkeypatch, capsys, target):
    monkeypatch.setenv("TWOPASS_API_KEY", "tp_x")
    assert key_for(target) == "tp_x"
    out, told = capsys.readouterr()
    assert out == ""
    said = f"warning: the key in TWOPASS_API_KEY goes to {target} in plain text"
    assert said in " ".join(told.split())
    assert "TWOPASS_CA" in told
    assert "tp_x" not in told


@pytest.mark.parametrize(
    ("target", "variables"),
    [
        ("search.example:50051", {}),
        ("search.example:50051", {"TWOPASS_API_KEY": "tp_x", "TWOPASS_CA": "system"}),
        *((each, {"TWOPASS_API_KEY": "tp_x"}) for each in ("localhost", "127.0.0.1:1", "[::1]:1")),
        *((each, {"TWOPASS_API_KEY": "tp_x"}) for each in ("unix:/run/x", "50051", "http://x")),
    ],
    ids=str,
)
def test_a_key_that_nobody_on_the_way_can_read_is_sent_without_a_word(
    monkeypatch, capsys, target, variables
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert key_for(target) == variables.get("TWOPASS_API_KEY")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("given", "seconds"), [("", 30.0), ("5", 5.0), ("0.5", 0.5), ("0", math.inf)]
)
def test_patience_is_told_in_seconds_and_none_by_zero(monkeypatch, given, seconds):
    monkeypatch.setenv("TWOPASS_TIMEOUT", given)
    assert timeout() == seconds


@pytest.mark.parametrize("given", ["soon", "-1", "nan"])
def test_what_is_no_time_is_named(monkeypatch, capsys, given):
    monkeypatch.setenv("TWOPASS_TIMEOUT", given)
    status, told = ending(capsys, timeout)
    assert status == USAGE
    assert f"TWOPASS_TIMEOUT: '{given}' given, seconds are needed; 0 for no limit" in told


def test_without_variables_plain_text_is_spoken():
    assert tls_credentials() is None


def test_with_authorities_and_a_certificate_of_its_own_it_speaks_tls(monkeypatch, issued):
    monkeypatch.setenv("TWOPASS_CA", "system")
    assert tls_credentials() is not None
    monkeypatch.setenv("TWOPASS_CA", issued["ca"])
    assert tls_credentials() is not None
    monkeypatch.setenv("TWOPASS_CLIENT_CERTIFICATE", issued["cert"])
    monkeypatch.setenv("TWOPASS_CLIENT_KEY", issued["key"])
    assert tls_credentials() is not None


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CA": "/nowhere/ca.pem"}, "TWOPASS_CA: /nowhere/ca.pem: No such file or directory"),
        ({"CA": "{key}"}, "TWOPASS_CA: {key} holds no certificate in PEM form"),
        ({"CLIENT_KEY": "{key}"}, "TWOPASS_CLIENT_CERTIFICATE: unset"),
        ({"CLIENT_CERTIFICATE": "{cert}", "CA": "{ca}"}, "TWOPASS_CLIENT_KEY: unset"),
        ({"CLIENT_CERTIFICATE": "{cert}", "CLIENT_KEY": "{key}"}, "TWOPASS_CA: unset"),
        (
            {"CLIENT_CERTIFICATE": "{cert}", "CLIENT_KEY": "{other}", "CA": "{ca}"},
            "{cert} and {other} are no certificate and its key",
        ),
        (
            {"CLIENT_CERTIFICATE": "{cert}", "CLIENT_KEY": "/nowhere/key", "CA": "{ca}"},
            "TWOPASS_CLIENT_KEY: /nowhere/key: No such file or directory",
        ),
    ],
)
def test_a_variable_of_tls_that_is_wrong_is_named(monkeypatch, capsys, issued, variables, told):
    for name, value in variables.items():
        monkeypatch.setenv(f"TWOPASS_{name}", value.format(**issued))
    status, sentence = ending(capsys, tls_credentials)
    assert status == USAGE
    assert told.format(**issued).replace(" ", "") in sentence.replace(" ", "")


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (errors.InvalidArgumentError("top_n: 0 given"), FAILED, "error: top_n: 0 given"),
        (errors.InternalError("", code=None), FAILED, "error: INTERNAL"),
        (errors.NotFoundError("no such snapshot"), NOT_FOUND, "no such snapshot"),
        (
            errors.NotFoundError(
                "…", reason="COLLECTION_NOT_FOUND", metadata={"collection": "docs"}
            ),
            NOT_FOUND,
            "collection 'docs' does not exist; `twopass collections list` shows those that do",
        ),
        (
            errors.UnavailableError("starting", retry_after=2),
            TRY_LATER,
            "starting; try again in 2 s",
        ),
        (errors.OverloadedError("full", retry_after=0.5), TRY_LATER, "full; try again in 0.5 s"),
        (errors.OverloadedError("message too large"), FAILED, "message too large"),
        (
            errors.DeadlineExceededError("late"),
            TRY_LATER,
            "no answer from search.example:50051 within 30 s: set TWOPASS_TIMEOUT",
        ),
        (errors.UnauthenticatedError("x"), FAILED, "asks for an API key: set TWOPASS_API_KEY"),
        (
            errors.PermissionDeniedError("may not"),
            FAILED,
            "may not (the key is that of TWOPASS_API",
        ),
        (errors.UnimplementedError("Rename"), FAILED, "is older than this command"),
        (
            errors.UnimplementedError("snapshots: not supported", reason="UNSUPPORTED_BY_STORE"),
            FAILED,
            "error: snapshots: not supported",
        ),
        (
            errors.InvalidArgumentError("target: 'x y'", metadata={"field": "target"}),
            USAGE,
            "--target: 'x y'",
        ),
        (
            errors.InvalidArgumentError("api_key: holds", metadata={"field": "api_key"}),
            USAGE,
            "TWOPASS_API_KEY: holds",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_has_its_sentence_and_exit_status(capsys, error, status, told):
    ended, sentence = ending(capsys, lambda: failing(error))
    assert ended == status
    assert told in sentence


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("schema.language: 'xx' given", "--language: 'xx' given"),
        ("schema.chunking.window_tokens: 3 given", "--window-tokens: 3 given"),
        ("changes[0].alias: 'A' given", "alias: 'A' given"),
        ("no snapshot 'a'; ListSnapshots names", "no snapshot 'a'; `twopass snapshot list` names"),
        ("field(s) of a schema.", "field(s) of a schema."),
    ],
)
def test_messages_name_options_and_commands_in_place_of_fields_and_rpcs(message, told):
    assert in_words_of_commands(message) == told


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("CONNECTION_CLOSED", "if the server there speaks TLS, set TWOPASS_CA"),
        ("NOT_TLS", "does not speak TLS: unset TWOPASS_CA, which is '/ca.pem'"),
        ("NOT_TRUSTED", "none of the authorities in TWOPASS_CA, which is '/ca.pem'"),
        ("OTHER_NAME", "is for another name"),
        ("CERTIFICATE_NEEDED", "set TWOPASS_CLIENT_CERTIFICATE and TWOPASS_CLIENT_KEY"),
    ],
)
def test_where_tls_fails_the_variable_to_change_is_named(monkeypatch, capsys, reason, told):
    monkeypatch.setenv("TWOPASS_CA", "/ca.pem")
    error = errors.UnavailableError("credentials", reason=reason)
    status, sentence = ending(capsys, lambda: failing(error))
    assert status == TRY_LATER
    assert told in sentence
    assert "`credentials`" not in sentence
