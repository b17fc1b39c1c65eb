"""Clients for asyncio of code that does not choose its event loops, as adapters of frameworks."""

import asyncio
import threading

from twopass.client._asyncio import AsyncClient
from twopass.client._sync import Client


class AsyncClients:
    """For each event loop that asks, a client for asyncio of one server.

    A client for asyncio belongs to one event loop. An object that is called from several, one after
    another or at once, asks here in each call. Any number of threads may ask.

    ```python
    clients = AsyncClients(Client("localhost:50051"))
    result = await clients.current().search("docs", "How do I parse a date?")
    ```
    """

    def __init__(self, client: Client) -> None:
        """Opens nothing yet.

        Args:
            client: Whose server, key, credentials and options theirs are. It stays the caller's.
        """
        self._client = client
        self._lock = threading.Lock()
        # In pairs, since a client refers to its loop: a dictionary of weak keys would keep both.
        self._by_loop: list[tuple[asyncio.AbstractEventLoop, AsyncClient]] = []

    def __reduce__(self) -> tuple[type["AsyncClients"], tuple[Client]]:
        return AsyncClients, (self._client,)  # a copy opens its own

    def current(self) -> AsyncClient:
        """The client of the running event loop, opened by the loop's first call.

        Those of loops that are closed are dropped, which ends their connections.

        Raises:
            RuntimeError: No event loop is running in this thread.
        """
        running = asyncio.get_running_loop()
        with self._lock:
            self._by_loop = [pair for pair in self._by_loop if not pair[0].is_closed()]
            for loop, client in self._by_loop:
                if loop is running:
                    return client
            client = self._client.for_asyncio()
            self._by_loop.append((running, client))
        return client

    async def close(self) -> None:
        """Ends the connection of the running event loop and every call on it. Idempotent.

        The loop's next call opens another. Connections of other loops end with their loops.
        """
        running = asyncio.get_running_loop()
        with self._lock:
            own = [client for loop, client in self._by_loop if loop is running]
            self._by_loop = [pair for pair in self._by_loop if pair[0] is not running]
        for client in own:
            await client.close()
