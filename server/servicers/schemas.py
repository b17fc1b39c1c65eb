"""Collections and their schemas, from and to messages."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from twopass.index.languages import NONE
from twopass.index.schema import (
    MIN_WINDOW_TOKENS,
    Chunking,
    CollectionSchema,
    FieldType,
    IndexedField,
    LexicalTokenizer,
    Metric,
)
from twopass.index.summary import CollectionSummary
from twopass.server.errors import InvalidRequestError
from twopass.server.models.embedding import max_passage_tokens
from twopass.server.models.registry import Models
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.search_defaults import add_search_defaults
from twopass.v1 import collection_pb2

_METRICS = EnumMapping(
    collection_pb2.Metric,
    {
        collection_pb2.METRIC_COSINE: Metric.COSINE,
        collection_pb2.METRIC_INNER_PRODUCT: Metric.INNER_PRODUCT,
    },
    default=Metric.COSINE,
)
_FIELD_TYPES = EnumMapping(
    collection_pb2.FieldType,
    {
        collection_pb2.FIELD_TYPE_TEXT: FieldType.TEXT,
        collection_pb2.FIELD_TYPE_NUMBER: FieldType.NUMBER,
        collection_pb2.FIELD_TYPE_BOOL: FieldType.BOOL,
        collection_pb2.FIELD_TYPE_TIME: FieldType.TIME,
    },
    default=FieldType.TEXT,
)
_LEXICAL_TOKENIZERS = EnumMapping(
    collection_pb2.LexicalTokenizer,
    {
        collection_pb2.LEXICAL_TOKENIZER_UNICODE: LexicalTokenizer.UNICODE,
        collection_pb2.LEXICAL_TOKENIZER_PORTER: LexicalTokenizer.PORTER,
    },
    default=LexicalTokenizer.UNICODE,
)

# Of windows by default, a quarter of a window at most: a sentence or two at a border are whole in
# one of the two windows.
_OVERLAP_TOKENS = 48


@dataclass(frozen=True, slots=True)
class SchemaDefaults:
    """What a new collection has where its schema says nothing.

    Attributes:
        language: Its language, as in `CollectionSchema.language`, or "none".
        index_kind: What its vectors are searched by.
    """

    language: str
    index_kind: str


def read_schema(
    message: collection_pb2.CollectionSchema, models: Models, defaults: SchemaDefaults
) -> CollectionSchema:
    """Reads a schema and fills in its defaults.

    Args:
        message: The schema.
        models: Models that the server holds.
        defaults: What it has where it says nothing.

    Raises:
        InvalidRequestError: A field does not suit the encoder or is malformed; names the field.
        InvalidSchemaError: The schema breaks a rule of the index; names the field.
        UnknownModelError: The server does not hold the encoder.
    """
    dimension, encoder, revision, tokenizer = _read_encoder(message, models)
    lexical_tokenizer = _LEXICAL_TOKENIZERS.read(
        "schema.lexical_tokenizer", message.lexical_tokenizer
    )
    language = message.language
    if not language and lexical_tokenizer is not LexicalTokenizer.PORTER:
        language = defaults.language
    return CollectionSchema(
        dimension=dimension,
        metric=_METRICS.read("schema.metric", message.metric),
        encoder=encoder,
        encoder_revision=revision,
        client_vectors=message.client_vectors,
        index_kind=message.index_kind or defaults.index_kind,
        tokenizer_fingerprint=tokenizer,
        indexed_fields=tuple(
            IndexedField(x.field, _FIELD_TYPES.read(f"schema.indexed_fields[{i}].type", x.type))
            for i, x in enumerate(message.indexed_fields)
        ),
        chunking=_read_chunking(message, models),
        lexical_tokenizer=lexical_tokenizer,
        language="" if language == NONE else language,
    )


def _read_encoder(
    message: collection_pb2.CollectionSchema, models: Models
) -> tuple[int, str, str, str]:
    """Dimension, encoder, its revision, and the fingerprint of the stored token ids' tokenizer."""
    if message.client_vectors:
        if not message.dimension:
            raise InvalidRequestError(
                "schema.dimension: unset, but client_vectors is set: only the client knows it"
            )
        # No encoder tokenises the passages, so token ids are stored as the reranker reads them.
        return message.dimension, message.encoder, "", models.default_reranker_tokenizer()
    encoder = models.encoder(message.encoder, "schema.encoder")
    dimension = encoder.engine.output_width
    if message.dimension not in (0, dimension):
        raise InvalidRequestError(
            f"schema.dimension: {message.dimension:,} given, encoder {encoder.spec.id} makes "
            f"{dimension:,}; leave it 0",
            value=message.dimension,
        )
    return dimension, encoder.spec.id, encoder.spec.revision, encoder.passage_tokenizer.fingerprint


