"""Memory that processes share, without a name: nothing is left of it when the last of them ends."""

import mmap
import os
import pickle
import tempfile
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Int32s

_ALIGNMENT = 64


def anonymous_file(size: int) -> int:
    """A file descriptor of memory that has no name.

    Args:
        size: In bytes.
    """
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("twopass-training")
    else:  # not on Linux
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, max(size, 1))
    return file


def mapped(file: int) -> mmap.mmap:
    """Maps the whole of such a file."""
    return mmap.mmap(file, os.fstat(file).st_size)


def as_int32(memory: mmap.mmap) -> Int32s:
    """The memory as one array."""
    return np.frombuffer(memory, np.int32)


def shared(value: Any) -> int:
    """Writes a value, whose arrays others map instead of copying them, into an anonymous file.

    Returns:
        The file, for `opened`.
    """
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    contents = [buffer.raw() for buffer in buffers]
    table = pickle.dumps((len(head), [len(content) for content in contents]))
    places = [_ALIGNMENT, *_places([len(table), len(head), *map(len, contents)])]
    file = anonymous_file(places[-1])
    blocks: list[bytes | memoryview] = [table, head, *contents]
    with mapped(file) as memory:
        memory[:8] = len(table).to_bytes(8)
        for place, content in zip(places, blocks, strict=False):
            memory[place : place + len(content)] = content
    return file


def opened(file: int) -> Any:
    """Reads what `shared` wrote; its arrays are read-only views of the file."""
    memory = memoryview(mmap.mmap(file, os.fstat(file).st_size, prot=mmap.PROT_READ))
    num_table = int.from_bytes(memory[:8])
    num_head, sizes = pickle.loads(memory[_ALIGNMENT : _ALIGNMENT + num_table])  # noqa: S301  # our own
    head, *places = _places([num_table, num_head, *sizes])[:-1]
    buffers = [memory[place : place + size] for place, size in zip(places, sizes, strict=True)]
    return pickle.loads(memory[head : head + num_head], buffers=buffers)  # noqa: S301


def _places(sizes: list[int]) -> list[int]:
    """Where what follows the first begins, each aligned, and the end of all."""
    places, end = [], _ALIGNMENT
    for size in sizes:
        end = -(-(end + size) // _ALIGNMENT) * _ALIGNMENT
        places.append(end)
    return places
