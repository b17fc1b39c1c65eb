"""Why a server does not start, as a person reads it: where, what is wrong, the way out."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SERVE = [sys.executable, "-m", "twopass.commands.start", "serve"]
HELP = "serve --help explains every setting."


def refusal(folder: Path, *flags: str, **environment: str) -> str:
    """What `twopass serve` prints when it refuses to start."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TWOPASS_")}
    ended = subprocess.run(
        [*SERVE, *flags],
        cwd=folder,
        env=bare | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--address", "localhost"], "--address: 'localhost' names no port; give localhost:50051"),
        (["--address", "50051"], "--address: '50051' names no host; give 127.0.0.1:50051"),
        (["--http-address", "http://a:1"], "--http-address: 'http://a:1' is a URL; give host:port"),
        (["--threads", "-1"], "--threads: -1 given; a whole number from 0 to 1,024 is needed"),
        (["--tls-certificate", "c.pem"], "--tls-key: unset; TLS needs both"),
        (
            ["--tls-certificate", "c.pem", "--tls-key", "k.pem"],
            "--tls-certificate c.pem: No such file or directory",
        ),
        (["--data", "/dev/null/data"], "--data /dev/null/data: the folder can't be made"),
        (["--data", "/dev/null"], "--data /dev/null: it is a file; give a folder"),
        (["--config", "none.toml"], "--config none.toml: No such file or directory"),
    ],
)
def test_a_flag_that_is_wrong_is_told_with_where_help_is(tmp_path, flags, told):
    printed = refusal(tmp_path, "--data", "data", *flags)
    assert printed.startswith(f"error: {told}")
    assert printed.rstrip().endswith(HELP)


def test_a_taken_port_is_told_with_its_flag(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        printed = refusal(tmp_path, "--data", "data", "--address", address)
    assert printed.startswith(f"error: --address {address}: can't listen there (Address already in")
    assert "stop what listens there, or give another" in printed


@pytest.mark.parametrize("flag", ["--encoder", "--reranker", "--more-models"])
def test_a_model_that_is_not_there_is_told_with_its_flag_near_names_and_where_others_are(
    tmp_path, flag
):
    printed = refusal(tmp_path, "--address", "127.0.0.1:0", flag, "twopass-minilm-l5")
    assert f"{flag}: model 'twopass-minilm-l5': no folder of that name" in printed
    assert "twopass-minilm-l3" in printed.partition("may be meant")[0].rpartition(";")[2]
    assert "`twopass models recommend` lists public ones" in printed


def test_a_configuration_file_is_told_with_its_line_and_what_may_be_meant(tmp_path):
    (tmp_path / "twopass.toml").write_text('# mine\nmax_docments = 3\nlog_level = "loud"\n')
    printed = refusal(tmp_path, "--config", "twopass.toml")
    assert "twopass.toml, line 2: max_docments: 3 given, but there is no such setting; " in printed
    assert "max_documents" in printed
    assert (
        "twopass.toml, line 3: log_level: 'loud' given; one of debug, info, warning, error is "
        "needed\n"
    ) in printed
    assert printed.rstrip().endswith(HELP)


def test_a_variable_is_told_by_its_name(tmp_path):
    printed = refusal(tmp_path, TWOPASS_LOG_FORMAT="xml")
    assert printed.startswith("error: TWOPASS_LOG_FORMAT: 'xml' given; one of text, json is needed")


def test_a_file_of_keys_is_told_with_line_and_key(tmp_path):
    digest = "0" * 64
    (tmp_path / "keys.toml").write_text(f'[[keys]]\nname="web"\nsha256="{digest}"\nrole="owner"\n')
    printed = refusal(tmp_path, "--address", "127.0.0.1:0", "--keys", "keys.toml")
    assert printed.startswith("error: keys keys.toml, line 4: key 'web': role: 'owner' given; one")
    assert digest not in printed
