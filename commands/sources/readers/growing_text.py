"""A text of JSON that is decoded value by value, of which no more is kept than one value needs."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from twopass.commands.sources.decoding import MAX_DOCUMENT_BYTES
from twopass.server.http.half_characters import with_whole_characters

_BLOCK_BYTES = 256 * 1024
_decode = json.JSONDecoder().raw_decode
_BLANKS = re.compile(r"[ \t\n\r]*")
# A number that ends at the end of what is there may go on: "1.", "1e", "1e+".
_LONGEST_END = 3


class DamagedError(Exception):
    """What comes after can't be told apart.

    Attributes:
        cause: What is wrong, or what the decoder of JSON or of characters raised.
        line: Where.
    """

    def __init__(self, cause: str | ValueError | RecursionError, line: int) -> None:
        super().__init__(cause)
        self.cause = cause
        self.line = line


class GrowingText:
    """A text of JSON, read as far as it is needed."""

    def __init__(self, pieces: Iterator[bytes], encoding: str, line: int) -> None:
        """Reads nothing yet.

        Args:
            pieces: Its bytes.
            encoding: Their encoding.
            line: The number of its first line.
        """
        self._pieces = pieces
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._text = ""
        self._place = 0
        self._line = line  # of the place up to which line feeds were counted
        self._counted = 0
        self._is_whole = False
        self._failed: UnicodeDecodeError | None = None

    def next_character(self) -> str:
        """The next character that is no blank; empty at the end.

        Raises:
            DamagedError: What comes next is of another encoding.
        """
        while True:
            self._place = after_blanks(self._text, self._place)
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._grow():
                if self._failed:
                    raise self._not_decoded(self._failed, len(self._text))
                return ""

    def skip(self) -> None:
        """Goes on behind the next character."""
        self._place += 1

    def next_value(self) -> tuple[int, Any]:
        """The line of the next value, and the value.

        Raises:
            DamagedError: There is none, or it is too long.
        """
        while True:
            try:
                value, end = _decode(self._text, self._place)
            except json.JSONDecodeError as error:
                # Of a value that is cut nothing tells where it ends: it is tried again with twice
                # as much.
                if self._grow():
                    continue
                raise self._not_decoded(error, error.pos) from error
            except (ValueError, RecursionError) as error:
                raise self._not_decoded(error, self._place) from error
            if len(self._text) - end >= _LONGEST_END or not self._grow():
                break
        if self._text.find("\\u", self._place, end) >= 0:
            whole = with_whole_characters(self._text[self._place : end].encode())
            value, _ = _decode(whole.decode())
        line = self._line_of(self._place)
        self._place = end
        return line, value

    def damaged(self, reason: str) -> DamagedError:
        """What to raise where something else was expected at the next character."""
        return DamagedError(reason, self._line_of(self._place))

    def _not_decoded(self, error: ValueError | RecursionError, place: int) -> DamagedError:
        return DamagedError(self._failed or error, self._line_of(place))

    def _line_of(self, place: int) -> int:
        self._line += self._text.count("\n", self._counted, place)
        self._counted = place
        return self._line

    def _grow(self) -> bool:
        """Reads as much again as is left, and drops what is behind; False at the end.

        Raises:
            DamagedError: A value is longer than a document can be.
        """
        if self._is_whole:
            return False
        self._line_of(self._place)
        rest = self._text[self._place :]
        if len(rest) > MAX_DOCUMENT_BYTES:
            limit = f"{MAX_DOCUMENT_BYTES // 1024**2} MiB"
            raise DamagedError(f"a value of more than {limit}, or one that doesn't end", self._line)
        texts = [rest]
        num_chars = 0
        while num_chars < max(len(rest), _BLOCK_BYTES) and not self._is_whole:
            piece = next(self._pieces, b"")
            self._is_whole = not piece
            try:
                texts.append(self._decoder.decode(piece, final=self._is_whole))
            except UnicodeDecodeError as error:
                self._is_whole = True
                self._failed = error
                texts.append(error.object[: error.start].decode(self._encoding, "replace"))
            num_chars += len(texts[-1])
        self._text = "".join(texts)
        self._place = self._counted = 0
        return True


def after_blanks(text: str, place: int) -> int:
    """The place of the next character that is no blank."""
    found = _BLANKS.match(text, place)
    return found.end() if found else place
