"""Right-to-left text beside other columns.

A terminal that implements Unicode's bidirectional algorithm (UAX 9) orders a whole line at once: a
Hebrew title would carry the figures beside it to its other side. An isolate keeps the reordering
within a cell; terminals that do not implement the algorithm show nothing for it.
"""

import re
import unicodedata

from rich.text import Text

_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_PERHAPS = re.compile(r"[^\x00-\u058f]")  # below U+0590 everything is written from left to right


def isolated(text: Text) -> Text:
    """Returns one line's piece, isolated if it holds right-to-left text; its width is the same."""
    if not is_right_to_left(text.plain):
        return text
    return Text(_FIRST_STRONG_ISOLATE).append_text(text).append(_POP_ISOLATE)


def is_right_to_left(text: str) -> bool:
    """Whether any character is written from right to left."""
    return any(
        unicodedata.bidirectional(found[0]) in ("R", "AL") for found in _PERHAPS.finditer(text)
    )
