"""How a command ends when something is wrong: one sentence on stderr, exit status 1."""

from typing import NoReturn

import typer
from rich.text import Text

from twopass.commands.terminal.printable import printable_lines
from twopass.commands.terminal.sentences import say_beside


def exit_with(error: Exception | str) -> NoReturn:
    """Prints the reason and ends the command.

    Reasons hold text of documents, files and servers: they are taken literally, and control
    characters in them are shown, never sent.
    """
    say_error(str(error))
    raise typer.Exit(1)


def say_error(reason: str) -> None:
    """Prints what is wrong, and lets the command go on."""
    say_beside(Text("error: ", style="bold red"), printable_lines(reason))
