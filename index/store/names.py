"""Which collections there are, and what they are called."""

from collections.abc import Callable, Sequence

from twopass.index.collection.collection import Collection
from twopass.index.errors import (
    AliasExistsError,
    CollectionAliasedError,
    CollectionExistsError,
    CollectionNotFoundError,
    StorageError,
)
from twopass.index.store.aliases import AliasChange, Aliases


class CollectionNames:
    """Collections by their names and aliases. Lookups need no lock; who changes anything holds one.

    Attributes:
        opened: Collections by name.
        failed: Why others could not be opened, by name.
        aliases: Their other names. Never changed, only replaced: a lookup finds the old or the new.
    """

    def __init__(self, aliases: Aliases) -> None:
        self.opened: dict[str, Collection] = {}
        self.failed: dict[str, str] = {}
        self.aliases = aliases

    def find(self, name: str) -> Collection:
        """Returns a collection by its name or an alias.

        Raises:
            CollectionNotFoundError: There is none of that name.
            StorageError: It could not be opened; says why.
        """
        aliases = self.aliases
        try:
            return self._named(self._own_name(name))
        except CollectionNotFoundError:
            if aliases is self.aliases:
                raise
            # The alias was switched meanwhile, and what it had stood for is deleted.
            return self.find(name)

    def has(self, name: str) -> bool:
        """Whether a collection has that name, if only one that failed to open."""
        return name in self.opened or name in self.failed

    def ensure_free(self, name: str) -> None:
        """Makes sure that a new collection can have a name.

        Raises:
            CollectionExistsError: Another one has it.
            AliasExistsError: It is an alias.
        """
        if self.has(name):
            raise CollectionExistsError(name)
        if (collection := self.aliases.collection_of(name)) is not None:
            raise AliasExistsError(name, collection)

    def ensure_deletable(self, name: str) -> None:
        """Makes sure that a collection can be deleted.

        Raises:
            CollectionAliasedError: It has aliases, of which the name given may be one.
            CollectionNotFoundError: There is none of that name.
        """
        own_name = self._own_name(name)
        if aliases := self.aliases.of(own_name):
            raise CollectionAliasedError(own_name, aliases)
        if not self.has(name):
            raise CollectionNotFoundError(name)

    def changed_aliases(
        self, changes: Sequence[AliasChange], ensure_may_use: Callable[[str], None]
    ) -> Aliases:
        """The aliases after some changes; raises as `CollectionStore.update_aliases`."""
        for change in changes:
            if (collection := self.aliases.collection_of(change.alias)) is not None:
                ensure_may_use(collection)
        changed = self.aliases.changed(changes, self.has)
        for change in changes:
            if change.collection is not None:
                self._named(change.collection)
        return changed

    def _own_name(self, name: str) -> str:
        return name if self.has(name) else self.aliases.collection_of(name) or name

    def _named(self, name: str) -> Collection:
        """Returns a collection by its own name; raises as `find`."""
        if (collection := self.opened.get(name)) is not None:
            return collection
        if (reason := self.failed.get(name)) is not None:
            raise StorageError(f"collection {name!r} could not be opened: {reason}")
        raise CollectionNotFoundError(name)
