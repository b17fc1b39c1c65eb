"""Which collections there are, and what they are called: reads and changes of the catalogue.

Every change of names takes one lock for the length of its transaction, so that of two servers one
sees what the other did. Reading takes none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.errors import (
    AliasExistsError,
    CollectionAliasedError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidRenameError,
)
from twopass.index.postgres.migrations import CATALOGUE_LOCK
from twopass.index.schema import CollectionSchema, check_name
from twopass.index.sequences import SequenceToken
from twopass.index.summary import CollectionSummary

_COLUMNS = (
    "id, incarnation, schema, analysis, create_time, position, num_documents, num_split, "
    "num_vectors, settings, own.name"
)

MAX_SCHEMAS = 1_000
"""Collections whose schemas are kept at once, some kilobytes each."""


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as the catalogue describes it at one moment.

    Attributes:
        id: Its number in the database; its tables are named by it.
        name: Its own name.
        schema: Its schema.
        analysis: Of the words that its tables hold.
        create_time: When it was created, UTC.
        sequence: Its state.
        num_documents: How many documents it has.
        num_split: How many of them are split.
        num_vectors: How many vectors they have: one each, or one for each window.
        settings: What the server keeps with it; "" for nothing.
    """

    id: int
    name: str
    schema: CollectionSchema
    analysis: str
    create_time: datetime
    sequence: SequenceToken
    num_documents: int
    num_split: int
    num_vectors: int
    settings: str

    def summary(self, read_only_reason: str = "") -> CollectionSummary:
        """Describes it."""
        return CollectionSummary(
            name=self.name,
            schema=self.schema,
            create_time=self.create_time,
            num_documents=self.num_documents,
            num_split=self.num_split,
            sequence=self.sequence,
            read_only_reason=read_only_reason,
            settings=self.settings,
        )


