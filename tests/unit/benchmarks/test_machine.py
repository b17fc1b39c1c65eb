"""Figures say what they were measured on."""

import platform
import subprocess
from pathlib import Path

from twopass.benchmarks.machine import this_machine

ROOT = Path(__file__).parents[3]


def test_the_machine_and_what_runs_on_it_are_named():
    machine = this_machine()
    assert machine.cpu
    assert machine.num_cores >= 1
    assert machine.versions["python"] == platform.python_version()
    assert machine.versions["grpcio"] != "source"
    assert machine.cpu in "\n".join(machine.lines())


def test_the_commit_is_that_of_the_tree_it_was_started_in(monkeypatch):
    monkeypatch.chdir(ROOT)
    if (ROOT / ".git").exists():
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True)
        assert head.startswith(this_machine().commit.removesuffix("-dirty"))


def test_outside_of_such_a_tree_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert this_machine().commit == ""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert this_machine().commit == ""
