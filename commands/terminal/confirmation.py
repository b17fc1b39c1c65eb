"""Asking a person before something that can't be undone; a script says it beforehand."""

import sys
from typing import Annotated

import typer

from twopass.commands.terminal.consoles import is_terminal
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.printable import printable

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Don't ask; needed where no terminal can be asked.")
]


def confirm(what: str, *, is_certain: bool) -> None:
    """Ends the command unless a person agrees, or has agreed beforehand by `--yes`.

    Without a terminal nothing is asked, since a script would wait for ever.

    Args:
        what: What would be done, such as "delete collection docs with 5 documents for good".
        is_certain: Whether `--yes` was given.
    """
    if is_certain:
        return
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        exit_with(f"{what}? give --yes to do so; there is no terminal to ask", USAGE)
    if not typer.confirm(printable(f"{what[:1].upper()}{what[1:]}?"), err=True):
        exit_with("nothing was changed")


def ensure_unchanged(agreed: object, found: object) -> None:
    """Ends the command where what a person agreed to is no longer what there is.

    Others may change things while a person thinks. No rpc takes a condition by state, so that what
    there is is looked at again right before the call: between the two, a moment is left.

    Args:
        agreed: The state of what was asked about, when it was asked.
        found: Its state after the answer.
    """
    if found != agreed:
        exit_with(
            "others have changed meanwhile what you were asked about; nothing was done. Give the "
            "command again to see what it would do now"
        )