class Catalogue:
    """The catalogue of one schema of a database. Methods are handed a connection to work on."""

    def __init__(self, schema: str) -> None:
        """Takes the schema's name, as SQL."""
        self.schema = schema
        # Of collections met lately: a schema never changes, and is read again and again. Those that
        # other servers delete are not told of.
        self._schemas: dict[tuple[int, str], CollectionSchema] = {}

    async def find(self, connection: Any, name: str) -> CollectionRow:
        """Finds a collection by its name or an alias.

        Raises:
            CollectionNotFoundError: No collection has that name.
        """
        record = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM {self.schema}.names AS given "
            f"JOIN {self.schema}.collections ON id = given.collection "
            f"JOIN {self.schema}.names AS own ON own.collection = id AND NOT own.is_alias "
            "WHERE given.name = $1 AND NOT is_deleted",
            name,
        )
        if record is None:
            raise CollectionNotFoundError(name)
        return self._row(record)

    async def read(self, connection: Any, collection: int, name: str) -> CollectionRow:
        """Reads a collection by its number.

        Raises:
            CollectionNotFoundError: It was deleted; calls it `name`.
        """
        record = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM {self.schema}.collections "
            f"JOIN {self.schema}.names AS own ON own.collection = id AND NOT own.is_alias "
            "WHERE id = $1 AND NOT is_deleted",
            collection,
        )
        if record is None:
            raise CollectionNotFoundError(name)
        return self._row(record)

    async def after(self, connection: Any, name: str, limit: int) -> list[CollectionRow]:
        """Reads collections whose own names sort after one, by name."""
        records = await connection.fetch(
            f"SELECT {_COLUMNS} FROM {self.schema}.names AS own "
            f"JOIN {self.schema}.collections ON id = own.collection "
            "WHERE own.name > $1 AND NOT own.is_alias AND NOT is_deleted "
            "ORDER BY own.name LIMIT $2",
            name,
            limit,
        )
        return [self._row(record) for record in records]

    async def aliases(self, connection: Any) -> Aliases:
        """All aliases."""
        return Aliases(
            {
                record["name"]: record["own"]
                for record in await connection.fetch(
                    f"SELECT given.name, own.name AS own FROM {self.schema}.names AS given "
                    f"JOIN {self.schema}.names AS own USING (collection) "
                    "WHERE given.is_alias AND NOT own.is_alias"
                )
            }
        )

    async def lock(self, connection: Any) -> None:
        """Waits for the turn of a change, which ends with its transaction."""
        await connection.execute(f"SELECT pg_advisory_xact_lock({CATALOGUE_LOCK})")

    async def ensure_free(self, connection: Any, name: str) -> None:
        """Makes sure that a new collection can have a name.

        Raises:
            CollectionExistsError: Another collection has the name.
            AliasExistsError: The name is an alias.
        """
        known, aliases = await self._all(connection)
        _ensure_free(name, known, aliases)

    async def add(
        self, connection: Any, name: str, incarnation: str, schema: CollectionSchema, analysis: str
    ) -> CollectionRow:
        """Adds a collection, whose tables are still to be made."""
        collection = await connection.fetchval(
            f"INSERT INTO {self.schema}.collections (incarnation, schema, analysis) "
            "VALUES ($1, $2, $3) RETURNING id",
            incarnation,
            schema.to_json(),
            analysis,
        )
        await connection.execute(
            f"INSERT INTO {self.schema}.names VALUES ($1, $2, false)", name, collection
        )
        return await self.read(connection, collection, name)

    async def mark_deleted(self, connection: Any, name: str) -> int:
        """Takes a collection's name away; returns its number, whose tables are to be dropped.

        Waits for the write that is under way.

        Raises:
            CollectionAliasedError: The collection has aliases; `name` may be one of them.
            CollectionNotFoundError: No collection has that name.
        """
        known, aliases = await self._all(connection)
        own = name if name in known else aliases.collection_of(name) or name
        if given := aliases.of(own):
            raise CollectionAliasedError(own, given)
        if name not in known:
            raise CollectionNotFoundError(name)
        await connection.execute(
            f"UPDATE {self.schema}.collections SET is_deleted = true WHERE id = $1", known[name]
        )
        await connection.execute(f"DELETE FROM {self.schema}.names WHERE name = $1", name)
        # What is being recorded meanwhile goes when the collection is forgotten.
        for table in ("feedback", "feedback_texts"):
            await connection.execute(
                f"DELETE FROM {self.schema}.{table} WHERE collection = $1", known[name]
            )
        return known[name]

    async def deleted(self, connection: Any) -> list[int]:
        """Numbers of collections whose tables are still to be dropped."""
        records = await connection.fetch(
            f"SELECT id FROM {self.schema}.collections WHERE is_deleted"
        )
        return [record["id"] for record in records]

    async def forget(self, connection: Any, collection: int) -> None:
        """Removes a deleted collection, whose tables are dropped."""
        await connection.execute(
            f"DELETE FROM {self.schema}.collections WHERE id = $1 AND is_deleted", collection
        )

    async def rename(self, connection: Any, name: str, new_name: str, *, keep_alias: bool) -> int:
        """Gives a collection another name; returns its number.

        Raises:
            InvalidSchemaError: The new name is not a valid collection name.
            InvalidRenameError: `name` is an alias, or the new name is the collection's already.
            CollectionNotFoundError: No collection has that name.
            CollectionExistsError: Another collection has the new name.
            AliasExistsError: The new name is an alias of another collection.
            InvalidAliasError: There would be too many aliases.
        """
        check_name(new_name, "new_name")
        known, aliases = await self._all(connection)
        if name not in known:
            if (own := aliases.collection_of(name)) is not None:
                raise InvalidRenameError(
                    "name",
                    f"{name!r} is an alias of collection {own!r}; rename that, or switch the "
                    "alias by UpdateAliases",
                    value=name,
                )
            raise CollectionNotFoundError(name)
        if new_name == name:
            raise InvalidRenameError(
                "new_name", f"{name!r} is its name already; choose another", value=new_name
            )
        if aliases.collection_of(new_name) != name or new_name in known:
            _ensure_free(new_name, known, aliases)
        aliases.after_rename(name, new_name, keeps_alias=keep_alias)  # checks their number
        collection = known[name]
        await connection.execute(f"DELETE FROM {self.schema}.names WHERE name = $1", new_name)
        await connection.execute(
            f"UPDATE {self.schema}.names SET name = $1 WHERE name = $2", new_name, name
        )
        if keep_alias:
            await self._add_alias(connection, name, collection)
        return collection

    async def set_settings(
        self, connection: Any, collection: int, name: str, settings: str
    ) -> CollectionRow:
        """Replaces the settings of a collection, given by its number.

        Raises:
            CollectionNotFoundError: It was deleted; calls it `name`.
        """
        await connection.execute(
            f"UPDATE {self.schema}.collections SET settings = $1 WHERE id = $2 AND NOT is_deleted",
            settings,
            collection,
        )
        return await self.read(connection, collection, name)

    async def update_aliases(
        self,
        connection: Any,
        changes: Sequence[AliasChange],
        ensure_may_use: Callable[[str], None],
    ) -> Aliases:
        """Changes aliases, as `Store.update_aliases` says."""
        known, aliases = await self._all(connection)
        for change in changes:
            if (own := aliases.collection_of(change.alias)) is not None:
                ensure_may_use(own)
        changed = aliases.changed(changes, known.__contains__)
        for change in changes:
            if change.collection is not None and change.collection not in known:
                raise CollectionNotFoundError(change.collection)
        for change in changes:
            await connection.execute(
                f"DELETE FROM {self.schema}.names WHERE name = $1 AND is_alias", change.alias
            )
            if change.collection is not None:
                await self._add_alias(connection, change.alias, known[change.collection])
        return changed

    async def _add_alias(self, connection: Any, alias: str, collection: int) -> None:
        await connection.execute(
            f"INSERT INTO {self.schema}.names VALUES ($1, $2, true)", alias, collection
        )

    async def _all(self, connection: Any) -> tuple[dict[str, int], Aliases]:
        """The numbers of all collections by their own names, and all aliases."""
        records = await connection.fetch(
            f"SELECT name, collection, is_alias FROM {self.schema}.names"
        )
        known = {r["name"]: int(r["collection"]) for r in records if not r["is_alias"]}
        own = {collection: name for name, collection in known.items()}
        return known, Aliases({r["name"]: own[r["collection"]] for r in records if r["is_alias"]})

    def _row(self, record: Mapping[str, Any]) -> CollectionRow:
        known = (record["id"], record["incarnation"])
        schema = self._schemas.get(known)
        if schema is None:
            if len(self._schemas) >= MAX_SCHEMAS:
                self._schemas.clear()
            schema = CollectionSchema.from_json(record["schema"])
            self._schemas[known] = schema
        return CollectionRow(
            id=record["id"],
            name=record["name"],
            schema=schema,
            analysis=record["analysis"],
            create_time=record["create_time"].astimezone(UTC),
            sequence=SequenceToken(record["incarnation"], record["position"]),
            num_documents=record["num_documents"],
            num_split=record["num_split"],
            num_vectors=record["num_vectors"],
            settings=record["settings"],
        )


def _ensure_free(name: str, known: Mapping[str, int], aliases: Aliases) -> None:
    if name in known:
        raise CollectionExistsError(name)
    if (collection := aliases.collection_of(name)) is not None:
        raise AliasExistsError(name, collection)
