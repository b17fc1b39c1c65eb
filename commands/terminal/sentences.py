"""Sentences for people: broken at spaces to fit a terminal, whole in a pipe."""

import re
import sys
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from twopass.commands.terminal.consoles import messages, output, table_columns
from twopass.commands.terminal.printable import printable_lines

# What no line is broken within, and the spaces after it: a word, or one character of the scripts
# that are written without spaces.
_SPACELESS = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\U00020000-\U0003fffd"
_WORD = re.compile(f"([{_SPACELESS}]|[^\\s{_SPACELESS}]+|(?=\\s))(\\s*)")


def say(*parts: str | Text, indent: int = 0) -> None:
    """Prints a sentence of a result on stdout.

    Args:
        parts: Joined as they are. A `str` is taken literally, and control characters in it are
            shown, never sent; styles come as Rich's `Text`, see `literal`.
        indent: Spaces before every line.
    """
    _print(output(), sys.stdout, _joined(parts), indent)


def say_beside(*parts: str | Text, indent: int = 0) -> None:
    """Prints a sentence on stderr, beside the result; parts are those of `say`."""
    _print(messages(), sys.stderr, _joined(parts), indent)


def say_exactly(*parts: str | Text) -> None:
    """Prints a line on stdout that is to be copied, such as a path or a command: never broken."""
    output().print(_joined(parts))


def counted(count: int, thing: str) -> str:
    """A number of things in words: "1 document", "2,000 documents"."""
    return f"1 {thing}" if count == 1 else f"{count:,} {thing}s"


def broken_lines(text: Text, columns: int, *, is_folded: bool = False) -> list[Text]:
    """Breaks text at spaces into lines of at most so many columns.

    A word that is longer stays whole on a line of its own, and the terminal breaks it, so that it
    can be copied; with `is_folded` it is broken here, as beside other columns it must be.
    """
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        lines += line.divide(_breaks(line.plain, columns, is_folded))
    for line in lines:
        line.rstrip()
    return lines


def _breaks(line: str, columns: int, is_folded: bool) -> list[int]:
    """Where lines begin within a line, in characters."""
    breaks: list[int] = []
    taken = 0
    for found in _WORD.finditer(line):
        width = cell_len(found[1])
        if taken and taken + width > columns:
            breaks.append(found.start())
            taken = 0
        if is_folded and width > columns:
            for at, part in enumerate(found[1], found.start()):
                if taken and taken + cell_len(part) > columns:
                    breaks.append(at)
                    taken = 0
                taken += cell_len(part)
            taken += cell_len(found[2])
        else:
            taken += width + cell_len(found[2])
    return breaks


def _print(console: Console, stream: TextIO, text: Text, indent: int) -> None:
    columns = table_columns(stream)
    lines = (
        list(text.split("\n", allow_blank=True))
        if columns is None
        else broken_lines(text, max(1, columns - indent))
    )
    for line in lines:
        console.print(Text(" " * indent if line else "").append_text(line))


def _joined(parts: tuple[str | Text, ...]) -> Text:
    whole = Text()
    for part in parts:
        whole.append_text(Text(printable_lines(part)) if isinstance(part, str) else part)
    return whole
