"""Which files there are at the paths a user gives."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from twopass.commands.sources.folders import Folder
from twopass.commands.sources.formats import (
    FORMAT_OF_SUFFIX,
    FORMATS,
    FORMATS_OF_FOLDERS,
    READERS,
    source_file,
    suffix_of,
)
from twopass.commands.sources.reading import Format, Reading
from twopass.commands.sources.records import LeftOut
from twopass.commands.sources.source_file import (
    STANDARD_INPUT,
    SourceFile,
    name_of,
    shown,
    target_of,
)


@dataclass(slots=True)
class Found:
    """What there is at the paths given.

    Attributes:
        files: The files to read, in the order of the paths, those of a folder by name.
        left_out: What could not be taken.
        num_other_kinds: How many files of folders are of kinds that are not read, by suffix, what
            stands before `.gz`; "" are those without one.
    """

    files: list[SourceFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    num_other_kinds: Counter[str] = field(default_factory=Counter)


def find_files(paths: Iterable[Path], reading: Reading) -> Found:
    """Finds the files given, and in a folder those of the usual kinds or those that are included.

    Nothing that is wrong raises: it is left out by name. Of files that would give documents of
    one id, each gets the path as it was given for an id. A file that is reached twice is read once.
    """
    found = Found()
    given: set[str] = set()
    for path in paths:
        absolute = os.path.abspath(path)  # noqa: PTH100, resolving would follow links
        if absolute in given:
            reason = "given twice; it is read once"
            found.left_out.append(_left_out(path, "files given twice", reason, is_fault=False))
            continue
        given.add(absolute)
        if path == STANDARD_INPUT:
            _take_standard_input(found, reading)
        else:
            _take_path(path, reading, found)
    own = list(_with_own_names(_each_once(found.files)))
    found.files = [item for item in own if isinstance(item, SourceFile)]
    found.left_out += [item for item in own if isinstance(item, LeftOut)]
    return found


def _take_standard_input(found: Found, reading: Reading) -> None:
    if reading.format is None:
        reason = f"its --format must be told: one of {', '.join(Format)}"
        left_out = _left_out(STANDARD_INPUT, "standard input", reason)
        found.left_out.append(replace(left_out, where="standard input"))
    else:
        found.files.append(_stream(STANDARD_INPUT, "stdin", reading, reading.format))


def _take_folder(path: Path, reading: Reading, found: Found) -> None:
    folder = Folder(path, reading)
    found.files += folder.files()
    found.left_out += folder.left_out
    found.num_other_kinds += folder.num_other_kinds
    if not folder.has_files and not any(item.is_fault for item in folder.left_out):
        reason = folder.why_empty()
        found.left_out.append(_left_out(path, "folders without files to read", reason))


def _take_path(path: Path, reading: Reading, found: Found) -> None:
    try:
        status = path.stat()
    except OSError as error:
        found.left_out.append(_missing(path, error))
        return
    if stat.S_ISDIR(status.st_mode):
        _take_folder(path, reading, found)
    else:
        _take_file(path, status, reading, found)


def _take_file(path: Path, status: os.stat_result, reading: Reading, found: Found) -> None:
    suffix = suffix_of(path)
    chosen = reading.format or FORMAT_OF_SUFFIX.get(suffix) or (None if suffix else Format.TEXT)
    if stat.S_ISFIFO(status.st_mode):
        if reading.format is None:
            reason = f"a pipe, whose --format must be told: one of {', '.join(Format)}"
            found.left_out.append(_left_out(path, "pipes, sockets and devices", reason))
        else:
            found.files.append(_stream(path, path.name, reading, reading.format))
    elif not stat.S_ISREG(status.st_mode):
        reason = "a socket or device, no file"
        found.left_out.append(_left_out(path, "pipes, sockets and devices", reason))
    elif chosen is None:
        reason = (
            f"{suffix} tells no format that is read; --format tells one (--format text reads any "
            f"text); what is read: {FORMATS}"
        )
        found.left_out.append(_left_out(path, "files of unknown formats", reason))
    else:
        file = source_file(path, name_of(Path(path.name)), chosen, status, reading)
        found.files.append(replace(file, is_named=True))


def _stream(path: Path, name: str, reading: Reading, format_: Format) -> SourceFile:
    return SourceFile(
        path=path,
        name=name,
        format=format_,
        num_bytes=0,
        modified_ns=0,
        is_named=True,
        is_stream=True,
        reading=reading,
        read=READERS[format_],
    )


def _missing(path: Path, error: OSError) -> LeftOut:
    if os.path.islink(path):  # noqa: PTH114, Path.is_symlink raises where it may not look
        return _left_out(
            path, "links to nothing", f"a link to {target_of(path)}, which is not there"
        )
    if isinstance(error, FileNotFoundError):
        return _left_out(path, "missing files", "there is no such file")
    return _left_out(path, "files that can't be read", f"it can't be read ({error.strerror})")


def _left_out(path: Path, kind: str, reason: str, *, is_fault: bool = True) -> LeftOut:
    return LeftOut(where=shown(path), kind=kind, reason=reason, num_records=0, is_fault=is_fault)


def _each_once(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files, one that stands in a folder given and was given itself as a named one."""
    by_path: dict[str, SourceFile] = {}
    for file in files:
        absolute = os.path.abspath(file.path)  # noqa: PTH100, resolving would follow links
        earlier = by_path.get(absolute, file)
        by_path[absolute] = replace(earlier, is_named=earlier.is_named or file.is_named)
    return list(by_path.values())


def _with_own_names(files: Sequence[SourceFile]) -> Iterator[SourceFile | LeftOut]:
    """The files, those whose names are not unique named by their whole paths.

    A whole path may be another's name in its folder, which is renamed likewise then. Paths that
    differ in bytes that are shown alike can't be told apart: the first of them is kept.
    """
    names = [file.name for file in files]
    is_changed = True
    while is_changed:
        count = Counter(names)
        own = [
            name if count[name] == 1 else name_of(file.path)
            for name, file in zip(names, files, strict=True)
        ]
        is_changed = own != names
        names = own
    taken: set[str] = set()
    for name, file in zip(names, files, strict=True):
        if name in taken and file.format in FORMATS_OF_FOLDERS:
            reason = f"its id would be {name!r}, as that of another file; rename it"
            yield _left_out(file.path, "files of one id", reason, is_fault=True)
        else:
            yield replace(file, name=name)
        taken.add(name)
