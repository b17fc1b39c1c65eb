"""Collections of a Milvus by name."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.base.collection import Lease
from twopass.index.errors import (
    AliasExistsError,
    CollectionAliasedError,
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidRenameError,
    InvalidSchemaError,
    StorageError,
    StoreUnreachableError,
)
from twopass.index.milvus.collection import MilvusCollection
from twopass.index.milvus.connection import MilvusConnection, NoSuchCollectionError
from twopass.index.milvus.filter_expression import STORE
from twopass.index.milvus.index_kinds import DEFAULT
from twopass.index.milvus.layout import (
    COMPLETED,
    Description,
    check_schema,
    fields_of,
    indexes_for_speed,
    indexes_of,
)
from twopass.index.milvus.names import name_from_milvus, name_in_milvus
from twopass.index.milvus.place import MilvusPlace
from twopass.index.schema import CollectionSchema, check_name
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary

_LOG = logging.getLogger("twopass.index")

_DESCRIBED_AT_ONCE = 16
_TRIES_TO_CREATE, _SECONDS_BETWEEN = 5, 0.2
# What was begun so long ago and is not complete was begun by a server that ended.
_CREATION_TAKES = timedelta(minutes=5)


class MilvusStore:
    """The collections of one database of a Milvus. Belongs to one event loop.

    Keeps nothing that another server's store would have to know: which collections there are is
    asked for every call, and so are their schemas, which no collection changes.
    """

    def __init__(self, url: str) -> None:
        """Makes ready to connect.

        Args:
            url: Where the Milvus is, as `MilvusPlace.parse` reads it. What logs in may stand in the
                environment instead, as `MILVUS_TOKEN`: a token, or `user:password`.

        Raises:
            InvalidPlaceError: The URL is malformed.
        """
        self._place = MilvusPlace.parse(url, os.environ.get("MILVUS_TOKEN", ""))
        self._connection = MilvusConnection(self._place)
        self._collections: dict[str, MilvusCollection] = {}  # by incarnation
        self._changing = asyncio.Lock()  # over changes of names through this server
        self._closed = False

    @property
    def kind(self) -> str:
        """What it is."""
        return STORE

    @property
    def place(self) -> str:
        """Where it is, without the password."""
        return str(self._place)

    @property
    def default_index_kind(self) -> str:
        """Whatever the Milvus holds for best."""
        return DEFAULT

    @property
    def problem(self) -> str:
        """Why the last call got no answer; "" if it got one."""
        return self._connection.problem

    async def start(self) -> None:
        """Connects, if the Milvus answers."""
        try:
            names = await self._connection.names()
        except StoreUnreachableError as error:
            _LOG.warning("the store does not answer yet: %s", error)
            return
        ours = [name for name in names if name_from_milvus(name) is not None]
        _LOG.info("store connected", extra={"store": self.place, "num_collections": len(ours)})

    async def close(self) -> None:
        """Finishes what was submitted, and disconnects. Idempotent."""
        self._closed = True
        for collection in list(self._collections.values()):
            await collection.finish_writes()
        await self._connection.close()

    async def acquire(self, name: str, stop: Stop = NEVER) -> Lease:
        """Returns a collection."""
        return Lease(await self._found(name, stop), lambda: None)

    async def summary(self, name: str, stop: Stop = NEVER) -> CollectionSummary:
        """Describes a collection."""
        return await (await self._found(name, stop)).summary(stop)

    async def summaries(
        self,
        may_use: Callable[[str], bool],
        *,
        after: str = "",
        limit: int | None = None,
        stop: Stop = NEVER,
    ) -> Sequence[CollectionSummary]:
        """Describes collections, by name."""
        names = [name for name in await self._names(stop) if name > after and may_use(name)]
        found: list[CollectionSummary] = []
        start = 0
        while start < len(names) and (limit is None or len(found) < limit):
            some = names[start : start + _DESCRIBED_AT_ONCE]
            start += len(some)
            summaries = await asyncio.gather(*(self._summary_if_there(x, stop) for x in some))
            found += [summary for summary in summaries if summary is not None]
        return found[:limit]

    async def create(
        self, name: str, schema: CollectionSchema, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Creates an empty collection."""
        check_name(name)
        check_schema(schema)
        stop.check()
        return await asyncio.shield(asyncio.ensure_future(self._create(name, schema)))

    async def delete(self, name: str, stop: Stop = NEVER) -> None:
        """Deletes a collection for good, by its own name."""
        stop.check()
        self._check_open(name)
        async with self._changing:
            collection = await self._found(name, stop)
            if aliases := await self._aliases_of(collection.name, stop):
                raise CollectionAliasedError(collection.name, aliases)
            await self._drop(collection.name)
            self._collections.pop(collection.incarnation, None)
        _LOG.info("collection deleted", extra={"collection": name})

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool = False, stop: Stop = NEVER
    ) -> CollectionSummary | None:
        """Gives a collection another name.

        Milvus changes one name at a time: where an alias becomes the name, or the name an alias,
        there is a moment without it.
        """
        check_name(new_name, "new_name")
        stop.check()
        self._check_open(name)
        renaming = self._rename(name, new_name, keep_alias=keep_alias)
        collection = await asyncio.shield(asyncio.ensure_future(renaming))
        try:
            return await collection.summary(stop)
        except (CollectionClosedError, StorageError):
            return None

    async def aliases(self, stop: Stop = NEVER) -> Aliases:
        """All aliases."""
        names = await self._names(stop)
        collections: dict[str, str] = {}
        for start in range(0, len(names), _DESCRIBED_AT_ONCE):
            some = names[start : start + _DESCRIBED_AT_ONCE]
            aliases = await asyncio.gather(*(self._aliases_of(name, stop) for name in some))
            for name, of_one in zip(some, aliases, strict=True):
                collections.update(dict.fromkeys(of_one, name))
        return Aliases(collections)

    async def update_aliases(
        self,
        changes: Sequence[AliasChange],
        ensure_may_use: Callable[[str], None],
        stop: Stop = NEVER,
    ) -> Aliases:
        """Creates, switches and removes aliases.

        Milvus changes one alias at a time: others see the changes one after the other. Where one
        fails, those before it are taken back.
        """
        async with self._changing:
            before = await self.aliases(stop)
            if not changes:
                return before
            self._check_open(changes[0].collection or changes[0].alias)
            for change in changes:
                if (collection := before.collection_of(change.alias)) is not None:
                    ensure_may_use(collection)
            names = frozenset(await self._names(stop))
            after = before.changed(changes, names.__contains__)
            for change in changes:
                if change.collection is not None and change.collection not in names:
                    raise CollectionNotFoundError(change.collection)
            stop.check()
            await asyncio.shield(asyncio.ensure_future(self._change_aliases(changes, before)))
        return after

    async def _create(self, name: str, schema: CollectionSchema) -> CollectionSummary:
        self._check_open(name)
        async with self._changing:
            in_milvus = name_in_milvus(name)
            description = Description.of_new(schema)
            self._connection.forget_schema(in_milvus)
            await self._begin_collection(name, description)
            # A Milvus takes a collection of the same fields for the same one.
            if (found := await self._described(name, NEVER))[1].incarnation != (
                description.incarnation
            ):
                raise CollectionExistsError(found[0])
            try:
                await self._make_indexes(in_milvus, schema)
                await self._connection.change("load_collection", in_milvus)
                await self._connection.change(
                    "alter_collection_properties", in_milvus, properties=COMPLETED
                )
            except BaseException:
                await self._drop(name)
                raise
            collection = self._take(name, description.completed())
        _LOG.info("collection created", extra={"collection": name})
        return await collection.summary()

    async def _begin_collection(self, name: str, description: Description) -> None:
        """Has Milvus make a collection, unless something has its name."""
        tries = _TRIES_TO_CREATE
        while True:
            await self._ensure_free(name)
            try:
                await self._connection.change(
                    "create_collection",
                    name_in_milvus(name),
                    schema=fields_of(description.schema),
                    properties=description.properties(),
                    consistency_level="Strong",
                )
                return
            except StoreUnreachableError:
                raise
            except StorageError:
                tries -= 1
                if not tries:
                    raise
            # Another server may make it at this moment, and Milvus not know its name yet.
            await asyncio.sleep(_SECONDS_BETWEEN)

    async def _make_indexes(self, in_milvus: str, schema: CollectionSchema) -> None:
        for index in indexes_of(schema):
            await self._connection.create_index(in_milvus, index)
        for index in indexes_for_speed(schema):
            try:
                await self._connection.create_index(in_milvus, index)
            except StoreUnreachableError:
                raise
            except StorageError as error:  # filters find the same without, by looking at all
                _LOG.warning("filters have no index: %s", error, extra={"field": index.field_name})

    async def _rename(self, name: str, new_name: str, *, keep_alias: bool) -> MilvusCollection:
        async with self._changing:
            own_name, description = await self._described(name, NEVER)
            if own_name != name:
                raise InvalidRenameError(
                    "name",
                    f"{name!r} is an alias of collection {own_name!r}; rename that, or switch the "
                    "alias by UpdateAliases",
                    value=name,
                )
            if new_name == name:
                raise InvalidRenameError(
                    "new_name", f"{name!r} is its name already; choose another", value=new_name
                )
            before = await self.aliases()
            before.after_rename(name, new_name, keeps_alias=keep_alias)  # there may be too many
            is_alias = before.collection_of(new_name) == name
            if not is_alias:
                await self._ensure_free(new_name)
            old, new = name_in_milvus(name), name_in_milvus(new_name)
            if is_alias:
                await self._connection.change("drop_alias", new)
            try:
                await self._connection.change("rename_collection", old, new)
            except BaseException:
                if is_alias:
                    await self._connection.change("create_alias", old, new)
                raise
            self._connection.forget_schema(old)
            self._connection.forget_schema(new)
            collection = self._take(new_name, description)
            await self._connection.change("load_collection", new)
            if keep_alias:
                await self._connection.change("create_alias", new, old)
        _LOG.info(
            "collection renamed",
            extra={"collection": new_name, "from_collection": name, "keeps_alias": keep_alias},
        )
        return collection

    async def _change_aliases(self, changes: Sequence[AliasChange], before: Aliases) -> None:
        done: list[AliasChange] = []
        try:
            for change in changes:
                await self._change_alias(change, before.collection_of(change.alias))
                done.append(change)
        except BaseException:
            for change in reversed(done):
                earlier = AliasChange(change.alias, before.collection_of(change.alias))
                await self._change_alias(earlier, change.collection)
            raise
        for change in changes:
            _LOG.info(
                "alias changed", extra={"alias": change.alias, "collection": change.collection}
            )

    async def _change_alias(self, change: AliasChange, stands_for: str | None) -> None:
        alias = name_in_milvus(change.alias)
        if change.collection is None:
            if stands_for is not None:
                await self._connection.change("drop_alias", alias)
            return
        verb = "create_alias" if stands_for is None else "alter_alias"
        try:
            await self._connection.change(verb, name_in_milvus(change.collection), alias)
        except NoSuchCollectionError as error:
            raise CollectionNotFoundError(change.collection) from error

    async def _found(self, name: str, stop: Stop) -> MilvusCollection:
        """The collection that has a name or an alias.

        Raises:
            CollectionNotFoundError: There is none.
        """
        self._check_open(name)
        own_name, description = await self._described(name, stop)
        if not description.is_ready:  # another server makes it now, or ended while it did
            raise CollectionNotFoundError(name)
        return self._take(own_name, description)

    def _take(self, name: str, description: Description) -> MilvusCollection:
        """The object of a collection, which all calls of this server share."""
        collection = self._collections.get(description.incarnation)
        if collection is None:
            collection = MilvusCollection(
                name, description, self._connection, self._place.consistency
            )
            for other in list(self._collections.values()):
                if other.name == name:  # another life, deleted by another server
                    del self._collections[other.incarnation]
                    self._connection.forget_schema(name_in_milvus(name))
            self._collections[description.incarnation] = collection
            return collection
        if collection.name != name:
            collection.shared_name.change(name)
        collection.refresh(description)
        return collection

    async def _described(self, name: str, stop: Stop) -> tuple[str, Description]:
        """A collection's own name and description, given its name or an alias."""
        try:
            check_name(name)
            found = await self._connection.read(
                "describe_collection", name_in_milvus(name), stop=stop
            )
        except (InvalidSchemaError, NoSuchCollectionError) as error:
            raise CollectionNotFoundError(name) from error
        own_name = name_from_milvus(found["collection_name"]) or name
        description = Description.read(own_name, found.get("properties", {}))
        return own_name, description

    async def _ensure_free(self, name: str) -> None:
        """Makes sure that nothing has a name, and removes what a server left that ended.

        Raises:
            CollectionExistsError: A collection has it.
            AliasExistsError: An alias has it.
        """
        try:
            own_name, description = await self._described(name, NEVER)
        except CollectionNotFoundError:
            return
        if own_name != name:
            raise AliasExistsError(name, own_name)
        is_recent = datetime.now(UTC) - description.create_time < _CREATION_TAKES
        if description.is_ready or is_recent:
            raise CollectionExistsError(name)
        await self._drop(name)

    async def _drop(self, name: str) -> None:
        in_milvus = name_in_milvus(name)
        await self._connection.change("drop_collection", in_milvus)
        self._connection.forget_schema(in_milvus)

    async def _names(self, stop: Stop = NEVER) -> list[str]:
        """The names of all collections, sorted."""
        names = map(name_from_milvus, await self._connection.names(stop))
        return sorted(name for name in names if name is not None)

    async def _aliases_of(self, name: str, stop: Stop) -> list[str]:
        try:
            found = await self._connection.read("list_aliases", name_in_milvus(name), stop=stop)
        except NoSuchCollectionError:  # deleted meanwhile
            return []
        aliases = found["aliases"] if isinstance(found, dict) else found
        names = map(name_from_milvus, aliases)
        return sorted(alias for alias in names if alias is not None)

    async def _summary_if_there(self, name: str, stop: Stop) -> CollectionSummary | None:
        try:
            return await self.summary(name, stop)
        except (CollectionNotFoundError, CollectionClosedError):
            return None
        except StoreUnreachableError:
            raise
        except StorageError as error:
            _LOG.warning("collection can't be read: %s", error, extra={"collection": name})
            return None

    def _check_open(self, name: str) -> None:
        if self._closed:
            raise CollectionClosedError(name)
