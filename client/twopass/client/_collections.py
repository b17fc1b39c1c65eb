"""Collections and their schemas: creating, reading, listing, renaming and deleting them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._enums import (
    FieldType,
    FieldTypeName,
    LexicalTokenizer,
    LexicalTokenizerName,
    Metric,
    MetricName,
    number_of,
    word_of,
)
from twopass.client._search_defaults import (
    SearchDefaults,
    search_defaults_message,
    search_defaults_of,
)
from twopass.client._values import int32, moment, text
from twopass.v1 import collection_pb2


@dataclass(frozen=True, slots=True)
class Chunking:
    """Splits documents that are longer than a window into overlapping windows.

    Attributes:
        window_tokens: Window length in tokens of the encoder, from 16.
        overlap_tokens: Tokens shared by neighbouring windows, 0 to half of `window_tokens`.
    """

    window_tokens: int
    overlap_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Schema:
    """What a collection holds and how it is searched. Fixed when it is created.

    Attributes:
        dimension: Components of an embedding, 1 to 8,192. 0: the encoder's.
        metric: How nearness of embeddings is measured. None: "cosine".
        encoder: The encoder's id, as in `models()`. Empty: the server's default, unless
            `client_vectors` is set.
        encoder_revision: The encoder's `revision`, over everything that decides its embeddings.
            Set by the server, ignored on creation.
        client_vectors: Whether every document and query brings its own vector; no encoder is used
            then, and `dimension` is required.
        index_kind: A faiss factory string. Empty: "Flat".
        indexed_fields: Metadata fields that filters use often, with the type of their values:
            "text", "number", "bool" or "time". Names are as those of `field`.
        chunking: How documents are split that are longer than a window. None: into windows of as
            many tokens as the encoder reads, unless `whole_documents` or `client_vectors` is set.
        lexical_tokenizer: How text is cut into words for lexical search. None: "unicode".
        language: The language of the texts, an ISO 639-1 code such as "de": lexical search removes
            the endings of its words. "none": words are searched as they stand. "": the server's
            default, "en" unless it is set otherwise.
        whole_documents: Whether documents are not split, so that of a long one the encoder reads
            the beginning alone; `chunking` must be None then.
    """

    dimension: int = 0
    metric: MetricName | None = None
    encoder: str = ""
    encoder_revision: str = ""
    client_vectors: bool = False
    index_kind: str = ""
    indexed_fields: Mapping[str, FieldTypeName] = field(default_factory=dict)
    chunking: Chunking | None = None
    lexical_tokenizer: LexicalTokenizerName | None = None
    language: str = ""
    whole_documents: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection, as the server describes it.

    Attributes:
        name: Its name.
        schema: What it holds, defaults filled in.
        num_documents: Documents in it.
        sequence: Its state after the last write; see `search`'s `min_sequence`.
        create_time: When it was created, in UTC.
        read_only_reason: Why it takes no writes and serves only its intact documents: the ids of
            documents that are damaged on disk, and the way out. Empty: no damage was found.
        aliases: Its aliases that the client's API key may use, sorted.
        num_split: How many of the documents were longer than a window and are found by their
            windows.
        encoder_problem: Why nothing can be embedded for it, and the ways out: the server does not
            hold its encoder. Empty: it does, or clients bring the vectors.
        search_defaults: What searches of it use where their request says nothing. None: nothing is
            set.
        search_defaults_problem: Why some of them are not applied, and the ways out: the server does
            not hold their reranker. Empty: all are.
    """

    name: str
    schema: Schema
    num_documents: int
    sequence: str
    create_time: datetime
    read_only_reason: str
    aliases: tuple[str, ...]
    num_split: int = 0
    encoder_problem: str = ""
    search_defaults: SearchDefaults | None = None
    search_defaults_problem: str = ""


def create_collection(
    name: str, schema: Schema | None = None, *, timeout: float | None = None
) -> Call[Collection]:
    """Creates an empty collection and returns it, its defaults filled in.

    Args:
        name: 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or digit.
        schema: What it holds. None: all defaults.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        AlreadyExistsError: The name is taken.
        NotFoundError: The server has no such encoder.
    """

    def created(response: collection_pb2.CreateCollectionResponse) -> Collection:
        return collection_of(response.collection)

    request = collection_pb2.CreateCollectionRequest(
        name=text(name, "name"), schema=None if schema is None else _schema_message(schema)
    )
    return Call(_rpcs.CREATE_COLLECTION, request, created, timeout)


def get_collection(name: str, *, timeout: float | None = None) -> Call[Collection]:
    """Returns a collection.

    Args:
        name: Its name or an alias.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: No such collection.
    """

    def found(response: collection_pb2.GetCollectionResponse) -> Collection:
        return collection_of(response.collection)

    request = collection_pb2.GetCollectionRequest(name=text(name, "name"))
    return Call(_rpcs.GET_COLLECTION, request, found, timeout)


def list_collections(*, timeout: float | None = None) -> Call[tuple[Collection, ...]]:
    """Returns all collections, by name.

    Args:
        timeout: Seconds each call may take; several calls are made where one answer can't hold all
            collections. None: the client's default; `math.inf`: no deadline.
    """

    def listed(*pages: collection_pb2.ListCollectionsResponse) -> tuple[Collection, ...]:
        return tuple(collection_of(message) for page in pages for message in page.collections)

    request = collection_pb2.ListCollectionsRequest()
    return Call(_rpcs.LIST_COLLECTIONS, request, listed, timeout, is_paged=True)


