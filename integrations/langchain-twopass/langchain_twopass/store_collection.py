"""The collection of a vector store, found or created by its first call."""

from contextlib import suppress
from dataclasses import replace

from langchain_core.embeddings import Embeddings

from langchain_twopass.connection import TwopassConnection
from twopass.client import AlreadyExistsError, Collection, NotFoundError, Schema

# Any text has as many components as any other.
_PROBE = "How many components does an embedding have?"


class StoreCollection:
    """Finds or creates a collection once, and looks whether it fits the store's embedding."""

    def __init__(
        self,
        connection: TwopassConnection,
        name: str,
        embedding: Embeddings | None,
        *,
        schema: Schema | None,
    ) -> None:
        """Prepares.

        Args:
            connection: How the server is reached.
            name: The collection's name, or an alias.
            embedding: Embeds documents and queries. None: the server does.
            schema: What a new collection is like. None: none is created.
        """
        self._connection = connection
        self._name = name
        self._embedding = embedding
        self._schema = schema
        self._found: Collection | None = None

    def forget(self) -> None:
        """The next call looks for it again."""
        self._found = None

    def opened(self, sample: str = _PROBE) -> Collection:
        """The collection, found or created by the first call.

        Args:
            sample: A text to embed, for the dimension of a new collection.

        Raises:
            NotFoundError: There is none, and none is to be created.
            ValueError: It has vectors and there is no embedding, or the other way round.
        """
        if self._found is None:
            connected = self._connection.connected()
            try:
                found = connected.get_collection(self._name)
            except NotFoundError:
                if self._schema is None:
                    raise
                dimension = 0
                if self._embedding is not None:
                    dimension = len(self._embedding.embed_query(sample))
                with suppress(AlreadyExistsError):  # another has been faster
                    connected.create_collection(self._name, self._new(self._schema, dimension))
                found = connected.get_collection(self._name)
            self._found = self._checked(found)
        return self._found

    async def opened_async(self, sample: str = _PROBE) -> Collection:
        """As `opened`, by the client for asyncio."""
        if self._found is None:
            connected = self._connection.connected_async()
            try:
                found = await connected.get_collection(self._name)
            except NotFoundError:
                if self._schema is None:
                    raise
                dimension = 0
                if self._embedding is not None:
                    dimension = len(await self._embedding.aembed_query(sample))
                with suppress(AlreadyExistsError):  # another has been faster
                    await connected.create_collection(
                        self._name, self._new(self._schema, dimension)
                    )
                found = await connected.get_collection(self._name)
            self._found = self._checked(found)
        return self._found

    def _new(self, schema: Schema, dimension: int) -> Schema:
        if self._embedding is None:
            return schema
        return replace(schema, dimension=dimension, client_vectors=True)

    def _checked(self, found: Collection) -> Collection:
        if found.schema.client_vectors and self._embedding is None:
            raise ValueError(
                f"embedding: unset, but collection {found.name!r} has vectors of its clients' own, "
                f"of {found.schema.dimension} components; give the embedding that made them"
            )
        if self._embedding is not None and not found.schema.client_vectors:
            raise ValueError(
                f"embedding: given, but the server embeds collection {found.name!r} by "
                f"{found.schema.encoder}, and vectors of two models don't compare; leave it out, "
                "or choose another collection_name"
            )
        return found
