"""What the command line says of mistakes: names, targets, keys; and what the tab key offers."""

import os
import subprocess
import sys

import pytest

from twopass.client import Client, Document
from twopass.server.edge.keys import make_key

from ..command_line import invoke
from ..serving import Server
from .saying import COMMAND, said


def test_versions_are_told_for_a_report_of_a_fault():
    told = invoke("--version").stdout
    assert told.startswith("twopass 0.")
    for name in ("twopass-client 0.", "core ", "Python 3."):
        assert f"\n{name}" in told


def test_a_misspelled_command_names_the_one_that_is_meant():
    assert "'search'" in said(invoke("serch", "docs", "q"))
    assert "'show'" in said(invoke("collections", "shw", "docs"))


def test_a_command_that_is_below_another_or_an_option_is_named_there():
    assert "collections list`" in said(invoke("list"))
    assert "collections show`" in said(invoke("show", "docs"))
    assert "--version`" in said(invoke("version"))
    assert "--help`" in said(invoke("help"))


def ran(*arguments: str, **variables: str) -> tuple[int, str]:
    ended = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return ended.returncode, " ".join(ended.stderr.split())


def test_where_nothing_listens_a_command_says_how_a_server_is_started():
    status, told = ran("collections", "list", "--target", "localhost:1")
    assert status == 3
    assert told == (
        "error: connection refused: is a server running at localhost:1? start one with: "
        "twopass serve --address localhost:1"
    )


@pytest.mark.parametrize("given", ["http://localhost:50051", "localhost:http", "a b"])
def test_what_is_no_target_is_a_mistake_of_the_flag_or_the_variable_that_has_it(given):
    for flag, variable, named in (
        (("--target", given), {}, "--target"),
        ((), {"TWOPASS_TARGET": given}, "TWOPASS_TARGET"),
        (("--target", given), {"TWOPASS_TARGET": "localhost:1"}, "--target"),
    ):
        status, told = ran("info", *flag, **variable)
        assert status == 2
        assert told.startswith(f"error: {named}: '{given}' given")


def test_the_http_port_given_by_mistake_is_told_as_one(tmp_path):
    with Server(tmp_path / "data", gated=False, http_address="127.0.0.1:0") as both:
        status, told = ran("models", "--target", both.http_target)
    assert status == 3
    assert "speaks HTTP but not gRPC" in told
    assert told.startswith("error:")


def test_a_key_that_may_not_write_is_told_by_its_variable(tmp_path):
    key = make_key()
    file = tmp_path / "keys.toml"
    file.write_text(f'[[keys]]\nname = "web"\nsha256 = "{key.sha256}"\nrole = "reader"\n')
    with Server(tmp_path / "data", gated=False, keys=str(file)) as closed:
        status, told = ran(
            *("collections", "create", "docs", "--target", closed.target),
            TWOPASS_API_KEY=f"{key.secret}\n",
        )
    assert status == 1
    assert "(the key is that of TWOPASS_API_KEY)" in told


def test_a_server_that_does_not_answer_in_time_is_given_up(tmp_path):
    with Server(tmp_path / "data") as server, Client(server.target) as client:
        client.create_collection("docs")
        client.upsert("docs", [Document("a", "text")])
        server.encoder.gate.clear()
        status, told = ran(
            *("search", "docs", "q", "--mode", "dense", "--target", server.target),
            TWOPASS_TIMEOUT="1",
        )
        server.encoder.gate.set()
    assert status == 3
    assert "within 1 s" in told or "deadline" in told.lower()


def completed(line: str, **variables: str) -> list[str]:
    """What the shell is offered where a person presses Tab after `line`."""
    program = "import sys; from twopass.commands.main import app; app(prog_name='twopass')"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "_TWOPASS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        }
        | variables,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


def test_the_tab_key_completes_commands_options_and_names_of_collections(client, docs):
    client.update_aliases({f"{docs}-live": docs})
    assert completed("twopass sea") == ["search"]
    assert completed("twopass search --mo") == ["--mode"]
    assert completed(f"twopass search {docs}") == [docs, f"{docs}-live"]
    assert completed(f"twopass collections show {docs}-l") == [f"{docs}-live"]


@pytest.mark.parametrize(
    "wrong", [{"TWOPASS_TARGET": "localhost:1"}, {"TWOPASS_CA": "/nowhere"}], ids=str
)
def test_where_no_server_can_be_asked_the_tab_key_offers_no_name_and_says_nothing(wrong):
    assert completed("twopass search d", **wrong) == []
