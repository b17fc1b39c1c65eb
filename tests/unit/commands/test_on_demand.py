import subprocess
import sys

import pytest
from typer.main import get_command

from twopass.commands.main import app

HEAVY = {"faiss", "numpy", "onnx", "pyarrow", "twopass._core", "twopass.server"}


def imported(*arguments: str) -> set[str]:
    """What is imported once a command line has been run."""
    program = (
        "import sys\n"
        "from twopass.commands.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["search", "rerank", "get", "delete", "collections", "alias"])
def test_a_command_that_asks_a_server_imports_nothing_that_computes(command):
    assert not HEAVY & imported(command, "--help")


def test_commands_keep_their_order_and_unknown_ones_are_told():
    commands = get_command(app).commands
    assert list(commands)[:2] == ["serve", "demo"]
    assert len(commands) == len(list(commands))
    assert "search" in commands
    assert "serch" not in commands
    assert commands["search"] is commands["search"]
    with pytest.raises(KeyError):
        commands["serch"]
