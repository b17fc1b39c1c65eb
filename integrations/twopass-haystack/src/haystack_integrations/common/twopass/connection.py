"""A connection to a server: its settings, and the clients that they make."""

import threading
from typing import Any

from haystack.utils import Secret, deserialize_secrets_inplace

from twopass.client import AsyncClient, AsyncClients, Client, connect


class Connection:
    """The settings of a connection, and the clients that they make, opened by their first use.

    Keys and files are read then, so that a pipeline can be loaded where they are not at hand.
    """

    def __init__(
        self,
        target: str | None,
        api_key: Secret | None,
        ca: str | None,
        client_certificate: str | None,
        client_key: str | None,
        timeout: float,
    ) -> None:
        """Takes the settings, which are those of `twopass.client.connect`; opens nothing."""
        self._target = target
        self._api_key = api_key
        self._ca = ca
        self._client_certificate = client_certificate
        self._client_key = client_key
        self._timeout = timeout
        self._open_nothing()

    def _open_nothing(self) -> None:
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._async_clients: AsyncClients | None = None

    def __getstate__(self) -> dict[str, Any]:
        own = ("_lock", "_client", "_async_clients")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open_nothing()  # a copy, also by pickle, connects anew

    def init_parameters(self) -> dict[str, Any]:
        """The settings, as the `init_parameters` of whatever has them."""
        return {
            "target": self._target,
            "api_key": None if self._api_key is None else self._api_key.to_dict(),
            "ca": self._ca,
            "client_certificate": self._client_certificate,
            "client_key": self._client_key,
            "timeout": self._timeout,
        }

    def client(self) -> Client:
        """The client for threads, which all of them share."""
        with self._lock:
            if self._client is None:
                self._client = connect(
                    self._target,
                    api_key=None if self._api_key is None else self._api_key.resolve_value(),
                    ca=self._ca,
                    client_certificate=self._client_certificate,
                    client_key=self._client_key,
                    timeout=self._timeout,
                )
            return self._client

    def async_client(self) -> AsyncClient:
        """The client of the running event loop."""
        client = self.client()
        with self._lock:
            if self._async_clients is None:
                self._async_clients = AsyncClients(client)
            return self._async_clients.current()

    def close(self) -> None:
        """Closes the client for threads; the next use opens another.

        Clients of event loops stay open: `close_async` closes that of its own.
        """
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    async def close_async(self) -> None:
        """Closes the client of the running event loop; the next use opens another."""
        with self._lock:
            clients = self._async_clients
        if clients is not None:
            await clients.close()


def with_api_key(data: dict[str, Any]) -> dict[str, Any]:
    """What `to_dict` made of something with a connection, with its key as a `Secret` again."""
    parameters = dict(data.get("init_parameters", {}))
    deserialize_secrets_inplace(parameters, keys=["api_key"])
    return {**data, "init_parameters": parameters}


def default_api_key() -> Secret:
    """The key in `TWOPASS_API_KEY`, where that is set."""
    return Secret.from_env_var("TWOPASS_API_KEY", strict=False)
