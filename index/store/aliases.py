"""Aliases: names that stand for collections, and can be switched to others in one step."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twopass.index.errors import (
    CollectionExistsError,
    InvalidAliasError,
    InvalidInputError,
    StorageError,
)
from twopass.index.folders import os_errors, sync_folder, write_json
from twopass.index.schema import check_name

FORMAT_VERSION = 1
# All of them fit into one answer: 10,000 pairs of names of 64 characters are 1.4 MB.
MAX_ALIASES = 10_000


@dataclass(frozen=True, slots=True)
class AliasChange:
    """The change of one alias.

    Attributes:
        alias: The alias.
        collection: The collection that it stands for from now on; None removes the alias.
    """

    alias: str
    collection: str | None


class Aliases:
    """The collection that each alias stands for. Immutable: `changed` returns new aliases."""

    def __init__(self, collections: Mapping[str, str]) -> None:
        """Takes a mapping from each alias to the name of its collection."""
        self._collections = dict(sorted(collections.items()))
        self._aliases: dict[str, list[str]] = {}
        for alias, collection in self._collections.items():
            self._aliases.setdefault(collection, []).append(alias)

    def collection_of(self, alias: str) -> str | None:
        """The name of the collection that an alias stands for; None if it is not an alias."""
        return self._collections.get(alias)

    def of(self, collection: str) -> tuple[str, ...]:
        """The aliases of a collection, sorted."""
        return tuple(self._aliases.get(collection, ()))

    def items(self) -> Iterable[tuple[str, str]]:
        """Every alias and the name of its collection, by alias."""
        return self._collections.items()

    def changed(
        self, changes: Sequence[AliasChange], is_collection: Callable[[str], bool]
    ) -> "Aliases":
        """The aliases after some changes. Removing an unknown alias is a no-op.

        Args:
            changes: The changes, each of a different alias.
            is_collection: Tells whether a collection has a name.

        Raises:
            InvalidSchemaError: An alias is not a valid name.
            InvalidAliasError: An alias would stand for another alias or is changed twice, or there
                would be too many aliases.
            CollectionExistsError: An alias has the name of a collection.
        """
        collections = dict(self._collections)
        met: set[str] = set()
        for i, change in enumerate(changes):
            alias, collection = change.alias, change.collection
            check_name(alias, f"changes[{i}].alias")
            if alias in met:
                raise InvalidAliasError(
                    f"changes[{i}].alias", f"{alias!r} is changed twice; change it once"
                )
            met.add(alias)
            if collection is None:
                collections.pop(alias, None)
                continue
            if is_collection(alias):
                raise CollectionExistsError(alias)
            if collection in self._collections and not is_collection(collection):
                raise InvalidAliasError(
                    f"changes[{i}].collection", f"{collection!r} is an alias; name its collection"
                )
            collections[alias] = collection
        if len(collections) > MAX_ALIASES:
            raise InvalidAliasError(
                "changes",
                f"{len(collections):,} aliases in all would be there, at most {MAX_ALIASES:,} may; "
                "remove some",
                limit=MAX_ALIASES,
            )
        return Aliases(collections)


def read_aliases(file: Path) -> Aliases:
    """Reads the aliases of a file; without a file there are no aliases.

    Raises:
        StorageError: The file is damaged, of a newer format, or can't be read.
    """
    with os_errors("aliases"):
        try:
            content = json.loads(file.read_bytes())
        except FileNotFoundError:
            return Aliases({})
        except ValueError as error:
            raise _damaged(file, error) from error
    if not isinstance(content, dict) or not isinstance(content.get("format_version"), int):
        raise _damaged(file, "it does not say its format")
    if content["format_version"] != FORMAT_VERSION:
        raise StorageError(
            f"{file}: its format is {content['format_version']}, this server reads "
            f"{FORMAT_VERSION}; upgrade",
        )
    return Aliases(_checked(file, content.get("aliases")))


def write_aliases(file: Path, aliases: Aliases) -> None:
    """Writes the aliases: after a crash the file holds all old aliases or all new ones.

    Raises:
        StorageError: The file can't be written.
    """
    unfinished = file.with_name(file.name + ".new")
    with os_errors("aliases"):
        write_json(unfinished, {"format_version": FORMAT_VERSION, "aliases": dict(aliases.items())})
        unfinished.replace(file)
        sync_folder(file.parent)


def _checked(file: Path, collections: object) -> dict[str, str]:
    if not isinstance(collections, dict):
        raise _damaged(file, "it holds no aliases")
    for name in (*collections, *collections.values()):
        try:
            check_name(name)
        except (InvalidInputError, TypeError) as error:
            raise _damaged(file, error) from error
    return collections


def _damaged(file: Path, reason: object) -> StorageError:
    # Without its aliases a server would answer NOT_FOUND for collections that clients search, and
    # let new collections take the aliases' names. It is better not to start.
    return StorageError(
        f"{file}: it is damaged ({reason}); restore it from a backup, or delete it and make "
        "the aliases again",
    )
