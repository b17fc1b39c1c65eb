"""The README says what is true: its commands and programs run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
# What a test must not do: build an environment, run until it is stopped, need a foreign tool.
ELSEWHERE = re.compile(r"make |twopass serve|grpcurl")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    return [block for block in found if not ELSEWHERE.match(block)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("readme")


def run(command: list[str], folder: Path, target: str) -> str:
    scripts = Path(sys.executable).parent
    environment = os.environ | {
        "TWOPASS_TARGET": target,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def printed(server, folder) -> str:
    """What its commands print, which make the collection that its program searches."""
    (commands,) = blocks("sh")
    return run(["bash", "-euc", commands], folder, server.target)


def test_its_commands_index_and_search(printed):
    assert "3 inserted" in printed
    first = printed.partition("first pass")[2].splitlines()[1]
    assert "strptime" in first


def test_its_program_searches_and_reranks(server, folder, printed):
    (program,) = blocks("python")
    program = program.replace("localhost:50051", server.target)
    output = run([sys.executable, "-c", program], folder, server.target)
    assert "capitals" in output.splitlines()[0]
    assert "complete" in output
    assert output.splitlines()[-1] == "1"


def test_its_table_names_every_command():
    from typer.main import get_command

    from twopass.commands.main import app

    named = set(re.findall(r"`twopass ([a-z]+)`", README.read_text("utf-8")))
    assert set(get_command(app).commands) == named