def _read_chunking(message: collection_pb2.CollectionSchema, models: Models) -> Chunking | None:
    """How documents are split: as asked for, else where the encoder would cut them."""
    if not message.HasField("chunking"):
        if message.whole_documents or message.client_vectors:
            return None
        return _default_chunking(
            max_passage_tokens(models.encoder(message.encoder, "schema.encoder"))
        )
    if message.whole_documents:
        raise InvalidRequestError(
            f"schema.whole_documents: true, but chunking of {message.chunking.window_tokens:,} "
            "tokens given, which splits documents; leave one of them unset",
            value=message.chunking.window_tokens,
        )
    chunking = Chunking(message.chunking.window_tokens, message.chunking.overlap_tokens)
    if not message.client_vectors:
        encoder = models.encoder(message.encoder, "schema.encoder")
        if chunking.window_tokens > (limit := max_passage_tokens(encoder)):
            raise InvalidRequestError(
                f"schema.chunking.window_tokens: {chunking.window_tokens:,} given, encoder "
                f"{encoder.spec.id} reads at most {limit:,}",
                limit=limit,
                value=chunking.window_tokens,
            )
    return chunking


def _default_chunking(window_tokens: int) -> Chunking | None:
    """Windows of all that an encoder reads; None where it reads less than a window must have."""
    if window_tokens < MIN_WINDOW_TOKENS:
        return None
    return Chunking(window_tokens, min(_OVERLAP_TOKENS, window_tokens // 4))


def schema_message(schema: CollectionSchema) -> collection_pb2.CollectionSchema:
    """A schema as a message."""
    is_porter = schema.lexical_tokenizer is LexicalTokenizer.PORTER
    message = collection_pb2.CollectionSchema(
        dimension=schema.dimension,
        metric=_METRICS.write(schema.metric),
        encoder=schema.encoder,
        encoder_revision=schema.encoder_revision,
        client_vectors=schema.client_vectors,
        index_kind=schema.index_kind,
        lexical_tokenizer=_LEXICAL_TOKENIZERS.write(schema.lexical_tokenizer),
        language="" if is_porter else schema.language or NONE,
    )
    for x in schema.indexed_fields:
        message.indexed_fields.add(field=x.field, type=_FIELD_TYPES.write(x.type))
    if schema.chunking is not None:
        message.chunking.window_tokens = schema.chunking.window_tokens
        message.chunking.overlap_tokens = schema.chunking.overlap_tokens
    elif not schema.client_vectors:
        message.whole_documents = True
    return message


def collection_message(
    collection: CollectionSummary, models: Models, aliases: Iterable[str] = ()
) -> collection_pb2.Collection:
    """A collection, and its aliases, as a message."""
    created = Timestamp()
    created.FromDatetime(collection.create_time)
    message = collection_pb2.Collection(
        name=collection.name,
        schema=schema_message(collection.schema),
        num_documents=collection.num_documents,
        num_split=collection.num_split,
        sequence=str(collection.sequence),
        create_time=created,
        read_only_reason=collection.read_only_reason,
        aliases=aliases,
        encoder_problem=models.encoder_problem(collection.schema),
    )
    add_search_defaults(message, collection.settings, models)
    return message
