"""What all components with a connection of their own have in common."""

from typing import Any, Self

from haystack import default_from_dict
from haystack_integrations.common.twopass.connection import Connection, with_api_key


class ConnectedComponent:
    """Begins and ends with its connection; its subclasses make that."""

    _connection: Connection

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Deserializes the component."""
        return default_from_dict(cls, with_api_key(data))

    def warm_up(self) -> None:
        """Opens the client, with its key and certificates."""
        self._connection.client()

    async def warm_up_async(self) -> None:
        """Does what `warm_up` does, for asyncio."""
        self._connection.async_client()

    def close(self) -> None:
        """Ends the connection; the next use opens another."""
        self._connection.close()

    async def close_async(self) -> None:
        """Ends the connection of the running event loop; the next use opens another."""
        await self._connection.close_async()
