"""Which files there are at the paths a user gives."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from twopass.commands.sources.formats import (
    FORMAT_OF_SUFFIX,
    FORMATS,
    FORMATS_OF_FOLDERS,
    READERS,
    suffix_of,
)
from twopass.commands.sources.reading import Format, Reading
from twopass.commands.sources.records import LeftOut
from twopass.commands.sources.source_file import SourceFile, shown


@dataclass(slots=True)
class Found:
    """What there is at the paths given.

    Attributes:
        files: The files to read, in the order of the paths, those of a folder by name.
        left_out: What could not be taken.
        num_other_kinds: How many files of folders are of kinds that are not read, by suffix; "" are
            those without one.
    """

    files: list[SourceFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    num_other_kinds: Counter[str] = field(default_factory=Counter)


def find_files(paths: Iterable[Path], reading: Reading) -> Found:
    """Finds the files given, and in a folder those of the usual kinds or those that are included.

    Nothing that is wrong raises: it is left out by name.
    """
    found = Found()
    for path in paths:
        if path.is_dir():
            within = [
                p
                for p in sorted(path.rglob("*"))
                if FORMAT_OF_SUFFIX.get(suffix_of(p)) in FORMATS_OF_FOLDERS and p.is_file()
            ]
            if not within:
                reason = "no file in it is of a kind that is read"
                found.left_out.append(_missing(path, "folders without files to read", reason))
            found.files += (
                _source_file(p, p.relative_to(path).as_posix(), reading, is_named=False)
                for p in within
            )
        elif not path.is_file():
            found.left_out.append(_missing(path, "missing files", "there is no such file"))
        elif suffix_of(path) not in FORMAT_OF_SUFFIX:
            reason = f"of no known format; known: {FORMATS}"
            found.left_out.append(_missing(path, "files of unknown formats", reason))
        else:
            found.files.append(_source_file(path, path.name, reading, is_named=True))
    return found


def _missing(path: Path, kind: str, reason: str) -> LeftOut:
    return LeftOut(where=shown(path), kind=kind, reason=reason, num_records=0)


def _source_file(path: Path, name: str, reading: Reading, *, is_named: bool) -> SourceFile:
    format_: Format = FORMAT_OF_SUFFIX[suffix_of(path)]
    stat = path.stat()
    return SourceFile(
        path=path,
        name=name,
        format=format_,
        num_bytes=stat.st_size,
        modified_ns=stat.st_mtime_ns,
        is_named=is_named,
        reading=reading,
        read=READERS[format_],
    )
