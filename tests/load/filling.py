"""Values for the fields of messages: such as a caller would send, and such as nobody would."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

TEXT_COLLECTION = "notes"
"""A collection whose documents the server embeds."""

VECTOR_COLLECTION = "vectors"
"""A collection whose documents come with vectors of `DIMENSION` components."""

DIMENSION = 4

_MAX_DEPTH = 6
_COLLECTIONS = (TEXT_COLLECTION, VECTOR_COLLECTION)
_IDS = tuple(str(number) for number in range(12))

# Few names, so that calls meet in the same collections.
_ODD_TEXTS = (
    *(
        "",
        "docs",
        "facts",
        "../etc",
        "a",
        "A" * 300,
        "\0",
        "東京",
        "x" * 5_000,
        " ",
        "\u202e",
        "%s",
    ),
    *('"; DROP TABLE documents; --', "NEAR/3 AND OR NOT *", "[SEP] [CLS] [MASK]", "a\nb", "Flat"),
    *("all-MiniLM-L6-v2", "twopass-minilm-l3", "nope", "HNSW32", "IVF10,PQ4", "😀" * 50, "1e400"),
    *('{"a": 1e999}', '{"a": {"a": [', "[1]", '{"n": 9007199254740993}', "..", ".", "a.", "*", "-"),
    *(
        "\ufeff",
        "\u00ad\u200b",
        "e\u0301" * 40,
        "ﷺ" * 100,
        "ก" * 500,
        "中" * 500,
        "C++",
        "\U000e0041",
    ),
)
_INTEGERS = (0, 1, 2, 3, 10, 384, -1, 2**31 - 1, -(2**31), 1_000_000)
_LONGS = (*_INTEGERS, 2**53 + 1, 2**63 - 1, -(2**63))
_FLOATS = (0.0, 0.5, 1.0, -1.0, 1e38, float("nan"), float("inf"), -float("inf"), 1e-45)
_BYTES = (b"", b"\0", b"\xff" * 20)

_LIKELY_TEXTS = (
    "Paris is the capital of France.",
    "unit error QX7714 of the part XR-2000/5, version 3.11.2",
    "東京は日本の首都です。",
    "请安装Docker后重启",
    "getUserName in C++ and C#, see https://example.org/a/b?c=d or mail to a.b@example.org",
    "Straße, ή, ø, ё, \ufb01ne, \uff21\uff22\uff23",
    "a long story. " * 200,
)
_LIKELY_NUMBERS = (0, 1, 2, 3, 10)
# By the name of a field, or by its message and name. What has no values is left out.
_LIKELY: Mapping[str, Sequence[Any]] = {
    "name": _COLLECTIONS,
    "CreateCollectionRequest.name": ("other", "third", *_COLLECTIONS),
    "DeleteCollectionRequest.name": ("other", "third", "copy"),
    "RenameCollectionRequest.name": ("other", "third", "copy"),
    "new_name": ("copy", "third", "renamed"),
    "CreateSnapshotRequest.name": ("s1", "s2", ""),
    "DeleteSnapshotRequest.name": ("s1", "s2"),
    "RestoreSnapshotRequest.name": ("s1", "s2"),
    "GetModelRequest.id": ("all-MiniLM-L6-v2", "twopass-minilm-l3"),
    "new_collection": ("copy",),
    "alias": ("first", "second"),
    "id": _IDS,
    "ids": _IDS,
    "set_id": ("a", "b"),
    "text": _LIKELY_TEXTS,
    "texts": _LIKELY_TEXTS,
    "title": ("Paris", "QX-7714", "首都"),
    "query": ("capital", "QX7714", "首都", "user name", "what is the capital of France?", "3.11.2"),
    "field": ("year", "kind", "tags", "tags.name", "big", "nothing"),
    "prefix": ("a", "cap", "東"),
    "phrase": ("capital of France", "XR-2000/5", "東京", "user name"),
    "string_value": ("a", "b", "2024-01-01", "2024-12-31T00:00:00Z"),
    "index_kind": ("", "Flat", "HNSW8", "IVF2,Flat"),
    "language": ("", "en", "de", "ja"),
    "dimension": (0, DIMENSION),
    "values": (0.5, -0.5, 1.0),
    "window_tokens": (20,),
    "overlap_tokens": (5,),
    "seconds": (1, 2),
    "nanos": (0,),
    "max_answer_bytes": (0, 100_000),
    "page_token": (),
    "min_sequence": (),
    "model": (),
    "encoder": (),
    "encoder_revision": (),
    "num_candidates": (1, 2),
    "metadata_json": ('{"year": 1999, "big": 9007199254740993}', "{}"),
    "blend": (0.0, 0.5, 1.0),
    "alpha": (0.0, 0.5, 1.0),
}
_KEYS = ("year", "kind", "tags", "name", "big")
# A call with none of these would say nothing.
_NEEDED = frozenset(
    {"collection", "name", "id", "query", "text", "texts", "documents", "candidates", "values"}
    | {"field", "changes", "alias", "new_collection", "searches", "facets", "seconds"}
    | {"IdCondition.ids", "GetDocumentsRequest.ids"}
)


class Filling:
    """Fills messages at random.

    Attributes:
        oddness: The share of values that nobody would send, 0 to 1.
    """

    def __init__(self, generator: random.Random, oddness: float) -> None:
        self._random = generator
        self._collection = generator.choice(_COLLECTIONS)
        self.oddness = oddness

    def fill(self, message: Message, depth: int = 0) -> None:
        """Sets some fields of a message, and of those in it."""
        for field in message.DESCRIPTOR.fields:
            if depth >= _MAX_DEPTH or self._is_left_out(field):
                continue
            if field.is_repeated:
                self._fill_repeated(message, field, depth)
            elif field.message_type is not None:
                getattr(message, field.name).SetInParent()
                self.fill(getattr(message, field.name), depth + 1)
            else:
                setattr(message, field.name, self._value(field))
        if not self._is_odd():
            self._choose_ids_or_filter(message)

    def _choose_ids_or_filter(self, message: Message) -> None:
        """Keeps one of them where a message takes either."""
        fields = message.DESCRIPTOR.fields_by_name
        if {"ids", "filter"}.issubset(fields.keys()) and fields["ids"].is_repeated:
            if message.HasField("filter"):
                message.ClearField("ids")
            else:
                self._fill_repeated(message, fields["ids"], 0)

    def _is_left_out(self, field: FieldDescriptor) -> bool:
        if self._is_odd():
            return self._random.random() < 0.35
        if field.name == "vector" and field.message_type is not None:
            return self._collection != VECTOR_COLLECTION
        if _likely(field) == ():
            return True
        return _NEEDED.isdisjoint((field.name, _own_name(field))) and self._random.random() < 0.6

    def _fill_repeated(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        repeated = getattr(message, field.name)
        for _ in range(self._count(field, depth)):
            if field.message_type is None:
                repeated.append(self._value(field))
            elif field.message_type.GetOptions().map_entry:
                keys = _ODD_TEXTS if self._is_odd() else _KEYS
                entry: Any = repeated[self._random.choice(keys)]
                self.fill(entry, depth + 2)
            else:
                self.fill(repeated.add(), depth + 1)

    def _count(self, field: FieldDescriptor, depth: int) -> int:
        if self._is_odd():
            return self._random.choice((0, 1, 2, 5, 40 if depth == 0 else 2))
        return DIMENSION if field.name == "values" else self._random.choice((1, 1, 2, 3))

    def _value(self, field: FieldDescriptor) -> Any:
        if not self._is_odd():
            if field.name == "collection":
                return self._collection
            if values := _likely(field):
                return self._random.choice(values)
            if field.cpp_type in _NUMERIC:
                return self._random.choice(_LIKELY_NUMBERS)
            if field.enum_type is not None:
                return self._random.choice(field.enum_type.values).number
        return self._odd_value(field)

    def _odd_value(self, field: FieldDescriptor) -> Any:
        choice = self._random.choice
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                # Bytes fields share the type.
                is_bytes = field.type == FieldDescriptor.TYPE_BYTES
                return choice(_BYTES if is_bytes else _ODD_TEXTS)
            case FieldDescriptor.CPPTYPE_INT32:
                return choice(_INTEGERS)
            case FieldDescriptor.CPPTYPE_INT64:
                return choice(_LONGS)
            case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
                return abs(choice(_INTEGERS[:-2]))
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return choice(_FLOATS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return self._random.random() < 0.5
        return choice((0, 1, 2, 3, 99, -1))  # of an enum, known or not

    def _is_odd(self) -> bool:
        return self._random.random() < self.oddness


_NUMERIC = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_FLOAT,
        FieldDescriptor.CPPTYPE_DOUBLE,
    }
)


def _likely(field: FieldDescriptor) -> Sequence[Any] | None:
    """Values that a caller would send; None where any of the type will do."""
    values = _LIKELY.get(_own_name(field), _LIKELY.get(field.name))
    if values and isinstance(values[0], str) != (field.cpp_type == field.CPPTYPE_STRING):
        return None  # another field of that name, such as the choice whether texts are returned
    return values


def _own_name(field: FieldDescriptor) -> str:
    return f"{field.containing_type.name}.{field.name}"
