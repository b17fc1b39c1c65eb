"""The file of names: aliases, and the folders of renamed collections, changed in one step."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twopass.index.aliases import Aliases
from twopass.index.errors import InvalidInputError, StorageError
from twopass.index.folders import os_errors, sync_folder, write_json
from twopass.index.schema import check_name
from twopass.index.store.places import Places

_ALIASES_ALONE = 1
FORMAT_VERSION = 2
"""Of files that know of renamed collections; others are as servers before renames read them."""


@dataclass(frozen=True, slots=True)
class StoredNames:
    """What the file holds.

    Attributes:
        aliases: Other names of collections.
        collections: What the folders of collections stand for.
        snapshots: What the folders of snapshots stand for.
    """

    aliases: Aliases
    collections: Places
    snapshots: Places


def read_names(file: Path) -> StoredNames:
    """Reads the names of a file; without a file there are no aliases, and nothing was renamed.

    Raises:
        StorageError: The file is damaged, of a newer format, or can't be read.
    """
    with os_errors("aliases"):
        try:
            content = json.loads(file.read_bytes())
        except FileNotFoundError:
            return StoredNames(Aliases({}), Places({}), Places({}))
        except ValueError as error:
            raise _damaged(file, error) from error
    if not isinstance(content, dict) or not isinstance(content.get("format_version"), int):
        raise _damaged(file, "it does not say its format")
    version = content["format_version"]
    if not _ALIASES_ALONE <= version <= FORMAT_VERSION:
        raise StorageError(
            f"{file}: its format is {version}, this server reads {_ALIASES_ALONE} to "
            f"{FORMAT_VERSION}; upgrade",
        )
    aliases = _checked_names(file, content.get("aliases"), "aliases")
    for alias in aliases:
        _check_name(file, alias)
    places = ({}, {}) if version == _ALIASES_ALONE else _renamed(file, content.get("renamed"))
    return StoredNames(Aliases(aliases), *map(Places, places))


def write_names(file: Path, names: StoredNames) -> None:
    """Writes the names: after a crash the file holds all old names or all new ones.

    Raises:
        StorageError: The file can't be written.
    """
    content: dict[str, Any] = {
        "format_version": _ALIASES_ALONE,
        "aliases": dict(names.aliases.items()),
    }
    if names.collections.renamed or names.snapshots.renamed:
        content["format_version"] = FORMAT_VERSION
        content["renamed"] = {
            "collections": names.collections.renamed,
            "snapshots": names.snapshots.renamed,
        }
    unfinished = file.with_name(file.name + ".new")
    with os_errors("aliases"):
        write_json(unfinished, content)
        unfinished.replace(file)
        sync_folder(file.parent)


def _renamed(file: Path, renamed: object) -> tuple[Mapping[str, str], Mapping[str, str]]:
    if not isinstance(renamed, dict):
        raise _damaged(file, "it holds no renamed collections")
    return (
        _checked_names(file, renamed.get("collections"), "renamed collections"),
        _checked_names(file, renamed.get("snapshots"), "renamed snapshots"),
    )


def _checked_names(file: Path, names: object, kind: str) -> dict[str, str]:
    """Something with the name of a collection each."""
    if not isinstance(names, dict):
        raise _damaged(file, f"it holds no {kind}")
    for name in names.values():
        _check_name(file, name)
    return names


def _check_name(file: Path, name: str) -> None:
    try:
        check_name(name)
    except (InvalidInputError, TypeError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, reason: object) -> StorageError:
    # Without its aliases a server would answer NOT_FOUND for collections that clients search, and
    # let new collections take the aliases' names. It is better not to start.
    return StorageError(
        f"{file}: it is damaged ({reason}); restore it from a backup, or delete it, make the "
        "aliases again, and rename again what was renamed since the last start",
    )
