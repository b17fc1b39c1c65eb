"""The example, as its reader runs it."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twopass.client import Client, NotFoundError

EXAMPLE = Path(__file__).parent.parent / "example.py"


@pytest.fixture
def _own_collection(client: Client):
    yield
    with contextlib.suppress(NotFoundError):
        client.delete_collection("langchain-example")


def run(target: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        env=os.environ | {"TWOPASS_TARGET": target},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.usefixtures("_own_collection")
def test_the_example_answers_from_its_own_passages(target):
    said = run(target)
    assert "second pass: complete" in said
    quoted = "According to [1]: Canberra is the capital city of Australia;"
    assert f"sync:  {quoted}" in said
    assert f"async: {quoted}" in said
    assert "rerank: canberra" in said


def test_the_example_answers_from_another_collection(target, facts):
    said = run(target, "--collection", facts, "How do I parse a date?")
    assert "According to [1]: strptime datetime.strptime(text, format) parses" in said
