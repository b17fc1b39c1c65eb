"""Everything that commands print goes through the room that makes it printable."""

import ast
from pathlib import Path

import pytest

from twopass import commands

FOLDER = Path(commands.__file__).parent
# Bars and a spinner beside which only the command's own words stand.
WITH_BARS = {"transfer/progress.py", "demo_documents.py"}
MODULES = {
    str(file.relative_to(FOLDER)): file
    for file in sorted(FOLDER.rglob("*.py"))
    if file.parent != FOLDER / "terminal"
}
PRINTERS = {"rich.console", "rich.markup", "rich.panel", "rich.table", "rich.markdown"}


@pytest.mark.parametrize("name", MODULES)
def test_no_command_prints_tables_or_markup_of_its_own(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    allowed = {"rich.console"} if name in WITH_BARS else set()
    assert not imported & PRINTERS - allowed
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "print" not in called
