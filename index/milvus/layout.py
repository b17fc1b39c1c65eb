"""What a collection is in Milvus: its fields, its indexes, and the properties that describe it.

::

    id          the document's id; of a window but the first: id, U+001F and the window's number
    title       as it came
    text        as it came
    metadata    as it came, a JSON object: for people, and for other programs' filters
    facts       what filters ask, an array of texts
    ordered     what intervals ask, a JSON object
    tokens      the passage's token ids, in base64
    words       its terms, for Milvus' BM25 function, which fills `bm25`
    version     of this content of the document, an integer that no other content of it has
    vector      the embedding

Where the schema splits documents, each window of a split one is a row, and there is beside these::

    document    the document's id, in every row of it
    part        the window's number; 0 is the first, or the whole document, and has all content
    num_windows of the document; 0 where it is whole
    first_token, end_token    the window

Whatever else a server has to know of a collection stands in its properties, which travel with it
when it is renamed: schema, creation time, incarnation, whether it was made to its end, and the
settings that the server keeps with it.
"""

import dataclasses
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from twopass.index.documents import MAX_ID_BYTES, MAX_TITLE_BYTES
from twopass.index.errors import StorageError
from twopass.index.milvus import words
from twopass.index.milvus.connection import AsyncMilvusClient, DataType, Function, FunctionType
from twopass.index.milvus.facts import MAX_FACT_BYTES
from twopass.index.milvus.index_kinds import MilvusIndexKind
from twopass.index.schema import CollectionSchema

MAX_VARCHAR_BYTES = 65_535
"""Most bytes of a text in Milvus."""
MAX_FACTS = 4_096
"""Most elements of an array in Milvus."""
MAX_JSON_BYTES = 65_536
MAX_FOUND = 16_384
"""Most rows that one search or one query of Milvus answers."""

METRIC = "IP"
"""Vectors are stored as the collection's metric scales them, so that their inner product is it."""

FORMAT = 1

_MIN_DIMENSION = 2
_MAX_WINDOW_DIGITS = 6
_SCHEMA, _CREATED, _INCARNATION, _FORMAT, _READY, _SETTINGS = (
    f"twopass.{name}"
    for name in ("schema", "create_time", "incarnation", "format", "ready", "settings")
)


@dataclass(frozen=True, slots=True)
class Description:
    """What a collection's properties say.

    Attributes:
        schema: Its schema.
        create_time: When it was created, UTC.
        incarnation: 32 hexadecimal digits, drawn when it was created.
        is_ready: Whether its creation was completed.
        settings: What the server keeps with it; "" for nothing.
    """

    schema: CollectionSchema
    create_time: datetime
    incarnation: str
    is_ready: bool = False
    settings: str = ""

    @classmethod
    def of_new(cls, schema: CollectionSchema) -> "Description":
        """Of a collection that begins to exist now."""
        return cls(schema, datetime.now(UTC), secrets.token_hex(16))

    @classmethod
    def read(cls, name: str, properties: Mapping[str, str]) -> "Description":
        """Reads what `properties` wrote.

        Raises:
            StorageError: They are of a later version, or of no collection of ours.
        """
        if (found := properties.get(_FORMAT)) != str(FORMAT):
            raise StorageError(
                f"collection {name!r} has format {found!r} in Milvus, this version reads {FORMAT}; "
                "use the version that made it, or index its documents into a new collection"
            )
        try:
            return cls(
                CollectionSchema.from_json(properties[_SCHEMA]),
                datetime.fromisoformat(properties[_CREATED]),
                properties[_INCARNATION],
                properties.get(_READY) == "true",
                json.loads(properties.get(_SETTINGS, '""')),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"collection {name!r} has properties in Milvus that can't be read: {error}"
            ) from error

    def properties(self) -> dict[str, str]:
        """What is written when the collection is created."""
        return {
            _FORMAT: str(FORMAT),
            _SCHEMA: self.schema.to_json(),
            _CREATED: self.create_time.isoformat(),
            _INCARNATION: self.incarnation,
        }

    def completed(self) -> "Description":
        """This description, once the creation is completed."""
        return dataclasses.replace(self, is_ready=True)


COMPLETED = {_READY: "true"}
"""The property that a creation ends with."""


def settings_property(settings: str) -> dict[str, str]:
    """The property that holds a collection's settings, as JSON: so it is never empty."""
    return {_SETTINGS: compact_json(settings)}


def check_schema(schema: CollectionSchema) -> None:
    """Makes sure that Milvus can hold a collection.

    Raises:
        InvalidSchemaError: There is no such index kind.
    """
    MilvusIndexKind.parse(schema.index_kind)


def width_in_milvus(dimension: int) -> int:
    """Components of a vector in Milvus; those beyond the collection's dimension are 0."""
    return max(dimension, _MIN_DIMENSION)


def fields_of(schema: CollectionSchema) -> Any:
    """The fields of a collection, as pymilvus takes them."""
    fields = AsyncMilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    text = {"datatype": DataType.VARCHAR, "max_length": MAX_VARCHAR_BYTES}
    fields.add_field(
        "id", DataType.VARCHAR, is_primary=True, max_length=MAX_ID_BYTES + 1 + _MAX_WINDOW_DIGITS
    )
    fields.add_field("title", DataType.VARCHAR, max_length=MAX_TITLE_BYTES)
    fields.add_field("text", **text)
    fields.add_field("metadata", DataType.JSON)
    fields.add_field(
        "facts",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=MAX_FACTS,
        max_length=MAX_FACT_BYTES,
    )
    fields.add_field("ordered", DataType.JSON)
    fields.add_field("tokens", **text)
    fields.add_field("words", **text, enable_analyzer=True, analyzer_params=words.ANALYZER)
    fields.add_field("version", DataType.INT64)
    if schema.chunking is not None:
        fields.add_field("document", DataType.VARCHAR, max_length=MAX_ID_BYTES)
        for name in ("part", "num_windows", "first_token", "end_token"):
            fields.add_field(name, DataType.INT32)
    fields.add_field("vector", DataType.FLOAT_VECTOR, dim=width_in_milvus(schema.dimension))
    fields.add_field("bm25", DataType.SPARSE_FLOAT_VECTOR)
    fields.add_function(
        Function(
            name="bm25_of_words",
            function_type=FunctionType.BM25,
            input_field_names=["words"],
            output_field_names=["bm25"],
        )
    )
    return fields


def indexes_of(schema: CollectionSchema) -> Any:
    """The indexes that a collection can't be searched without, as pymilvus takes them."""
    kind = MilvusIndexKind.parse(schema.index_kind)
    indexes = AsyncMilvusClient.prepare_index_params()
    indexes.add_index(
        "vector", index_type=kind.name, metric_type=METRIC, params=kind.build_parameters
    )
    indexes.add_index(
        "bm25",
        index_type="SPARSE_INVERTED_INDEX",
        metric_type="BM25",
        params={"bm25_k1": words.K1, "bm25_b": words.B},
    )
    return indexes


def indexes_for_speed(schema: CollectionSchema) -> Any:
    """The indexes that filters are fast by."""
    indexes = AsyncMilvusClient.prepare_index_params()
    indexes.add_index("facts", index_type="INVERTED")
    if schema.chunking is not None:
        indexes.add_index("document", index_type="INVERTED")
    return indexes


def compact_json(value: object) -> str:
    """A value as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
