"""The file of a collection's base: a faiss index on disk, so that a start need not build it.

::

    one line of JSON: Header    keys, little-endian int64    faiss's own format    sha256 of it all

The file is derived from the documents and may be deleted whenever no server runs. After restoring
the documents' file from a backup, delete this one.
"""

import dataclasses
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import faiss
import numpy as np

from twopass.index.errors import InvalidSchemaError
from twopass.index.folders import sync_folder
from twopass.index.kinds import IndexKind
from twopass.index.vectors.segments import Segment

FORMAT_VERSION = 1

_DIGEST_BYTES = 32
_BLOCK_BYTES = 4 * 1024 * 1024
_MAX_HEADER_BYTES = 4_096


class BaseFileError(Exception):
    """The file is missing, damaged, or of another collection; the index must be built again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a base was built from.

    Attributes:
        index_kind: Its faiss factory string.
        dimension: Components of a vector.
        incarnation: Incarnation of its collection.
        position: The collection's position when it was built: every document of then is in it.
        last_key: The highest key given out by then, 0 for none.
        num_vectors: How many vectors it holds.
        num_trained: From how many vectors it was trained; 0 if its kind needs no training.
    """

    index_kind: str
    dimension: int
    incarnation: str
    position: int
    last_key: int
    num_vectors: int
    num_trained: int


def save_base(path: Path, base: Segment, header: Header) -> None:
    """Writes a base: after a crash there is the new file or the old one, whole.

    Raises:
        OSError: The file can't be written.
    """
    unfinished = path.with_name(path.name + ".new")
    try:
        with unfinished.open("wb") as file:
            writer = _HashingWriter(file)
            line = json.dumps({"format_version": FORMAT_VERSION} | dataclasses.asdict(header))
            writer.write(line.encode() + b"\n")
            writer.write(base.keys.astype("<i8", copy=False).tobytes())
            faiss.write_index(base.index, faiss.PyCallbackIOWriter(writer.write, _BLOCK_BYTES))
            writer.finish()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def load_base(path: Path) -> tuple[Segment, Header]:
    """Reads a base, with nothing hidden, and its header.

    Raises:
        BaseFileError: The file is missing or damaged, or can't be read.
    """
    try:
        with path.open("rb") as file:
            _check_digest(file)
            file.seek(0)
            header = _read_header(file)
            keys = np.frombuffer(file.read(8 * header.num_vectors), "<i8").astype(np.int64)
            index = faiss.read_index(faiss.PyCallbackIOReader(file.read, _BLOCK_BYTES))
            kind = IndexKind.parse(header.index_kind)
    except FileNotFoundError:
        raise BaseFileError("there is no file") from None
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, InvalidSchemaError) as error:
        raise BaseFileError(str(error)) from error
    return Segment(kind, index, keys, np.zeros(len(keys), np.bool_)), header


class _HashingWriter:
    """Hashes what it writes to a file, and keeps the cause of a failure, which faiss would hide."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Writes and hashes; called by faiss too."""
        if self._error is None:
            try:
                self._file.write(content)
            except OSError as error:
                self._error = error
        self._digest.update(content)
        return len(content)

    def finish(self) -> None:
        """Writes the digest."""
        if self._error is not None:
            raise self._error
        self._file.write(self._digest.digest())
        self._file.flush()


def _check_digest(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    if size <= _DIGEST_BYTES:
        raise ValueError(f"it has {size:,} bytes: it was cut off")
    digest = hashlib.sha256()
    left = size - _DIGEST_BYTES
    while left:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:
            raise ValueError("it ends too early")
        digest.update(block)
        left -= len(block)
    if file.read() != digest.digest():
        raise ValueError("its checksum does not match: it is damaged")


def _read_header(file: BinaryIO) -> Header:
    fields = json.loads(file.readline(_MAX_HEADER_BYTES))
    version = fields.pop("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"its format is {version}, this server reads {FORMAT_VERSION}")
    return Header(**fields)
