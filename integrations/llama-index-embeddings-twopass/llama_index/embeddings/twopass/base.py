"""The embedding model: an encoder of a twopass server."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr

from twopass.client import AsyncClients, Client, EmbedResult, EmbedRole, connect
from twopass.client.bulk import embed_batch, embed_batch_async

_BATCH_SIZE = 128
# LlamaIndex sends all batches of an asynchronous call at once unless it is told otherwise, which
# overloads a server. One that is under way and one that waits keep it busy.
_NUM_WORKERS = 2


class TwopassEmbedding(BaseEmbedding):
    """Embeds queries and texts by an encoder of a twopass server, each in its role.

    ```python
    model = TwopassEmbedding()
    model.get_query_embedding("How do I parse a date?")
    model.get_text_embedding_batch(["Use strptime.", "Dates grow on palms."])
    ```
    """

    dimensions: int | None = Field(description="Components to return, the first. None: all.")
    instruction: str | None = Field(description="What queries are embedded for, in words.")
    target: str | None = Field(description="Where the server is, host:port. None: TWOPASS_TARGET.")
    api_key: str | None = Field(exclude=True, repr=False, description="None: TWOPASS_API_KEY.")
    ca: str | None = Field(description='PEM file of authorities, or "system". None: TWOPASS_CA.')
    timeout: float | None = Field(description="Seconds that a call may take. None: no deadline.")

    _client: Client = PrivateAttr()
    _is_own: bool = PrivateAttr()
    _async_clients: AsyncClients = PrivateAttr()

    def __init__(
        self,
        model_name: str = "",
        target: str | None = None,
        *,
        api_key: str | None = None,
        ca: str | None = None,
        timeout: float | None = 30.0,
        client: Client | None = None,
        dimensions: int | None = None,
        instruction: str | None = None,
        embed_batch_size: int = _BATCH_SIZE,
        num_workers: int | None = _NUM_WORKERS,
        **kwargs: Any,
    ) -> None:
        """Opens the model; the connection itself is made by the first call.

        Args:
            model_name: The encoder's id, as `twopass models` lists it. Empty: the server's default.
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or this machine.
            api_key: Sent with every call. None: `TWOPASS_API_KEY`, or none.
            ca: For TLS: a PEM file of authorities, or "system". None: `TWOPASS_CA`, or plain text.
            timeout: Seconds that a call may take. None: no deadline.
            client: A client that is there, to be closed by the caller, in place of the four above.
            dimensions: How many of each embedding's first components to return, scaled to length 1.
                None: all.
            instruction: What queries are embedded for, in words, for an encoder that is told so.
                None: the model's own.
            embed_batch_size: Texts of one call, at most the server's limit (1,000 by default).
            num_workers: Batches of one asynchronous call that are sent at once, 2 or more. None, or
                1: all of them, as LlamaIndex has it, which a server may refuse as too many.
            kwargs: Fields of the base class, such as `embeddings_cache`.

        Raises:
            InvalidArgumentError: The target is none, or a file can't be used.
        """
        fields: dict[str, Any] = {  # pydantic's, which the base class's signature leaves out
            "model_name": model_name,
            "embed_batch_size": embed_batch_size,
            "num_workers": num_workers,
            "dimensions": dimensions,
            "instruction": instruction,
            "target": target,
            "api_key": api_key,
            "ca": ca,
            "timeout": timeout,
        }
        super().__init__(**fields, **kwargs)
        self._is_own = client is None
        self._client = client or connect(target, api_key=api_key, ca=ca, timeout=timeout)
        self._async_clients = AsyncClients(self._client)

    @classmethod
    def class_name(cls) -> str:
        """The name that the class has in what is serialised."""
        return "TwopassEmbedding"

    @property
    def client(self) -> Client:
        """The client, for all that LlamaIndex has no word for."""
        return self._client

    def close(self) -> None:
        """Ends the connection for threads, unless the client was given."""
        if self._is_own:
            self._client.close()

    async def aclose(self) -> None:
        """Ends the connections for threads and for the running event loop, as `close` does."""
        await self._async_clients.close()
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        if not self._is_own:
            raise TypeError("client: a live connection can't be pickled; give target in its place")
        return super().__getstate__()

    def _get_query_embedding(self, query: str) -> Embedding:
        return _lists(self._client.embed([query], **self._options("query")))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        client = self._async_clients.current()
        return _lists(await client.embed([query], **self._options("query")))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: Sequence[str]) -> list[Embedding]:
        return _lists(embed_batch(self._client, texts, **self._options("passage")))

    async def _aget_text_embeddings(self, texts: Sequence[str]) -> list[Embedding]:
        client = self._async_clients.current()
        return _lists(await embed_batch_async(client, texts, **self._options("passage")))

    def _options(self, role: EmbedRole) -> dict[str, Any]:
        return {
            "role": role,
            "model": self.model_name or None,
            "dimensions": self.dimensions,
            "instruction": self.instruction if role == "query" else None,
        }


def _lists(result: EmbedResult) -> list[Embedding]:
    return [list(vector) for vector in result.vectors]
