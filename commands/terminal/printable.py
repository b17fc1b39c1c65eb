"""Foreign text made safe for a terminal: control characters are shown, never sent.

A terminal obeys what it is sent: an escape sequence in a document's title would recolour the
screen, set the window's title or move the cursor over what was printed before, and a bidirectional
override would show a text in another order than it has.
"""

import re

_AS_SPACE = re.compile(r"\r\n|[\t\n\r\u2028\u2029]")
# C0, DEL and C1 (ECMA-48); the embeddings, overrides and isolates of Unicode's bidirectional
# algorithm (UAX 9, 2.1 to 2.4); lone surrogates, which no encoding can write. Marks of direction
# (U+200E, U+200F, U+061C) order only their neighbours and stay, as do the joiners of emoji.
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Returns a text on one line that no terminal obeys.

    Line ends and tabs become spaces. Control and escape characters, overrides of the direction of
    writing and lone surrogates become escapes that can be read, such as `\x1b` and `\u202e`.
    """
    return _shown(_AS_SPACE.sub(" ", text))


def printable_lines(text: str) -> str:
    """As `printable`, but line ends stay line ends: for messages of several lines."""
    return "\n".join(printable(line) for line in re.split(r"\r\n|[\n\r\u2028\u2029]", text))


def printable_json(document: str) -> str:
    """Escapes what `printable` does in a JSON document, which stays the same document.

    JSON already escapes C0. The other characters occur within strings alone, where an escape means
    the same; they are in the basic plane or are lone surrogates, so four digits are enough.
    """
    return re.sub(
        r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]",
        lambda found: f"\\u{ord(found[0]):04x}",
        document,
    )


def _shown(text: str) -> str:
    def escape(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _NOT_PRINTABLE.sub(escape, text)
