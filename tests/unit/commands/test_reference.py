"""docs/commands.md is what the help of the commands says today."""

import re
from pathlib import Path

from twopass.commands.reference import reference

PAGE = Path(__file__).parents[3] / "docs/commands.md"


def test_the_page_of_the_commands_is_current():
    assert PAGE.read_text("utf-8") == reference(), (
        "make it anew: python -m twopass.commands.reference > docs/commands.md"
    )


def test_every_link_of_its_index_leads_to_a_heading():
    lines = reference().splitlines()
    rows = [line for line in lines if line.startswith("| [`")]
    linked = [row.partition("](#")[2].partition(")")[0] for row in rows]
    headings = [line[3:].replace(" ", "-") for line in lines if line.startswith("## ")]
    assert linked == headings


def test_every_row_of_its_index_says_what_the_command_does():
    rows = [line for line in reference().splitlines() if line.startswith("| [`")]
    assert all(re.fullmatch(r"\| \[`[a-z ]+`\]\(#[a-z-]+\) \| [A-Z].{10,} \|", row) for row in rows)
