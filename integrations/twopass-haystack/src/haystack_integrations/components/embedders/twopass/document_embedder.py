"""Embeddings of documents."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from haystack import Document, component, default_to_dict, logging
from haystack.utils import Secret
from haystack_integrations.common.twopass.connected_component import ConnectedComponent
from haystack_integrations.common.twopass.connection import (
    Connection,
    default_api_key,
)
from haystack_integrations.document_stores.twopass.converters import text_of_meta, without_nul
from tqdm import tqdm

from twopass.client import EmbedResult
from twopass.client.bulk import embed_batch, embed_batch_async

logger = logging.getLogger(__name__)


@component
class TwopassDocumentEmbedder(ConnectedComponent):
    """Embeds documents by the server's encoder.

    A collection that the server embeds needs none: it embeds what is written, once. This is for
    other stores, and for embeddings that are used otherwise.

    ```python
    embedder = TwopassDocumentEmbedder()
    embedder.run([Document(content="Use strptime.")])["documents"][0].embedding
    ```
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        prefix: str = "",
        suffix: str = "",
        batch_size: int = 32,
        progress_bar: bool = True,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        dimensions: int | None = None,
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
            prefix: What stands before each text. The model's own prefix for passages is the
                server's to add.
            suffix: What stands after each text.
            batch_size: Texts of one call, at most as many as the server takes (1,000 by default).
            progress_bar: Whether a bar on stderr shows the progress.
            meta_fields_to_embed: Fields of `meta` that stand before the content.
            embedding_separator: What stands between their values, and before the content.
            dimensions: How many of each embedding's first components to return. None: all.
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or "localhost:50051".
            api_key: The key for the server: by default that in `TWOPASS_API_KEY`, if it is set.
            ca: For TLS: a PEM file of authorities to trust, or "system" for the machine's own.
                None: `TWOPASS_CA`, or plain text.
            client_certificate: A PEM file, for a server that asks for it. None:
                `TWOPASS_CLIENT_CERTIFICATE`.
            client_key: The PEM file of its key. None: `TWOPASS_CLIENT_KEY`.
            timeout: Seconds that a call may take.

        Raises:
            ValueError: `batch_size` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size: {batch_size} given, at least 1 is needed")
        self.model = model
        self.prefix = prefix
        self.suffix = suffix
        self.batch_size = batch_size
        self.progress_bar = progress_bar
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator
        self.dimensions = dimensions
        self._connection = Connection(target, api_key, ca, client_certificate, client_key, timeout)

    def to_dict(self) -> dict[str, Any]:
        """Serializes the embedder; of keys the variables' names alone."""
        return default_to_dict(
            self,
            model=self.model,
            prefix=self.prefix,
            suffix=self.suffix,
            batch_size=self.batch_size,
            progress_bar=self.progress_bar,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
            dimensions=self.dimensions,
            **self._connection.init_parameters(),
        )

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Embeds documents.

        Documents without text are returned without an embedding, which the log says.

        Args:
            documents: The documents.

        Returns:
            `documents` in their order, with an `embedding` of length 1 each, and `meta` with
            `model`, `usage` in tokens, and `num_truncated`: of how many the model did not read the
            end.

        Raises:
            TypeError: `documents` is no list of documents: a str is for `TwopassTextEmbedder`.
            TwopassError: The server refused or failed; the message says why.
        """
        texts = self._texts(documents)
        client = self._connection.client()
        results = [embed_batch(client, batch, **self._options()) for batch in self._batches(texts)]
        return _answer(documents, texts, results)

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """Does what `run` does, for asyncio."""
        texts = self._texts(documents)
        client = self._connection.async_client()
        results = [
            await embed_batch_async(client, batch, **self._options())
            for batch in self._batches(texts)
        ]
        return _answer(documents, texts, results)

    def _texts(self, documents: object) -> list[str]:
        """What the model reads of each document; empty where there is nothing to read."""
        if not isinstance(documents, list) or not all(isinstance(d, Document) for d in documents):
            raise TypeError(
                "documents: a list of Documents is needed; for a str there is TwopassTextEmbedder"
            )
        texts = [self._text(document) for document in documents]
        if num_empty := texts.count(""):
            logger.warning(
                "{number} of {total} documents have no text and get no embedding.",
                number=num_empty,
                total=len(texts),
            )
        return texts

    def _text(self, document: Document) -> str:
        title = text_of_meta(document, self.meta_fields_to_embed, self.embedding_separator)
        given = (without_nul(part or "") for part in (title, document.content))
        parts = [part for part in given if part.strip()]
        return f"{self.prefix}{self.embedding_separator.join(parts)}{self.suffix}" if parts else ""

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        given = [text for text in texts if text]
        starts = range(0, len(given), self.batch_size)
        for start in tqdm(starts, disable=not self.progress_bar, desc="Calculating embeddings"):
            yield given[start : start + self.batch_size]

    def _options(self) -> dict[str, Any]:
        return {"role": "passage", "model": self.model, "dimensions": self.dimensions}


def _answer(
    documents: list[Document], texts: list[str], results: list[EmbedResult]
) -> dict[str, Any]:
    vectors = (list(vector) for result in results for vector in result.vectors)
    embedded = [
        replace(document, embedding=next(vectors)) if text else document
        for document, text in zip(documents, texts, strict=True)
    ]
    num_tokens = sum(result.num_tokens for result in results)
    meta: dict[str, Any] = {
        "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
        "num_truncated": sum(sum(result.truncated) for result in results),
    }
    if results:
        meta["model"] = results[0].model
    return {"documents": embedded, "meta": meta}
