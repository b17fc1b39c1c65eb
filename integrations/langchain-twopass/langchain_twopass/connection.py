"""How every component reaches the server."""

import threading
from collections.abc import Callable
from typing import Any, Self

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from twopass.client import AsyncClient, AsyncClients, Client, connect


class _Clients:
    """The clients of one component, opened by its first calls.

    A copy of this, also by pickle, holds none and opens its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._async_clients: AsyncClients | None = None

    def __reduce__(self) -> tuple[type["_Clients"], tuple[()]]:
        return _Clients, ()

    def for_threads(self, open_client: Callable[[], Client]) -> Client:
        """The client for threads."""
        with self._lock:
            if self._client is None:
                self._client = open_client()
            return self._client

    def for_asyncio(self, open_client: Callable[[], Client]) -> AsyncClients:
        """The clients for event loops."""
        client = self.for_threads(open_client)
        with self._lock:
            if self._async_clients is None:
                self._async_clients = AsyncClients(client)
            return self._async_clients

    def take(self) -> Client | None:
        """The open client for threads, to be closed; the next call opens another."""
        with self._lock:
            client, self._client = self._client, None
        return client

    async def close_asyncio(self) -> None:
        """Closes the client of the running event loop; its next call opens another."""
        with self._lock:
            clients = self._async_clients
        if clients is not None:
            await clients.close()


class TwopassConnection(BaseModel):
    """Where the server is, and the key for it; every component takes these fields.

    A connection is made by the first call. Copies and pickles of a component make their own.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", use_attribute_docstrings=True
    )

    target: str = Field(default_factory=from_env("TWOPASS_TARGET", default="localhost:50051"))
    """Where the server is, over gRPC: host:port, or several with commas between them.

    Not given, it is that of `TWOPASS_TARGET`.
    """

    api_key: SecretStr | None = Field(
        default_factory=secret_from_env("TWOPASS_API_KEY", default=None)
    )
    """Sent with every call; unencrypted without TLS. Read from `TWOPASS_API_KEY`. None: no key."""

    ca: str | None = Field(default_factory=from_env("TWOPASS_CA", default=None))
    """TLS: a PEM file of authorities to trust, or "system" for the machine's own. Read from
    `TWOPASS_CA`. None: plain text."""

    client_certificate: str | None = Field(
        default_factory=from_env("TWOPASS_CLIENT_CERTIFICATE", default=None)
    )
    """A PEM file, for a server that asks its clients for a certificate, with `client_key`."""

    client_key: str | None = Field(default_factory=from_env("TWOPASS_CLIENT_KEY", default=None))
    """A PEM file: the key of `client_certificate`."""

    client: Client | None = Field(default=None, exclude=True, repr=False)
    """A connection of your own, which the fields above say nothing about. Asynchronous calls go to
    the same server with the same key."""

    async_client: AsyncClient | None = Field(default=None, exclude=True, repr=False)
    """A connection of your own for asynchronous calls, of the event loop that makes them."""

    _clients: _Clients = PrivateAttr(default_factory=_Clients)

    @model_validator(mode="after")
    def _check_certificate(self) -> Self:
        if bool(self.client_certificate) != bool(self.client_key):  # an empty one is as none
            missing = "client_key" if self.client_certificate else "client_certificate"
            raise ValueError(f"{missing}: unset; a client's certificate and its key go together")
        if self.client_certificate and not self.ca:
            raise ValueError(
                "ca: unset, so client_certificate would not be used; give a PEM file of "
                'authorities, or "system"'
            )
        return self

    def __copy__(self) -> Self:
        # Also what `model_copy` begins with, which may then change the server or the key.
        copied = super().__copy__()
        copied._clients = _Clients()
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        for name in ("client", "async_client"):
            if getattr(self, name) is not None:
                raise TypeError(
                    f"{name}: a live connection can't be pickled; give target, api_key and ca in "
                    "its place"
                )
        return super().__getstate__()

    def connected(self) -> Client:
        """The client for threads.

        Raises:
            InvalidArgumentError: The target is none, or a file can't be used.
            ValueError: `async_client` alone was given.
        """
        if self.client is None and self.async_client is not None:
            raise ValueError(
                "client: unset, but async_client is given, which can't make synchronous calls; "
                "await the asynchronous method, or give client too"
            )
        return self._clients.for_threads(self._open)

    def connected_async(self) -> AsyncClient:
        """The client of the running event loop; raises as `connected` does."""
        if self.async_client is not None:
            return self.async_client
        return self._clients.for_asyncio(self._open).current()

    def close(self) -> None:
        """Closes the connection for synchronous calls, unless it is yours.

        Those of event loops end with their loops, or by `aclose`. The next call opens another.
        """
        if (client := self._clients.take()) is not None and client is not self.client:
            client.close()

    async def aclose(self) -> None:
        """Closes the connections for synchronous calls and for those of this event loop."""
        await self._clients.close_asyncio()
        self.close()

    def _open(self) -> Client:
        if self.client is not None:
            return self.client
        return connect(
            self.target,
            api_key=None if self.api_key is None else self.api_key.get_secret_value(),
            ca=self.ca,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
        )
