"""How a command ends when something is wrong: one sentence on stderr, and an exit status."""

from typing import NoReturn

import typer
from rich.text import Text

from twopass.commands.terminal.printable import printable_lines
from twopass.commands.terminal.sentences import say_beside

FAILED = 1
"""The exit status of what was refused or failed."""
USAGE = 2
"""That of a command that was given wrongly, as the parser of options uses it too."""
TRY_LATER = 3
"""That of a server that is out of reach, not ready, full or late: the same may work later."""
NOT_FOUND = 4
"""That of a collection, document, snapshot or model that does not exist."""
TOO_LOW = 5
"""That of measured quality that is below a limit or has become worse, or of slow searches."""
INTERRUPTED = 130
"""That of a command that Ctrl-C ended, as a shell tells of it: 128 and SIGINT."""


def exit_with(error: Exception | str, status: int = FAILED) -> NoReturn:
    """Prints the reason and ends the command with an exit status.

    Reasons hold text of documents, files and servers: they are taken literally, and control
    characters in them are shown, never sent.
    """
    say_error(str(error))
    raise typer.Exit(status)


def say_error(reason: str) -> None:
    """Prints what is wrong, and lets the command go on."""
    say_beside(Text("error: ", style="bold red"), printable_lines(reason))
