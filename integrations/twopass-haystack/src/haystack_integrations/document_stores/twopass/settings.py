"""The settings of a store, and what follows from them without asking the server."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self, TypeVar

from haystack import Document, default_from_dict, default_to_dict
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret
from haystack_integrations.common.twopass.connection import (
    Connection,
    default_api_key,
    with_api_key,
)
from haystack_integrations.document_stores.twopass.converters import (
    NO_EMBEDDING,
    from_client,
    to_client,
)
from haystack_integrations.document_stores.twopass.filters import EVERYTHING, condition_of

from twopass import client
from twopass.client import Condition, Fields, OnConflict, Schema

ON_CONFLICT: Mapping[DuplicatePolicy, OnConflict] = {
    DuplicatePolicy.NONE: "fail",
    DuplicatePolicy.FAIL: "fail",
    DuplicatePolicy.SKIP: "skip",
    DuplicatePolicy.OVERWRITE: "replace",
}
_METRICS: Mapping[str, Literal["inner_product", "cosine"]] = {
    "dot_product": "inner_product",
    "cosine": "cosine",
}
METADATA = Fields(text=False)
# Of the contract: most documents of a page, ids of one deletion, fields of one request for facets.
PAGE_SIZE, MAX_IDS, MAX_FIELDS = 1_000, 10_000, 16

Item = TypeVar("Item")


class StoreSettings:
    """What `TwopassDocumentStore` is set to, its connection, and both as a dictionary."""

    def __init__(
        self,
        collection: str = "documents",
        *,
        embedding_dim: int | None = None,
        embedding_similarity_function: Literal["dot_product", "cosine"] = "dot_product",
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        return_embedding: bool = False,
        encoder: str = "",
        language: str = "",
        index_kind: str = "",
        indexed_fields: dict[str, Literal["text", "number", "bool", "time"]] | None = None,
        target: str | None = None,
        api_key: Secret | None = default_api_key(),  # noqa: B008  # a Secret never changes
        ca: str | None = None,
        client_certificate: str | None = None,
        client_key: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Takes the settings; connects when it is first used.

        A collection that exists is used as it is: `encoder`, `language`, `index_kind`,
        `indexed_fields` and `embedding_similarity_function` are for creating it. For what they
        don't cover, create it by `twopass collections create` before.

        Args:
            collection: The collection's name or alias.
            embedding_dim: The dimension of the embeddings that documents and queries bring. None:
                the server embeds them by its own encoder.
            embedding_similarity_function: How embeddings that documents bring are compared. By
                "cosine", documents without an embedding are refused; by "dot_product", they are
                stored, and found by words.
            meta_fields_to_embed: Fields of `meta` that both passes read with the content.
            embedding_separator: What stands between the values of these fields.
            return_embedding: Whether documents that are read or found carry their embeddings.
            encoder: The id of the server's encoder. Empty: its default.
            language: The language of the texts, such as "de". Empty: the server's default.
            index_kind: A faiss factory string, such as "HNSW32". Empty: "Flat".
            indexed_fields: Fields of `meta` that filters use often, with their type: "text",
                "number", "bool" or "time".
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or "localhost:50051".
            api_key: The key for the server: by default that in `TWOPASS_API_KEY`, if it is set.
            ca: For TLS: a PEM file of authorities to trust, or "system" for the machine's own.
                None: `TWOPASS_CA`, or plain text.
            client_certificate: A PEM file, for a server that asks for it. None:
                `TWOPASS_CLIENT_CERTIFICATE`.
            client_key: The PEM file of its key. None: `TWOPASS_CLIENT_KEY`.
            timeout: Seconds that a call may take; writing has no limit.

        Raises:
            ValueError: The similarity function is unknown.
        """
        if embedding_similarity_function not in _METRICS:
            raise ValueError(
                f"embedding_similarity_function: {embedding_similarity_function!r} given, "
                "dot_product or cosine is needed"
            )
        self.collection = collection
        self.embedding_dim = embedding_dim
        self.embedding_similarity_function = embedding_similarity_function
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator
        self.return_embedding = return_embedding
        self.encoder = encoder
        self.language = language
        self.index_kind = index_kind
        self.indexed_fields = indexed_fields or {}
        self._connection = Connection(target, api_key, ca, client_certificate, client_key, timeout)
        self._is_there = False  # the collection, as far as this store knows

    def to_dict(self) -> dict[str, Any]:
        """Serializes the store; of keys the variables' names alone."""
        return default_to_dict(
            self,
            collection=self.collection,
            embedding_dim=self.embedding_dim,
            embedding_similarity_function=self.embedding_similarity_function,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
            return_embedding=self.return_embedding,
            encoder=self.encoder,
            language=self.language,
            index_kind=self.index_kind,
            indexed_fields=self.indexed_fields,
            **self._connection.init_parameters(),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Deserializes a store."""
        return default_from_dict(cls, with_api_key(data))

    def _schema(self) -> Schema:
        """The schema that the collection is created with."""
        if self.embedding_dim is None:
            metric = None
        else:
            metric = _METRICS[self.embedding_similarity_function]
        return Schema(
            dimension=self.embedding_dim or 0,
            client_vectors=self.embedding_dim is not None,
            metric=metric,
            encoder=self.encoder,
            language=self.language,
            index_kind=self.index_kind,
            indexed_fields=self.indexed_fields,
        )

    def _check(self, found: client.Collection) -> None:
        """Refuses a collection that the settings don't fit.

        Raises:
            ValueError: Its embeddings are of another dimension, or others make them.
        """
        schema = found.schema
        if schema.client_vectors and self.embedding_dim is None:
            raise ValueError(
                f"embedding_dim: none given, but documents of the collection {found.name!r} bring "
                f"their embeddings; give embedding_dim={schema.dimension}"
            )
        if not schema.client_vectors and self.embedding_dim is not None:
            raise ValueError(
                f"embedding_dim: {self.embedding_dim} given, but the server embeds the documents "
                f"of the collection {found.name!r}; leave embedding_dim out"
            )
        if self.embedding_dim not in (None, schema.dimension):
            raise ValueError(
                f"embedding_dim: {self.embedding_dim} given, the collection {found.name!r} has "
                f"{schema.dimension}; name another collection, or delete this one"
            )

    def _written(self, documents: object) -> list[client.Document]:
        """Documents as the client writes them; raises as `to_client` does."""
        return to_client(
            documents,
            embedding_dim=self.embedding_dim,
            needs_embedding=self.embedding_similarity_function == "cosine",
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
        )

    def _read(self, document: client.Document) -> Document:
        """A document of the collection as Haystack has it."""
        return from_client(document, keeps_title=self._keeps_title)

    @property
    def _keeps_title(self) -> bool:
        """Whether a document's title is shown: where it is not made of its own metadata."""
        return not self.meta_fields_to_embed

    @property
    def _fields(self) -> Fields:
        """What documents that are read or found carry."""
        return Fields(vector=self.return_embedding)

    def _selected(self, filters: Mapping[str, Any] | None) -> Condition:
        """Which documents a change is for, spelt out where it is for all."""
        condition = condition_of(filters)
        return EVERYTHING if condition is None else condition

    def _considered(
        self, filters: Mapping[str, Any] | None, retrieve: client.Retrieve
    ) -> Condition | None:
        """Which documents a search considers.

        By nearness alone, documents without an embedding are not found: the zeros in its place
        would stand before every embedding that points away from the query's.
        """
        condition = condition_of(filters)
        if self.embedding_dim is None or retrieve.mode != "dense":
            return condition
        is_embedded = client.field(NO_EMBEDDING).is_missing()
        return is_embedded if condition is None else condition & is_embedded


def groups(items: list[Item], size: int) -> Iterator[list[Item]]:
    """Items in groups of the size that one call takes."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
