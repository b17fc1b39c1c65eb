"""How a command ends when something is wrong: one sentence on stderr, exit status 1."""

from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from twopass.commands.terminal.printable import printable_lines


def exit_with(error: Exception | str) -> NoReturn:
    """Prints the reason and ends the command."""
    Console(stderr=True).print(
        f"[bold red]error:[/] {escape(printable_lines(str(error)))}", highlight=False
    )
    raise typer.Exit(1)
