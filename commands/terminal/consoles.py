"""Where a command prints: its results on stdout, all that is said beside them on stderr.

A terminal has a width and text is laid out for it. A pipe or a file has none: a row stays on one
line there, however wide, for `grep`, `cut` and `less -S`. Colours follow NO_COLOR, FORCE_COLOR and
TERM, as Rich does.
"""

import os
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from twopass.commands.terminal.printable import printable

_DEFAULT_COLUMNS = 80
# Narrower than this, nothing can be laid out; the terminal breaks lines itself.
_MIN_COLUMNS = 20
_LINES = 25
# Rich breaks or crops every line at the console's width; nothing that is printed is this wide.
_UNBOUNDED = 1_000_000


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at what is written; FORCE_COLOR does not make a pipe a terminal."""
    return stream.isatty()


def terminal_columns(stream: TextIO) -> int:
    """Columns of a terminal: COLUMNS where it is set, else what the terminal says, else 80."""
    try:
        columns = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):  # not a terminal, or a closed or replaced stream
            columns = 0
    return max(_MIN_COLUMNS, columns or _DEFAULT_COLUMNS)


def table_columns(stream: TextIO) -> int | None:
    """Columns that a table may take; None, for as many as it needs, where there is no terminal."""
    return terminal_columns(stream) if is_terminal(stream) else None


def text_columns() -> int:
    """Columns that running text on stdout is broken at, in a pipe too.

    Behind a pipe there may be a pager: the width is that of the terminal which stderr or stdin
    still is.
    """
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        if stream is not None and is_terminal(stream):
            return terminal_columns(stream)
    return terminal_columns(sys.stdout)


def output() -> Console:
    """The console of results: stdout as it is now, whose lines are never broken nor cropped."""
    return _console(sys.stdout)


def messages() -> Console:
    """The console of all that is said beside results: stderr as it is now."""
    return _console(sys.stderr)


def redrawn() -> Console:
    """The console of bars and spinners: stderr as it is now, as wide as the terminal is."""
    return Console(file=sys.stderr, highlight=False)


def literal(text: str, style: str = "") -> Text:
    """Text of a document, a file, a server or a person, on one line: no markup, nothing obeyed."""
    return Text(printable(text), style=style)


def never_fail_to_write() -> None:
    """Has characters that stdout's and stderr's encoding lacks written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _console(stream: TextIO) -> Console:
    # Both are given, since Rich takes a dumb terminal for one of 80 columns whatever it says.
    return Console(file=stream, width=_UNBOUNDED, height=_LINES, highlight=False, soft_wrap=True)
