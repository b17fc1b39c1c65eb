"""From bytes to text: encodings, and what is no text at all."""

import codecs
import io
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from twopass.commands.sources.opening import opened
from twopass.commands.sources.records import EmptyFileError, UnreadableError
from twopass.commands.sources.source_file import SourceFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""How long a document can be, unpacked: a server takes messages of this size at most by default."""

# The longest first: UTF-32's little-endian mark begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 8 * 1024
_BLOCK_BYTES = 64 * 1024
# Controls that no text has: all of C0 and DEL but tab, line feed, vertical tab, form feed, carriage
# return and escape.
_CONTROL_CHARACTERS = bytes([*range(0x09), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F])
_CONTROL_SHARE = 0.1  # of a text's beginning; PDF's texts have single NULs, binary files many


def marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte order mark tells; None without one."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)


def encoding_of(stream: io.BufferedReader, file: SourceFile) -> str:
    """The encoding of a stream at its beginning: its mark's, else the one given, else UTF-8."""
    return marked_encoding(stream.peek(4)[:4]) or file.reading.encoding or "utf-8"


def byte_lines(stream: io.BufferedReader, encoding: str) -> tuple[Iterator[bytes], str]:
    r"""The lines of a stream as bytes, and their encoding: one in which `\n` is one byte.

    Lines end at `\n` alone: U+2028, vertical tabs and the like are part of a line. One that is
    longer than a document can be comes in pieces of that many bytes.
    """
    if encoding == "utf-8-sig":
        stream.read(len(codecs.BOM_UTF8))
        encoding = "utf-8"
    if "\n".encode(encoding) == b"\n":
        return iter(partial(stream.readline, MAX_DOCUMENT_BYTES), b""), encoding
    transcoded = io.BufferedReader(_Transcoded(stream, encoding), _BLOCK_BYTES)
    return iter(partial(transcoded.readline, MAX_DOCUMENT_BYTES), b""), "utf-8"


class _Transcoded(io.RawIOBase):
    """A stream of another encoding in UTF-8, decoded as it is read.

    Reading raises UnreadableError where something in it is not of the encoding.
    """

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        into = memoryview(buffer)
        while not self._ready:
            content = self._stream.read1(_BLOCK_BYTES)
            try:
                self._ready = memoryview(self._decoder.decode(content, not content).encode())
            except UnicodeDecodeError as error:
                reason = not_decoded(error, self._encoding)
                raise UnreadableError("files of other encodings", reason) from error
            if not content:
                break
        num_bytes = min(len(into), len(self._ready))
        into[:num_bytes] = self._ready[:num_bytes]
        self._ready = self._ready[num_bytes:]
        return num_bytes


class LineTooLongError(Exception):
    """A line is longer than a document can be."""


def text_blocks(stream: io.BufferedReader, encoding: str, errors: str) -> Iterator[str]:
    r"""The text of a stream in blocks of whole lines, which end at `\n`, `\r` or both.

    Args:
        stream: Its bytes.
        encoding: Their encoding.
        errors: What becomes of bytes that are not of it, as `bytes.decode` has it.

    Raises:
        LineTooLongError: A line has more characters than a document bytes.
        UnicodeDecodeError: Something is not of the encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    line: list[str] = []  # the beginning of one
    num_chars = 0
    held = ""  # a carriage return, until it is known whether a line feed follows
    while content := stream.read1(_BLOCK_BYTES):
        text = held + decoder.decode(content)
        held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix(held)
        end = 1 + max(text.rfind("\n"), text.rfind("\r"))
        if end:
            yield "".join([*line, text[:end]])
            line, num_chars = [], 0
        line.append(text[end:])
        num_chars += len(text) - end
        if num_chars > MAX_DOCUMENT_BYTES:
            raise LineTooLongError
    if rest := "".join([*line, held, decoder.decode(b"", final=True)]):
        yield rest


def read_whole_text(file: SourceFile, declared: str | None = None) -> str:
    """Reads a file that is one document.

    Args:
        file: The file.
        declared: Its encoding where neither a byte order mark nor the user names one.

    Raises:
        UnreadableError: It is too long, binary, or of another encoding.
    """
    return decoded(read_whole(file), file, declared)


def read_whole(file: SourceFile) -> bytes:
    """Reads the bytes of a file that is one document.

    Raises:
        UnreadableError: It is too long, or empty.
    """
    most = MAX_DOCUMENT_BYTES + 1
    with opened(file) as source:
        # As long as it was found to be: a read of the most would get memory for the most first.
        content = source.stream.read(min(most, file.num_bytes + 1))
        if len(content) > file.num_bytes:
            content += source.stream.read(most - len(content))
    if not content or content.isspace():
        raise EmptyFileError
    if len(content) > MAX_DOCUMENT_BYTES:
        raise UnreadableError(
            "files that are too long",
            f"more than {MAX_DOCUMENT_BYTES // 1024 // 1024} MiB, too long for one document; "
            "cut it into several",
        )
    return content


def decoded(content: bytes, file: SourceFile, declared: str | None = None) -> str:
    """A document's text; see `read_whole_text`."""
    encoding = marked_encoding(content) or file.reading.encoding or declared or "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content[:_HEAD]:
            raise _binary() from error
        line = content.count(b"\n", 0, error.start) + 1
        reason = not_decoded(error, encoding)
        if not file.is_named:
            reason = _not_of_a_folders_encoding(error.object[error.start], encoding)
        raise UnreadableError("files of other encodings", reason, f"{file.where}:{line}") from error
    head = text[:_HEAD].encode("utf-8", "replace")
    num_controls = len(head) - len(head.translate(None, _CONTROL_CHARACTERS))
    if num_controls > _CONTROL_SHARE * len(head):
        raise _binary()
    return text


def not_decoded(error: UnicodeDecodeError, encoding: str) -> str:
    """Why bytes are not of an encoding, and the way out."""
    return not_of_encoding(error.object[error.start], encoding)


def not_of_encoding(byte: int, encoding: str) -> str:
    """Why text is not of an encoding: a byte that has no meaning where it stands."""
    return (
        f"not {_shown(encoding)} (byte 0x{byte:02X}); --encoding names another encoding, such as "
        "cp1252 (Western European)"
    )


def _not_of_a_folders_encoding(byte: int, encoding: str) -> str:
    """The same of a file beside others, which `--encoding` would be for too."""
    return (
        f"not {_shown(encoding)} (byte 0x{byte:02X}); --include and --encoding, such as cp1252 "
        "(Western European), read it without the others"
    )


def _shown(encoding: str) -> str:
    return "UTF-8" if encoding in ("utf-8", "utf-8-sig") else encoding


def _binary() -> UnreadableError:
    return UnreadableError("binary files", "binary, no text")
