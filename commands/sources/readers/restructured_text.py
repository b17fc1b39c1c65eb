"""reStructuredText: a file is one document, titled by its first heading."""

import re
from collections.abc import Iterator

from twopass.commands.sources.decoding import read_whole_text
from twopass.commands.sources.readers.plain_text import one_document
from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.sources.source_file import SourceFile

_LINE = re.compile(r"([!-/:-@\[-`{-~])\1*\s*$")  # of one character of punctuation, repeated
_ROLE = re.compile(r":[\w:.+-]+:`([^`]*)`")
_TARGET = re.compile(r"\s*<[^<>]*>$")
_INLINE = re.compile(r"(\*\*|\*|``|`)(\S(?:.*?\S)?)\1_{0,2}")
_HEAD_LINES = 2_000  # where a title is looked for
_SHORTEST = 4  # shorter lines of punctuation must be as long as the title they underline


def read_restructured_text(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads a file as one document."""
    text = read_whole_text(file)
    yield from one_document(file, text, heading(text) or file.title)


def heading(text: str) -> str:
    """The text of the first heading: a line with a line of punctuation below it; or ""."""
    lines = [line.rstrip() for line in text.splitlines()[:_HEAD_LINES]]
    for place in range(len(lines) - 1):
        title, below = lines[place].strip(), lines[place + 1]
        above = lines[place - 1] if place else ""
        is_overlined = _LINE.match(above) is not None and above == below
        if not title or _LINE.match(title) or not _LINE.match(below):
            continue
        if title.startswith("..") or (lines[place][0].isspace() and not is_overlined):
            continue
        if above and not is_overlined:
            continue  # the last line of a paragraph, or a table
        if len(below) >= len(title) or len(below) >= _SHORTEST:
            return _without_markup(title)
    return ""


def _without_markup(title: str) -> str:
    text = _ROLE.sub(lambda role: _TARGET.sub("", role[1]), title)
    return _INLINE.sub(lambda found: _TARGET.sub("", found[2]), text).strip()
