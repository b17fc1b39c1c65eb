"""The files in a folder that are documents."""

import os
import stat
from collections import Counter
from pathlib import Path
from typing import TypeAlias

from twopass.commands.sources.formats import (
    FORMAT_OF_SUFFIX,
    FORMATS_OF_FOLDERS,
    source_file,
    suffix_of,
)
from twopass.commands.sources.patterns import Patterns
from twopass.commands.sources.reading import Format, Reading
from twopass.commands.sources.records import LeftOut
from twopass.commands.sources.source_file import SourceFile, name_of, shown, target_of

# Folders that programs fill and nobody reads.
_NEVER = frozenset(("node_modules", "__pycache__", "CVS"))
_ENVIRONMENT = "pyvenv.cfg"  # the file that makes a folder a virtual environment (PEP 405)

_Number: TypeAlias = tuple[int, int]
"""What a file is to its system whatever its names: its device and its inode."""


class Folder:
    """A folder, walked.

    Attributes:
        left_out: What is not taken, with reasons, as far as it was walked.
        num_other_kinds: How many files are of kinds that are not read, by suffix.
        has_files: Whether there is any file to read.
    """

    def __init__(self, path: Path, reading: Reading) -> None:
        """Walks nothing yet."""
        self.left_out: list[LeftOut] = []
        self.num_other_kinds: Counter[str] = Counter()
        self.has_files = False
        self._root = path
        self._reading = reading
        self._walked: set[_Number] = set()
        self._folder_links: list[tuple[_Number, Path]] = []
        self._include = Patterns(reading.include)
        self._exclude = Patterns(reading.exclude)

    def files(self) -> list[SourceFile]:
        """The files to read, by name, those of folders within after the names of these.

        Links to files are followed, links to folders are not, so that every walk ends. A link to
        what is read anyway is passed over without a word, since nothing is missing.
        """
        found: list[SourceFile] = []
        links: list[tuple[_Number, SourceFile]] = []
        taken: set[_Number] = set()
        folders = [self._root]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                path = folder / entry.name
                name = path.relative_to(self._root).as_posix()
                if self._exclude.match(name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not self._is_skipped(path):
                        folders.append(path)
                elif taking := self._taken(path, name, is_link=entry.is_symlink()):
                    number, file = taking
                    if entry.is_symlink():
                        links.append(taking)
                    else:
                        found.append(file)
                        taken.add(number)
        for number, file in sorted(links, key=lambda link: link[1].path):
            if number not in taken:
                found.append(file)
                taken.add(number)
        for number, path in self._folder_links:
            if number not in self._walked:
                reason = f"a link to the folder {target_of(path)}; name that to read it"
                self._leave(path, "links to folders", reason)
        self.has_files = bool(found)
        return sorted(found, key=lambda file: file.path.parts)

    def why_empty(self) -> str:
        """Why there is nothing to read, and the way out."""
        if self._include:
            return f"no file in it matches {' or '.join(self._reading.include)}"
        common = self.num_other_kinds.most_common(3)
        if not common:
            return "there is no file to read in it"
        suffixes = ", ".join(
            suffix for suffix, one in FORMAT_OF_SUFFIX.items() if one in self._formats()
        )
        kinds = " and ".join(
            f"{number:,} {suffix or 'without a suffix'}" for suffix, number in common
        )
        way_out = f"--include '*{common[0][0]}' takes those"
        return f"no file in it ends in {suffixes}, but {kinds}; {way_out}"

    def _entries(self, folder: Path) -> list["os.DirEntry[str]"]:
        try:
            status = folder.stat()
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self._leave(
                folder,
                "folders that can't be read",
                f"it can't be read ({error.strerror})",
                is_fault=folder == self._root,
            )
            return []
        if folder != self._root and any(entry.name == _ENVIRONMENT for entry in entries):
            self._leave(folder, "virtual environments", "a virtual environment of Python")
            return []
        self._walked.add((status.st_dev, status.st_ino))
        return entries

    def _is_skipped(self, path: Path) -> bool:
        if path.name.startswith("."):
            self._leave(path, "hidden folders", "a hidden folder; name it to read it")
        elif path.name in _NEVER:
            self._leave(
                path, f"folders called {path.name}", "filled by a program; name it to read it"
            )
        else:
            return False
        return True

    def _taken(self, path: Path, name: str, *, is_link: bool) -> tuple[_Number, SourceFile] | None:
        """What there is to read at a path that is no folder, and its number; None: nothing."""
        try:
            status = path.stat()
        except OSError as error:
            if is_link:
                reason = f"a link to {target_of(path)}, which is not there"
                self._leave(path, "links to nothing", reason)
            elif not isinstance(error, FileNotFoundError):
                reason = f"it can't be read ({error.strerror})"
                self._leave(path, "files that can't be read", reason)
            return None
        number = (status.st_dev, status.st_ino)
        if stat.S_ISDIR(status.st_mode):
            self._folder_links.append((number, path))
            return None
        if not stat.S_ISREG(status.st_mode):
            self._leave(path, "pipes, sockets and devices", "a pipe, socket or device")
            return None
        format_ = self._format(path, name)
        if format_ is None:
            return None
        return number, source_file(path, name_of(Path(name)), format_, status, self._reading)

    def _format(self, path: Path, name: str) -> Format | None:
        """What a file holds, if it is to be taken; otherwise it is counted."""
        suffix = suffix_of(path)
        known = FORMAT_OF_SUFFIX.get(suffix)
        if self._include:
            if self._include.match(name) or self._include.match(_unpacked(name)):
                return self._reading.format or known or Format.TEXT
        elif (Format.TEXT if not suffix else known) in self._formats():
            if not path.name.startswith("."):
                return known or Format.TEXT
            if known:
                self._leave(path, "hidden files", "a hidden file; name it to read it")
                return None
        self.num_other_kinds[Path(_unpacked(path.name)).suffix] += 1
        return None

    def _formats(self) -> frozenset[Format]:
        return frozenset((self._reading.format,)) if self._reading.format else FORMATS_OF_FOLDERS

    def _leave(self, path: Path, kind: str, reason: str, *, is_fault: bool = False) -> None:
        self.left_out.append(
            LeftOut(where=shown(path), kind=kind, reason=reason, num_records=0, is_fault=is_fault)
        )


def _unpacked(name: str) -> str:
    """A name without `.gz`, since a packed file is taken as what it holds is."""
    return name[: -len(".gz")] if name.lower().endswith(".gz") else name
