"""Where collections and their snapshots are: folders, and the names that these stand for.

A folder is named after its collection, or after what that was called when the folder was made: one
whose files are in use keeps its name. What it stands for is then written in one file, together with
the aliases, so that a rename is one change of one file. When no file is in use, at the start,
folders get the names of their collections.
"""

import itertools
import logging
import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from twopass.index.folders import sync_folder

_LOG = logging.getLogger("twopass.index")

# A folder's name where another folder has the collection's: no name has a full stop, and no copy
# that somebody makes by hand is called so by chance.
_NUMBERED = re.compile(r"(?P<name>[^.]+)\.again-[0-9]+")


class Places:
    """What the folders in one folder stand for. Immutable.

    Attributes:
        renamed: The collection's name, by folder, where the folder's own name tells another.
        taken: Folders that are gone, but stand on disk for another name than theirs still: made
            again before that is forgotten, such a folder would stand for it after a start.
    """

    def __init__(self, renamed: Mapping[str, str], taken: Iterable[str] = ()) -> None:
        self.renamed = {
            folder: name for folder, name in sorted(renamed.items()) if _told_by(folder) != name
        }
        self.taken = frozenset(taken)

    def name_of(self, folder: str) -> str:
        """The name of the collection that a folder stands for."""
        return self.renamed.get(folder, _told_by(folder))

    def folder_of(self, name: str) -> str:
        """The folder that stands for a collection's name, be it there or not."""
        named = (folder for folder, renamed in self.renamed.items() if renamed == name)
        return next(named, None) or next(x for x in _folders_for(name) if self._is_free(x))

    def free_folder(self, parent: Path, name: str) -> str:
        """A folder that stands for a collection's name and is not there yet."""
        return next(
            folder
            for folder in _folders_for(name)
            if self._is_free(folder) and not (parent / folder).exists()
        )

    def after_rename(self, folder: str, new_name: str) -> "Places":
        """What folders stand for after the collection in one of them is renamed."""
        return Places(self.renamed | {folder: new_name}, self.taken)

    def after_exchange(self, name: str, new_name: str) -> "Places":
        """What folders stand for after those that stand for two names have exchanged these."""
        return Places(
            self.renamed | {self.folder_of(name): new_name, self.folder_of(new_name): name},
            self.taken,
        )

    def among(self, folders: Container[str]) -> "Places":
        """What folders stand for, of those alone that are there; forgets the others."""
        return Places({x: name for x, name in self.renamed.items() if x in folders})

    def in_force_among(self, folders: Container[str]) -> "Places":
        """As `among`, but the names of the other folders, not forgotten on disk, stay taken."""
        return Places(self.among(folders).renamed, (x for x in self.renamed if x not in folders))

    def _is_free(self, folder: str) -> bool:
        """Whether a folder's own name tells what it stands for, now and after a start."""
        return folder not in self.renamed and folder not in self.taken

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places) and self.renamed == other.renamed

    def __hash__(self) -> int:
        return hash(tuple(self.renamed.items()))


def folders_in(parent: Path) -> set[str]:
    """The names of the folders in a folder, but for those that are half made or half deleted."""
    return {x.name for x in parent.iterdir() if not x.name.startswith(".") and x.is_dir()}


def settle(places: Places, parent: Path) -> bool:
    """Gives folders the names that they stand for, where these are free; durable.

    After a crash at any moment each folder stands for what it stood for before. A folder's earlier
    name stays taken until what it stood for is forgotten, by `Places.among`, on disk.

    Args:
        places: What the folders stand for, of those alone that are there.
        parent: Where they are; nobody uses any file in them.

    Returns:
        Whether any folder has another name now.

    Raises:
        OSError: The disk does not allow it.
    """
    folders = folders_in(parent)
    wanted = {folder: places.name_of(folder) for folder in sorted(folders)}
    moves = {
        folder: name
        for folder, name in wanted.items()
        if name != folder and name not in folders and name not in places.renamed
    }
    if not moves and places.renamed:
        # Some have exchanged their names: one takes a numbered name, which tells the same.
        folder, name = next(iter(places.renamed.items()))
        moves = {folder: places.free_folder(parent, name)}
    for folder, target in moves.items():
        (parent / folder).rename(parent / target)
        _LOG.info("folder named after its collection", extra={"path": str(parent / target)})
    if moves:
        sync_folder(parent)
    return bool(moves)


def _told_by(folder: str) -> str:
    """The collection's name that a folder's own name tells."""
    numbered = _NUMBERED.fullmatch(folder)
    return folder if numbered is None else numbered["name"]


def _folders_for(name: str) -> "itertools.chain[str]":
    """Folders that tell a collection's name, in the order in which they are taken."""
    return itertools.chain((name,), (f"{name}.again-{number}" for number in itertools.count(2)))
