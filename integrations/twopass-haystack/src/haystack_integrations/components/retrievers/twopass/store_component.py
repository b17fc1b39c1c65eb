"""What all retrievers have in common: they begin and end with their store."""

from typing import Any, Self

from haystack import default_from_dict
from haystack_integrations.document_stores.twopass import TwopassDocumentStore


class StoreComponent:
    """Begins and ends with its document store, and is deserialized with it."""

    document_store: TwopassDocumentStore

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Deserializes the retriever and its store."""
        parameters = dict(data["init_parameters"])
        parameters["document_store"] = TwopassDocumentStore.from_dict(parameters["document_store"])
        return default_from_dict(cls, {**data, "init_parameters": parameters})

    def warm_up(self) -> None:
        """Connects, and creates the collection if it is not there."""
        self.document_store.warm_up()

    async def warm_up_async(self) -> None:
        """Does what `warm_up` does, for asyncio."""
        await self.document_store.warm_up_async()

    def close(self) -> None:
        """Ends the store's connection; the next use opens another."""
        self.document_store.close()

    async def close_async(self) -> None:
        """Ends the store's connection of the running event loop."""
        await self.document_store.close_async()
