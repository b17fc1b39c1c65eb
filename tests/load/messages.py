"""Calls of every rpc: as callers make them, with odd values, damaged, and of random bytes."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from twopass.v1 import (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)

from .filling import Filling

_MODULES = (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)
# Of a message's values. Most messages come as far as a collection, some to every check before it.
_ODDNESS = (0.0, 0.02, 0.1, 0.3, 1.0)


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


def attempts(
    seed: int, count: int, rpcs: Sequence[MethodDescriptor] | None = None
) -> Iterator[Attempt]:
    """Yields calls over all rpcs, the same ones for the same seed.

    Args:
        seed: Decides what is sent.
        count: How many calls.
        rpcs: Which rpcs; None for those of our contract.
    """
    generator = random.Random(seed)
    every = methods() if rpcs is None else rpcs
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
    Filling(generator, generator.choice(_ODDNESS)).fill(message)
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
