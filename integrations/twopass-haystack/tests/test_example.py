"""The example runs as its page says, against a server that is already there."""

import subprocess
import sys
from pathlib import Path

import pytest

from twopass.client import Client

EXAMPLE = Path(__file__).parents[1] / "example.py"


@pytest.mark.parametrize("arguments", [(), ("Where does honey come from?",)], ids=["", "honey"])
def test_the_example_answers(target: str, client: Client, arguments: tuple[str, ...]) -> None:
    environment = {"TWOPASS_TARGET": target, "HAYSTACK_TELEMETRY_ENABLED": "False"}
    done = subprocess.run(
        [sys.executable, EXAMPLE, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stderr
        answer = "Bees make honey" if arguments else "The moon pulls at the sea"
        replies = [line for line in done.stdout.splitlines() if answer in line]
        assert [line.split(":")[0] for line in replies] == ["sync", "async"]
        assert "second pass: complete" in done.stdout
    finally:
        client.delete_collection("haystack-example")
