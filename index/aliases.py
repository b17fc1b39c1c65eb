"""Aliases: names that stand for collections, and can be switched to others in one step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from twopass.index.errors import AliasNameTakenError, InvalidAliasError
from twopass.index.schema import check_name

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
            AliasNameTakenError: An alias has the name of a collection.
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
                raise AliasNameTakenError(alias)
            if collection in self._collections and not is_collection(collection):
                raise InvalidAliasError(
                    f"changes[{i}].collection", f"{collection!r} is an alias; name its collection"
                )
            collections[alias] = collection
        return _bounded(collections, "changes")

    def after_rename(self, name: str, new_name: str, *, keeps_alias: bool) -> "Aliases":
        """The aliases after a collection is renamed: they stand for it by its new name.

        Args:
            name: The name that it had.
            new_name: The name that it has; it is no alias any more.
            keeps_alias: Whether the name that it had is an alias of it.

        Raises:
            InvalidSchemaError: The name that it had is not valid as an alias.
            InvalidAliasError: There would be too many aliases.
        """
        collections = {
            alias: new_name if collection == name else collection
            for alias, collection in self._collections.items()
            if alias != new_name
        }
        if keeps_alias:
            check_name(name)
            collections[name] = new_name
        return _bounded(collections, "keep_alias")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aliases) and self._collections == other._collections

    def __hash__(self) -> int:
        return hash(tuple(self._collections.items()))


def _bounded(collections: Mapping[str, str], field: str) -> Aliases:
    """Makes sure that aliases are not too many; an error names the field that asked for them."""
    if len(collections) > MAX_ALIASES:
        raise InvalidAliasError(
            field,
            f"{len(collections):,} aliases in all would be there, at most {MAX_ALIASES:,} may; "
            "remove some",
            limit=MAX_ALIASES,
        )
    return Aliases(collections)
