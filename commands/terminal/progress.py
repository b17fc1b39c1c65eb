"""Progress bars on stderr; in a pipe and on a dumb terminal they show nothing until the end."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from twopass.commands.terminal.consoles import is_terminal, redrawn, terminal_columns
from twopass.commands.terminal.printable import printable

_Item = TypeVar("_Item")

_WIDEST_BAR = 40


def progress_bar(*columns: ProgressColumn, transient: bool = True) -> Progress:
    """A bar of what is done between the task's description and the time that remains.

    Args:
        columns: Shown between the bar and the time that remains.
        transient: Whether the bar vanishes when all is done.
    """
    return redrawn_row(
        plain_column("{task.description}"),
        BarColumn(bar_width=min(_WIDEST_BAR, terminal_columns(sys.stderr) // 4)),
        *columns,
        TimeRemainingColumn(),
        transient=transient,
    )


def redrawn_row(
    *columns: ProgressColumn, transient: bool = True, is_terminal_wide: bool = False
) -> Progress:
    """A row of columns that is drawn again and again.

    Args:
        columns: From left to right.
        transient: Whether the row vanishes when all is done; without a terminal it then never is.
        is_terminal_wide: Whether a bar among the columns takes the width that the others leave.
    """
    return Progress(
        *columns,
        console=redrawn(),
        transient=transient,
        expand=is_terminal_wide,
        disable=transient and not is_terminal(sys.stderr),
    )


def plain_column(form: str) -> TextColumn:
    """A column of text that is taken literally, as `form` of a `task` makes it.

    What comes from documents or files goes through `printable` before it becomes part of a task.
    """
    return TextColumn(form, markup=False)


def track(items: Iterable[_Item], description: str, total: int) -> Iterator[_Item]:
    """Yields the items while a bar shows how many of them were taken."""
    with progress_bar() as progress:
        yield from progress.track(items, total=total, description=printable(description))
