"""What README lists is complete."""

import re

import typer

from .pages import ROOT


def test_its_table_names_every_command():
    from twopass.commands.main import app

    named = set(re.findall(r"`twopass ([a-z]+)`", (ROOT / "README.md").read_text("utf-8")))
    assert set(typer.main.get_command(app).commands) == named
