"""Everything that commands print goes through the room that makes it printable."""

import ast
from pathlib import Path

import pytest

from twopass import commands

FOLDER = Path(commands.__file__).parent
MODULES = {
    str(file.relative_to(FOLDER)): file
    for file in sorted(FOLDER.rglob("*.py"))
    if file.parent != FOLDER / "terminal"
}
PRINTERS = {"rich.console", "rich.markup", "rich.panel", "rich.table", "rich.markdown"}
BARS = {"rich.live", "rich.status", "twopass.evaluation.progress"}


@pytest.mark.parametrize("name", MODULES)
def test_no_command_prints_tables_or_markup_or_bars_of_its_own(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & (PRINTERS | BARS)
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "print" not in called


@pytest.mark.parametrize("name", MODULES)
def test_the_exit_status_of_ctrl_c_has_one_name(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    values = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert 130 not in values
