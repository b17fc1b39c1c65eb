"""`twopass demo` as a process, over a few passages instead of the standard library's thousands."""

import re
import shlex
import signal
import subprocess
import sys
import urllib.request

import pytest

from twopass.client import Client, Document
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
from twopass.commands.main import app

number = int(sys.argv.pop(1))
demo_documents.passages = lambda: [
    Document(id=f"module.name{n}", title=f"module.name{n}", text=f"Sorts a list in way {n}.")
    for n in range(number)
]
sys.argv[0] = "demo"
app(prog_name="twopass")
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


def test_half_a_collection_is_not_taken_for_whole(server, tmp_path, monkeypatch):
    documents = [Document(id=f"d{n}", title=f"d{n}", text=f"number {n}") for n in range(9)]
    monkeypatch.setattr(demo_documents, "passages", lambda: documents)
    with Client(server.target) as client:
        client.create_collection(COLLECTION)
        client.upsert(COLLECTION, documents[:4])
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
        client.delete_collection(COLLECTION)
