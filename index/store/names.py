"""The collections of a store by name and alias."""

from collections.abc import Callable, Sequence

from twopass.index.errors import (
    AliasExistsError,
    CollectionAliasedError,
    CollectionExistsError,
    CollectionNotFoundError,
    StorageError,
)
from twopass.index.store.aliases import AliasChange, Aliases
from twopass.index.store.known import KnownCollection


class CollectionNames:
    """Collections by their names and aliases. Lookups need no lock; changes do.

    Attributes:
        known: Collections by their own names, including collections that are being deleted.
        aliases: Their aliases. Replaced as a whole, so that a lookup finds all old or all new ones.
    """

    def __init__(self, aliases: Aliases) -> None:
        self.known: dict[str, KnownCollection] = {}
        self.aliases = aliases

    def find(self, name: str) -> KnownCollection:
        """Returns a collection by its name or an alias.

        Raises:
            CollectionNotFoundError: No collection has that name.
        """
        aliases = self.aliases
        try:
            return self._named(self._own_name(name))
        except CollectionNotFoundError:
            if aliases is self.aliases:
                raise
            # The alias was switched meanwhile, and the collection it had stood for was deleted.
            return self.find(name)

    def has(self, name: str) -> bool:
        """Whether a collection has that name, even one that can't be opened."""
        return name in self.known

    def ensure_free(self, name: str) -> None:
        """Makes sure that a new collection can have a name.

        Raises:
            CollectionExistsError: Another collection has the name.
            AliasExistsError: The name is an alias.
        """
        if self.has(name):
            raise CollectionExistsError(name)
        if (collection := self.aliases.collection_of(name)) is not None:
            raise AliasExistsError(name, collection)

    def ensure_deletable(self, name: str) -> None:
        """Makes sure that a collection can be deleted.

        Raises:
            CollectionAliasedError: The collection has aliases; `name` may be one of them.
            CollectionNotFoundError: No collection has that name.
        """
        own_name = self._own_name(name)
        if aliases := self.aliases.of(own_name):
            raise CollectionAliasedError(own_name, aliases)
        self._named(name)

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
                known = self._named(change.collection)
                if known.failure:
                    raise StorageError(
                        f"collection {known.name!r} could not be opened: {known.failure}"
                    )
        return changed

    def _own_name(self, name: str) -> str:
        return name if self.has(name) else self.aliases.collection_of(name) or name

    def _named(self, name: str) -> KnownCollection:
        """Returns a collection by its own name; raises as `find`."""
        known = self.known.get(name)
        if known is None or known.is_gone:
            raise CollectionNotFoundError(name)
        return known
