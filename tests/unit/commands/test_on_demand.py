import subprocess
import sys

import pytest
from typer.main import get_command

from twopass.commands import on_demand
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


def test_the_list_of_commands_imports_none_of_them():
    found = imported("--help")
    assert not HEAVY & found
    commands = {f"twopass.commands.{name}" for name in ("serve", "search", "collections", "tune")}
    assert not commands & found


def test_the_list_of_commands_says_what_they_say_themselves():
    commands = get_command(app).commands
    listed = list(commands.listed())
    assert [each.name for each in listed] == list(commands)
    for each in listed:
        command = commands[each.name]
        assert each.help.split() == (command.help or "").split()
        assert each.subject == command.rich_help_panel


def test_a_command_without_its_source_is_imported_for_its_help(monkeypatch, tmp_path):
    expected = list(get_command(app).commands.listed())
    monkeypatch.setattr(on_demand, "__file__", str(tmp_path / "on_demand.py"))
    for each, whole in zip(get_command(app).commands.listed(), expected, strict=True):
        assert (each.subject, each.name) == (whole.subject, whole.name)
        assert each.help.split() == whole.help.split()


def test_commands_keep_their_order_and_unknown_ones_are_told():
    commands = get_command(app).commands
    assert list(commands)[:2] == ["serve", "demo"]
    assert len(commands) == len(list(commands))
    assert "search" in commands
    assert "serch" not in commands
    assert commands["search"] is commands["search"]
    with pytest.raises(KeyError):
        commands["serch"]
