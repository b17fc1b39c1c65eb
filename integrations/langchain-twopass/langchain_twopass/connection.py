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
        self._opened: tuple[Client, AsyncClients] | None = None

    def __reduce__(self) -> tuple[type["_Clients"], tuple[()]]:
        return _Clients, ()

    def get(self, open_client: Callable[[], Client]) -> tuple[Client, AsyncClients]:
        """The client for threads, and those for event loops."""
        with self._lock:
            if self._opened is None:
                client = open_client()
                self._opened = client, AsyncClients(client)
            return self._opened

    def take(self) -> tuple[Client, AsyncClients] | None:
        """What is open, to be closed; the next call opens others."""
        with self._lock:
            opened, self._opened = self._opened, None
        return opened


class TwopassConnection(BaseModel):
    """Where the server is, and the key for it; every component takes these fields.

    A connection is made by the first call. Copies and pickles of a component make their own.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", use_attribute_docstrings=True
    )

    target: str = Field(default_factory=from_env("TWOPASS_TARGET", default="localhost:50051"))
    """Where the server is, over gRPC: host:port. Not given, it is that of `TWOPASS_TARGET`."""

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
        if (self.client_certificate is None) != (self.client_key is None):
            missing = "client_key" if self.client_certificate else "client_certificate"
            raise ValueError(f"{missing}: unset; a client's certificate and its key go together")
        if self.client_certificate is not None and self.ca is None:
            raise ValueError(
                "ca: unset, so client_certificate would not be used; give a PEM file of "
                'authorities, or "system"'
            )
        return self

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
        return self._clients.get(self._open)[0]

    def connected_async(self) -> AsyncClient:
        """The client of the running event loop; raises as `connected` does."""
        if self.async_client is not None:
            return self.async_client
        return self._clients.get(self._open)[1].current()

    def close(self) -> None:
        """Closes the connection for synchronous calls, unless it is yours.

        Those of event loops end with their loops, or by `aclose`. The next call opens another.
        """
        if (opened := self._clients.take()) is not None and opened[0] is not self.client:
            opened[0].close()

    async def aclose(self) -> None:
        """Closes the connections for synchronous calls and for those of this event loop."""
        if (opened := self._clients.take()) is not None:
            await opened[1].close()
            if opened[0] is not self.client:
                opened[0].close()

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
