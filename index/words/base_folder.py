"""The folder of a base: Tantivy's files, whole or left aside, and a header that says what they are.

::

    <collection>/words-<number>/header.json     Header
    <collection>/words-<number>/…               Tantivy's own files

The folder is derived from the documents and may be deleted whenever no server runs. One that is
being built has a higher number than the one that is searched, and takes its place when complete.
"""

import dataclasses
import json
import re
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from twopass.index.folders import sync_folder, write_json

FORMAT_VERSION = 1

_HEADER = "header.json"
_NAME = re.compile(r"words-([1-9][0-9]{0,8})")
_BLOCK_BYTES = 4 * 1024 * 1024
# Tantivy ends each file with a JSON object that holds a CRC-32 of the rest, its length, and this.
_FOOTER = struct.Struct("<II")
_MAGIC = 1337
_MAX_FOOTER_BYTES = 4_096


class BaseFolderError(Exception):
    """The folder is damaged, or of another collection; the words must be indexed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the files of a base are.

    Attributes:
        incarnation: Incarnation of the collection.
        position: A position of the collection that no document in the files came after.
        last_key: Every document that was there at some time, with a key up to this one, is in it.
        analysis: How its texts were analysed, from `analysis_name`.
        is_complete: Whether it has all documents up to those that came last, and may be searched.
    """

    incarnation: str
    position: int
    last_key: int
    analysis: str
    is_complete: bool


def numbered(collection: Path) -> dict[int, Path]:
    """The folders of a collection's bases by number; usually one, or none."""
    found = {}
    for entry in collection.iterdir():
        if match := _NAME.fullmatch(entry.name):
            found[int(match[1])] = entry
    return found


def folder_of(collection: Path, number: int) -> Path:
    """The folder of one base."""
    return collection / f"words-{number}"


def remove(folder: Path) -> None:
    """Removes a folder, or what can be removed of it; without its header it is none any more."""
    (folder / _HEADER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def save_header(folder: Path, header: Header) -> None:
    """Writes the header: after a crash there is the new one or the old one, whole.

    Raises:
        OSError: It can't be written.
    """
    unfinished = folder / (_HEADER + ".new")
    write_json(unfinished, {"format_version": FORMAT_VERSION} | dataclasses.asdict(header))
    unfinished.rename(folder / _HEADER)
    sync_folder(folder)


def read_header(folder: Path) -> Header:
    """Reads the header.

    Raises:
        BaseFolderError: It is missing, damaged or of another format.
    """
    try:
        fields = json.loads((folder / _HEADER).read_bytes())
        version = fields.pop("format_version")
        if version != FORMAT_VERSION:
            raise ValueError(f"its format is {version}, this server reads {FORMAT_VERSION}")
        header = Header(**fields)
        if not isinstance(header.last_key, int) or not isinstance(header.position, int):
            raise TypeError("its numbers are none")
    except FileNotFoundError:
        raise BaseFolderError("it has no header") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BaseFolderError(f"its header can't be read: {error}") from error
    return header


def check_files(folder: Path) -> None:
    """Makes sure that all files of Tantivy's last commit are there and undamaged.

    Raises:
        BaseFolderError: One of them is not.
    """
    try:
        commit = json.loads((folder / "meta.json").read_bytes())
        segments = [segment["segment_id"].replace("-", "") for segment in commit["segments"]]
        files = sorted(path for path in folder.iterdir() if path.stem.split(".")[0] in segments)
        for segment in segments:
            if not any(path.name == f"{segment}.idx" for path in files):
                raise ValueError(f"{segment}.idx is missing")
        for path in files:
            _check_file(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BaseFolderError(str(error)) from error


def _check_file(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _FOOTER.size))
        num_bytes, magic = _FOOTER.unpack(file.read().ljust(_FOOTER.size))
        if magic != _MAGIC or num_bytes > min(size, _MAX_FOOTER_BYTES):
            raise ValueError(f"{path.name} was cut off")
        body_bytes = size - _FOOTER.size - num_bytes
        file.seek(body_bytes)
        expected = json.loads(file.read(num_bytes))["crc"]
        file.seek(0)
        checksum = 0
        while body_bytes:
            block = file.read(min(_BLOCK_BYTES, body_bytes))
            checksum = zlib.crc32(block, checksum)
            body_bytes -= len(block)
    if checksum != expected:
        raise ValueError(f"{path.name} is damaged: its checksum does not match")
