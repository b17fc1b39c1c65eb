"""Messages nobody would send: random bytes, damaged messages, well-formed ones of odd values."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from twopass.v1 import collection_pb2, embed_pb2, model_pb2, rerank_pb2, search_pb2, server_pb2

_MODULES = (collection_pb2, embed_pb2, model_pb2, rerank_pb2, search_pb2, server_pb2)
# Few names, so that calls meet in the same collections.
_TEXTS = (
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
    *("all-MiniLM-L6-v2", "twopass-minilm-l6", "nope", "HNSW32", "IVF10,PQ4", "😀" * 50, "1e400"),
)
_INTEGERS = (0, 1, 2, 3, 10, 384, -1, 2**31 - 1, -(2**31), 1_000_000)
_LONGS = (*_INTEGERS, 2**63 - 1, -(2**63))
_FLOATS = (0.0, 0.5, 1.0, -1.0, 1e38, float("nan"), float("inf"), -float("inf"), 1e-45)
_BYTES = (b"", b"\0", b"\xff" * 20)
_MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call.

    Attributes:
        path: What gRPC calls the rpc.
        contents: Its messages as bytes.
        is_stream: Whether it takes a stream.
    """

    path: str
    contents: tuple[bytes, ...]
    is_stream: bool


def methods() -> list[MethodDescriptor]:
    """Every rpc of the contract."""
    services = [s for module in _MODULES for s in module.DESCRIPTOR.services_by_name.values()]
    return [method for service in services for method in service.methods]


def attempts(seed: int, count: int) -> Iterator[Attempt]:
    """Yields calls over all rpcs, the same ones for the same seed."""
    generator = random.Random(seed)
    every = methods()
    for _ in range(count):
        method = generator.choice(every)
        number = generator.randint(0, 4) if method.client_streaming else 1
        contents = tuple(_content(generator, method) for _ in range(number))
        path = f"/{method.containing_service.full_name}/{method.name}"
        yield Attempt(path, contents, method.client_streaming)


def _content(generator: random.Random, method: MethodDescriptor) -> bytes:
    kind = generator.random()
    if kind < 0.1:
        return generator.randbytes(generator.choice((0, 1, 5, 50, 2_000)))
    message = message_factory.GetMessageClass(method.input_type)()
    _fill(generator, message, 0)
    content = message.SerializeToString()
    return _damaged(generator, content) if kind < 0.4 else content


def _damaged(generator: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        if not damaged:
            break
        position = generator.randrange(len(damaged))
        match generator.randint(0, 3):
            case 0:
                damaged[position] = generator.randrange(256)
            case 1:
                del damaged[position:]
            case 2:
                damaged[position:position] = generator.randbytes(3)
            case _:
                damaged += damaged[position : position + 64]
    return bytes(damaged)


def _fill(generator: random.Random, message: Message, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if depth >= _MAX_DEPTH or generator.random() < 0.35:
            continue
        if field.is_repeated:
            _fill_repeated(generator, message, field, depth)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill(generator, getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, _value(generator, field))


def _fill_repeated(
    generator: random.Random, message: Message, field: FieldDescriptor, depth: int
) -> None:
    repeated = getattr(message, field.name)
    for _ in range(generator.choice((0, 1, 2, 5, 40 if depth == 0 else 2))):
        if field.message_type is None:
            repeated.append(_value(generator, field))
        elif field.message_type.GetOptions().map_entry:
            entry: Any = repeated[generator.choice(_TEXTS)]
            _fill(generator, entry, depth + 2)
        else:
            _fill(generator, repeated.add(), depth + 1)


def _value(generator: random.Random, field: FieldDescriptor) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            # Bytes fields share the type.
            is_bytes = field.type == FieldDescriptor.TYPE_BYTES
            return generator.choice(_BYTES if is_bytes else _TEXTS)
        case FieldDescriptor.CPPTYPE_INT32:
            return generator.choice(_INTEGERS)
        case FieldDescriptor.CPPTYPE_INT64:
            return generator.choice(_LONGS)
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return abs(generator.choice(_INTEGERS[:-2]))
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return generator.choice(_FLOATS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return generator.random() < 0.5
    return generator.choice((0, 1, 2, 3, 99, -1))  # of an enum, known or not
