import sys
from pathlib import Path

import pytest

from twopass.commands.terminal.own_command import own_command


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A command in a virtual environment of the folder one is in, as make makes it."""
    command = tmp_path / ".venv" / "bin" / "twopass"
    command.parent.mkdir(parents=True)
    command.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin")
    return command


@pytest.mark.parametrize("started", [".venv/bin/twopass", "{folder}/.venv/bin/twopass"])
def test_a_command_that_no_shell_finds_is_typed_by_its_path(made, tmp_path, monkeypatch, started):
    monkeypatch.setattr(sys, "argv", [started.format(folder=tmp_path), "demo"])
    assert own_command() == ".venv/bin/twopass"


def test_one_of_another_folder_is_typed_by_its_whole_path(made, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "argv", [str(made), "demo"])
    assert own_command() == str(made)


def test_one_that_the_shell_finds_is_typed_by_its_name(made, monkeypatch):
    monkeypatch.setenv("PATH", str(made.parent))
    monkeypatch.setattr(sys, "argv", [str(made), "demo"])
    assert own_command() == "twopass"


def test_another_installation_that_the_shell_finds_is_not_taken_for_this_one(
    made, tmp_path, monkeypatch
):
    other = tmp_path / "other" / "twopass"
    other.parent.mkdir()
    other.touch(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.setattr(sys, "argv", [".venv/bin/twopass"])
    assert own_command() == ".venv/bin/twopass"


def test_a_module_is_run_by_the_same_python(made, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/commands/main.py"])
    monkeypatch.setattr(sys, "executable", str(Path(tmp_path) / ".venv/bin/python"))
    assert own_command() == ".venv/bin/python -m twopass.commands.start"
