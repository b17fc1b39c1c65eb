"""Halves of characters in JSON: escapes of one surrogate without the other.

JavaScript leaves such a half of an emoji where it cuts a text. Decoders of JSON refuse it.
"""

import re

# What follows the backslash and the u of a high surrogate, and of a low one.
_HIGH = rb"[dD][89abAB][0-9a-fA-F]{2}"
_LOW = rb"[dD][c-fC-F][0-9a-fA-F]{2}"
# The literal beginning comes before all alternatives, since `re` finds one ten times as fast.
_LONE = re.compile(rb"\\u(?:%b(?!\\u%b)|(?<!\\u%b\\u)%b)" % (_HIGH, _LOW, _HIGH, _LOW))
_ENDS_HIGH = re.compile(rb"\\u" + _HIGH)
_UNKNOWN_CHARACTER = rb"\\ufffd"  # as a template of `re`, which reads two backslashes as one

# An escaped backslash, and what stands for it meanwhile, so that every other backslash begins an
# escape: no text in UTF-8 has the byte 0xff.
_BACKSLASH, _NO_TEXT = rb"\\", b"\xff\xff"

# A call of `re` holds the GIL. On this many bytes it does so for 10 ms at most.
_PIECE_BYTES = 256 * 1024
_ESCAPE_BYTES = 6


def with_whole_characters(body: bytes, *, piece_bytes: int = _PIECE_BYTES) -> bytes:
    """The body with U+FFFD in place of each half of a character.

    Args:
        body: JSON.
        piece_bytes: It is looked at in pieces of this size; more than three escapes.
    """
    if (b"\\ud" not in body and b"\\uD" not in body) or b"\xff" in body:
        return body
    marked = body.replace(_BACKSLASH, _NO_TEXT)
    pieces = []
    start = 0
    while start < len(marked):
        end = _end_of_piece(marked, start + piece_bytes)
        pieces.append(_LONE.sub(_UNKNOWN_CHARACTER, marked[start:end]))
        start = end
    return b"".join(pieces).replace(_NO_TEXT, _BACKSLASH)


def _end_of_piece(marked: bytes, end: int) -> int:
    """The last place up to `end` that parts neither an escape nor a pair of them."""
    if end >= len(marked):
        return len(marked)
    last = marked.rfind(b"\\", end - 2 * _ESCAPE_BYTES, end)
    if last < 0:
        return end
    before = last - _ESCAPE_BYTES
    return before if _ENDS_HIGH.fullmatch(marked, before, last) else last
