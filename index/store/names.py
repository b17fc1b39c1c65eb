"""The collections of a store by name and alias."""

from collections.abc import Callable, Sequence

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.errors import (
    AliasExistsError,
    CollectionAliasedError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidRenameError,
    StorageError,
)
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
        while True:
            before = self.aliases
            known = self.known.get(name)
            own_name = name
            if known is None:
                # Read after the names: a name that becomes an alias is one before it is no name.
                own_name = self.aliases.collection_of(name) or name
                known = self.known.get(own_name)
            if known is not None and not known.is_gone:
                return known
            if before is self.aliases:
                raise CollectionNotFoundError(own_name)
            # The alias was switched meanwhile, and the collection it had stood for was deleted or
            # renamed; or it has become a name.

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

    def renamable(self, name: str, new_name: str) -> KnownCollection:
        """Returns a collection that can get another name, given by its own.

        Raises:
            CollectionNotFoundError: No collection has that name.
            InvalidRenameError: The name is an alias, or the new name is the collection's already.
            CollectionExistsError: Another collection has the new name.
            AliasExistsError: The new name is an alias of another collection.
        """
        if not self.has(name) and (collection := self.aliases.collection_of(name)) is not None:
            raise InvalidRenameError(
                "name",
                f"{name!r} is an alias of collection {collection!r}; rename that, or switch the "
                "alias by UpdateAliases",
                value=name,
            )
        known = self._named(name)
        if new_name == name:
            raise InvalidRenameError(
                "new_name", f"{name!r} is its name already; choose another", value=new_name
            )
        if self.aliases.collection_of(new_name) != name or self.has(new_name):
            self.ensure_free(new_name)
        return known

    def rename(self, known: KnownCollection, new_name: str, aliases: Aliases) -> None:
        """Gives a collection another name, and puts in force the aliases after that.

        A lookup finds the collection by the old name until it does so by the new one, and all the
        time by its aliases, the old name among them where it becomes one.
        """
        old_name = known.name
        self.known[new_name] = known  # before it says that name: whoever reads it can look it up
        known.shared_name.change(new_name)
        self.aliases = aliases
        del self.known[old_name]

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