def delete_collection(name: str, *, timeout: float | None = None) -> Call[None]:
    """Deletes a collection and everything in it, at once and for good.

    Args:
        name: Its own name, not an alias.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        FailedPreconditionError: The collection has aliases.
        NotFoundError: No such collection.
    """

    def deleted(response: collection_pb2.DeleteCollectionResponse) -> None:  # noqa: ARG001
        return None

    request = collection_pb2.DeleteCollectionRequest(name=text(name, "name"))
    return Call(_rpcs.DELETE_COLLECTION, request, deleted, timeout)


def rename_collection(
    name: str, new_name: str, *, keep_alias: bool = False, timeout: float | None = None
) -> Call[Collection]:
    """Gives a collection another name, in one step, and returns it under that name.

    Its documents, sequences, snapshots and aliases stay its own, and calls under way go on with it.
    The client never retries this call.

    Args:
        name: Its own name, not an alias.
        new_name: Its name from now on. It may be an alias of this very collection, which then is
            no alias any more.
        keep_alias: Whether the old name becomes an alias of the collection in the same step, so
            that callers who use it never miss the collection.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        AlreadyExistsError: The new name is that of another collection, or of its alias.
        FailedPreconditionError: Snapshots of a deleted collection are kept under the new name.
        InvalidArgumentError: `name` is an alias, or the new name is not valid or is the old one.
        NotFoundError: No such collection.
    """

    def renamed(response: collection_pb2.RenameCollectionResponse) -> Collection:
        return collection_of(response.collection)

    request = collection_pb2.RenameCollectionRequest(
        name=text(name, "name"), new_name=text(new_name, "new_name"), keep_alias=keep_alias
    )
    return Call(_rpcs.RENAME_COLLECTION, request, renamed, timeout)


def set_search_defaults(
    collection: str, defaults: SearchDefaults | None, *, timeout: float | None = None
) -> Call[Collection]:
    """Sets what searches of a collection use where their request says nothing, and returns it.

    Replaces all that was set before: to change one of them, send the others too, as in
    `dataclasses.replace(client.get_collection("docs").search_defaults, k=100)`. The client never
    retries this call.

    Args:
        collection: The collection's name or alias.
        defaults: What counts from now on. None: nothing, as for a new collection.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        InvalidArgumentError: A value is out of range, or the server does not hold the reranker of
            that revision.
        NotFoundError: No such collection or reranker.
    """

    def done(response: collection_pb2.SetSearchDefaultsResponse) -> Collection:
        return collection_of(response.collection)

    request = collection_pb2.SetSearchDefaultsRequest(
        collection=text(collection, "collection"),
        search_defaults=search_defaults_message(defaults),
    )
    return Call(_rpcs.SET_SEARCH_DEFAULTS, request, done, timeout)


def _schema_message(schema: Schema) -> collection_pb2.CollectionSchema:
    return collection_pb2.CollectionSchema(
        dimension=int32(schema.dimension, "schema.dimension"),
        metric=number_of(collection_pb2.Metric, schema.metric, "schema.metric"),
        encoder=text(schema.encoder, "schema.encoder"),
        client_vectors=schema.client_vectors,
        index_kind=text(schema.index_kind, "schema.index_kind"),
        indexed_fields=[_indexed_field_message(*item) for item in schema.indexed_fields.items()],
        chunking=None if schema.chunking is None else _chunking_message(schema.chunking),
        lexical_tokenizer=number_of(
            collection_pb2.LexicalTokenizer, schema.lexical_tokenizer, "schema.lexical_tokenizer"
        ),
        language=text(schema.language, "schema.language"),
        whole_documents=schema.whole_documents,
    )


def _indexed_field_message(name: str, kind: FieldTypeName) -> collection_pb2.IndexedField:
    where = f"schema.indexed_fields[{name!r}]"
    return collection_pb2.IndexedField(
        field=text(name, where), type=number_of(collection_pb2.FieldType, kind, where)
    )


def _chunking_message(chunking: Chunking) -> collection_pb2.Chunking:
    return collection_pb2.Chunking(
        window_tokens=int32(chunking.window_tokens, "schema.chunking.window_tokens"),
        overlap_tokens=int32(chunking.overlap_tokens, "schema.chunking.overlap_tokens"),
    )


def collection_of(message: collection_pb2.Collection) -> Collection:
    """Reads a collection from its message."""
    return Collection(
        name=message.name,
        schema=_schema(message.schema),
        num_documents=message.num_documents,
        sequence=message.sequence,
        create_time=moment(message.create_time),
        read_only_reason=message.read_only_reason,
        aliases=tuple(message.aliases),
        num_split=message.num_split,
        encoder_problem=message.encoder_problem,
        search_defaults=search_defaults_of(message),
        search_defaults_problem=message.search_defaults_problem,
    )


def _schema(message: collection_pb2.CollectionSchema) -> Schema:
    chunking = message.chunking
    return Schema(
        dimension=message.dimension,
        metric=word_of(Metric, collection_pb2.Metric, message.metric),
        encoder=message.encoder,
        encoder_revision=message.encoder_revision,
        client_vectors=message.client_vectors,
        index_kind=message.index_kind,
        indexed_fields={
            indexed.field: word_of(FieldType, collection_pb2.FieldType, indexed.type)
            for indexed in message.indexed_fields
        },
        chunking=Chunking(chunking.window_tokens, chunking.overlap_tokens)
        if message.HasField("chunking")
        else None,
        lexical_tokenizer=word_of(
            LexicalTokenizer, collection_pb2.LexicalTokenizer, message.lexical_tokenizer
        ),
        language=message.language,
        whole_documents=message.whole_documents,
    )
