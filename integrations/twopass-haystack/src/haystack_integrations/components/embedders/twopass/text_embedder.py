"""Embeddings of queries."""

from typing import Any, Literal

from haystack import component, default_to_dict
from haystack.utils import Secret
from haystack_integrations.common.twopass.connected_component import ConnectedComponent
from haystack_integrations.common.twopass.connection import (
    Connection,
    default_api_key,
)
from haystack_integrations.document_stores.twopass.converters import milliseconds

from twopass.client import EmbedResult


@component
class TwopassTextEmbedder(ConnectedComponent):
    """Embeds a query by the server's encoder.

    A collection that the server embeds needs none: `TwopassRetriever` takes the query itself.

    ```python
    TwopassTextEmbedder().run("How do I parse a date?")["embedding"]
    ```
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        prefix: str = "",
        suffix: str = "",
        dimensions: int | None = None,
        instruction: str | None = None,
        query_truncation: Literal["truncate", "reject"] | None = None,
        target: str | None = None,
        api_key: Secret | None = default_api_key(),  # noqa: B008  # a Secret never changes
        ca: str | None = None,
        client_certificate: str | None = None,
        client_key: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Takes the options; connects when it is first run.

        Args:
            model: The id of the server's encoder. None: its default.
            prefix: What stands before the text. The model's own prefix for queries is the server's
                to add.
            suffix: What stands after the text.
            dimensions: How many of the embedding's first components to return. None: all.
            instruction: What queries are embedded for, in words, for an encoder that is told so.
                None: the model's own.
            query_truncation: What happens to a query that is too long: "truncate" or "reject".
                None: "truncate", which `meta` tells.
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or "localhost:50051".
            api_key: The key for the server: by default that in `TWOPASS_API_KEY`, if it is set.
            ca: For TLS: a PEM file of authorities to trust, or "system" for the machine's own.
                None: `TWOPASS_CA`, or plain text.
            client_certificate: A PEM file, for a server that asks for it. None:
                `TWOPASS_CLIENT_CERTIFICATE`.
            client_key: The PEM file of its key. None: `TWOPASS_CLIENT_KEY`.
            timeout: Seconds that a call may take.
        """
        self.model = model
        self.prefix = prefix
        self.suffix = suffix
        self.dimensions = dimensions
        self.instruction = instruction
        self.query_truncation = query_truncation
        self._connection = Connection(target, api_key, ca, client_certificate, client_key, timeout)

    def to_dict(self) -> dict[str, Any]:
        """Serializes the embedder; of keys the variables' names alone."""
        return default_to_dict(
            self,
            model=self.model,
            prefix=self.prefix,
            suffix=self.suffix,
            dimensions=self.dimensions,
            instruction=self.instruction,
            query_truncation=self.query_truncation,
            **self._connection.init_parameters(),
        )

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """Embeds a query.

        Args:
            text: The query.

        Returns:
            `embedding`, of length 1, and `meta` with `model`, `usage` in tokens (none of a query
            that the server remembers), `truncated`, and `timings` in milliseconds.

        Raises:
            TypeError: `text` is not a str: documents are for `TwopassDocumentEmbedder`.
            TwopassError: The server refused or failed; the message says why.
        """
        return _answer(self._connection.client().embed([self._query(text)], **self._options()))

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """Does what `run` does, for asyncio."""
        client = self._connection.async_client()
        return _answer(await client.embed([self._query(text)], **self._options()))

    def _query(self, text: str) -> str:
        if not isinstance(text, str):
            raise TypeError(
                f"text: a str is needed, {type(text).__name__} given; for documents there is "
                "TwopassDocumentEmbedder"
            )
        return self.prefix + text + self.suffix

    def _options(self) -> dict[str, Any]:
        return {
            "role": "query",
            "model": self.model,
            "dimensions": self.dimensions,
            "instruction": self.instruction,
            "query_truncation": self.query_truncation,
        }


def _answer(result: EmbedResult) -> dict[str, Any]:
    return {
        "embedding": list(result.vectors[0]),
        "meta": {
            "model": result.model,
            "usage": {"prompt_tokens": result.num_tokens, "total_tokens": result.num_tokens},
            "truncated": result.truncated[0],
            "timings": milliseconds(result.timings),
        },
    }
