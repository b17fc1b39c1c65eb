"""Tables and sentences as Markdown, for pages and for the summaries of pipelines."""

import re
import sys

from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.tables import Table

# What Markdown would read as markup in a cell or a sentence.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~])")


def print_markdown(*parts: str) -> None:
    """Prints paragraphs, lists and tables of Markdown on stdout."""
    sys.stdout.write("\n\n".join(parts) + "\n")
    sys.stdout.flush()


def markdown_table(table: Table) -> str:
    """A table in the form that GitHub, GitLab and most others render, its title above in bold."""
    heads = [literal_markdown(column.head) for column in table.columns]
    rules = ["---:" if column.is_figure else "---" for column in table.columns]
    rows = [[literal_markdown(cell.plain.strip()) for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, rules, *rows)]
    title = [f"**{literal_markdown(table.title)}**", ""] if table.title else []
    return "\n".join([*title, *lines])


def literal_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", printable(text))
