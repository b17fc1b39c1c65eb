"""`twopass demo` as a process, over a few passages instead of the standard library's thousands."""

import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress

import pytest
import typer

from twopass.client import Client, Document, NotFoundError
from twopass.commands import demo_documents
from twopass.commands.demo_documents import COLLECTION, filled

from .processes import WAYS, command

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="finds processes in /proc, which Linux alone has"
)

DEMO = """
import sys
from twopass.client import Document
from twopass.commands import demo_documents
from twopass.commands.start import run

number = int(sys.argv.pop(1))
demo_documents.passages = lambda: [
    Document(id=f"module.name{n}", title=f"module.name{n}", text=f"Sorts a list in way {n}.")
    for n in range(number)
]
sys.argv[0] = "demo"
run()
"""
STAYS = "The server stays up until you press Ctrl-C."


def demo(*flags: str, passages: int = 12) -> list[str]:
    return ["-c", DEMO, str(passages), "demo", "--question", "How is a list sorted?", *flags]


@pytest.mark.parametrize("way", WAYS)
def test_in_a_terminal_it_keeps_the_page_up_until_it_is_ended_in_whatever_way(tmp_path, way):
    with command(demo(), tmp_path) as running:
        running.wait_until_printed(STAYS)
        (page,) = re.findall(r"^ +(http://127\.0\.0\.1:\d+/ui)\s*$", running.printed, re.M)
        with urllib.request.urlopen(page) as answer:
            assert answer.status == 200
            assert "text/html" in answer.headers["content-type"]
        WAYS[way](running)
        running.wait_until_nothing_is_left()
        assert "Traceback" not in running.printed
        if way in ("Ctrl-C", "SIGTERM"):
            assert running.process.returncode == 0
        if way == "Ctrl-C":
            assert running.printed.rstrip().endswith("the next run starts with them.")


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM", "SIGKILL", "its terminal's end"])
def test_interrupted_while_it_indexes_it_leaves_nothing_running_and_goes_on_afterwards(
    tmp_path, way
):
    with command(demo(passages=4_000), tmp_path) as running:
        running.wait_until_printed("indexing")
        WAYS[way](running)
        running.wait_until_nothing_is_left()
        assert "Traceback" not in running.printed
    with command(demo("--no-stay"), tmp_path) as running:
        running.wait_until_nothing_is_left()
        assert running.process.returncode == 0, running.printed
        assert "How is a list sorted?" in running.printed


def test_in_a_pipe_it_ends_by_itself_and_says_how_a_server_is_started(tmp_path):
    with command(demo(), tmp_path, on_terminal=False) as running:
        running.wait_until_nothing_is_left()
        assert running.process.returncode == 0
        assert STAYS not in running.printed
        (line,) = re.findall(r"^ +(.* serve --data .*)$", running.printed, re.M)
    # The line runs as it is printed: with --show-config, so that no server stays.
    ended = subprocess.run(
        ["bash", "-c", f"{line} --show-config"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert 'http_address = "127.0.0.1:8080"' in ended.stdout
    assert f"data = {shlex.quote('.cache/demo')}".replace("'", "") in ended.stdout.replace('"', "")


def test_stay_and_no_stay_override_what_the_terminal_decides(tmp_path):
    with command(demo("--no-stay"), tmp_path) as running:
        running.wait_until_nothing_is_left()
        assert STAYS not in running.printed
    with command(demo("--stay"), tmp_path, on_terminal=False) as running:
        running.wait_until_printed(STAYS)
        assert "are there from an earlier run" in running.printed
        running.process.send_signal(signal.SIGTERM)
        running.wait_until_nothing_is_left()
        assert running.process.returncode == 0


@pytest.fixture
def client(server):
    with Client(server.target) as client:
        yield client
        with suppress(NotFoundError):
            client.delete_collection(COLLECTION)


@pytest.fixture
def documents(monkeypatch):
    """Nine passages, which the demo takes for those of the standard library."""
    made = [Document(id=f"d{n}", title=f"d{n}", text=f"number {n}") for n in range(9)]
    monkeypatch.setattr(demo_documents, "passages", lambda: made)
    return made


def interrupted_after(number, monkeypatch):
    """Has the next run of the demo end when it has written so many passages."""
    upsert = demo_documents._upsert

    def interrupted(client, documents):
        monkeypatch.setattr(demo_documents, "_upsert", upsert)
        upsert(client, documents[:number])
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_documents, "_upsert", interrupted)


def test_half_a_collection_is_not_taken_for_whole(client, documents, tmp_path, monkeypatch):
    interrupted_after(4, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        filled(client, tmp_path)
    told = filled(client, tmp_path)
    assert told.startswith("5 passages")
    assert "4 were there from a run that was interrupted" in told
    assert client.get_collection(COLLECTION).num_documents == 9
    assert filled(client, tmp_path) == "9 passages are there from an earlier run"

    # Those of another version of Python are replaced.
    monkeypatch.setattr(demo_documents.platform, "python_version", lambda: "4.0")
    monkeypatch.setattr(demo_documents, "passages", lambda: documents[:2])
    assert filled(client, tmp_path).startswith("2 passages tokenised")
    assert client.get_collection(COLLECTION).num_documents == 2


@pytest.mark.parametrize("step", ["create_collection", "get_collection"])
def test_a_demo_that_ended_while_it_made_its_collection_is_gone_on_with(
    client, documents, tmp_path, monkeypatch, step
):
    call = getattr(client, step)
    answers = iter([False, True])

    def end(*arguments):
        if step == "get_collection" and next(answers) is False:
            return call(*arguments)
        if step == "create_collection":
            call(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(client, step, end)
        with pytest.raises(KeyboardInterrupt):
            filled(client, tmp_path)
    assert filled(client, tmp_path).startswith("9 passages tokenised")


def ended_by(act, capsys):
    with pytest.raises(typer.Exit) as ended:
        act()
    assert ended.value.exit_code == 1
    return " ".join(capsys.readouterr().err.split())


def test_a_collection_of_a_user_s_own_stays_as_it_is(client, documents, tmp_path, capsys):
    refused = "was not made by the demo, and stays as it is; give the demo a folder of its own"
    client.create_collection(COLLECTION)
    client.upsert(COLLECTION, [Document("mine", "text")])
    before = client.get_collection(COLLECTION)
    assert refused in ended_by(lambda: filled(client, tmp_path), capsys)
    assert client.get_collection(COLLECTION) == before

    # Nor is one that took the place of the demo's, in a folder where the demo has been.
    client.delete_collection(COLLECTION)
    filled(client, tmp_path)
    client.delete_collection(COLLECTION)
    client.create_collection(COLLECTION)
    client.upsert(COLLECTION, [Document("mine", "text")])
    assert refused in ended_by(lambda: filled(client, tmp_path), capsys)
    assert client.count(COLLECTION) == 1

    # Nor is one that has another name of its own.
    client.rename_collection(COLLECTION, f"{COLLECTION}-mine", keep_alias=True)
    assert refused in ended_by(lambda: filled(client, tmp_path), capsys)
    client.update_aliases({COLLECTION: None})
    assert filled(client, tmp_path).startswith("9 passages tokenised")
    assert client.count(f"{COLLECTION}-mine") == 1
    client.delete_collection(f"{COLLECTION}-mine")


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"created": "yesterday"}', "\0"])
def test_a_file_that_says_nothing_of_the_collection_gives_it_to_nobody(
    client, documents, tmp_path, capsys, content
):
    (tmp_path / f"{COLLECTION}-demo.json").write_text(content)
    client.create_collection(COLLECTION)
    assert "was not made by the demo" in ended_by(lambda: filled(client, tmp_path), capsys)
    assert client.count(COLLECTION) == 0
