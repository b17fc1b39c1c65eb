"""Embeddings as JSON: as numbers, as base64 of their bytes, as whole numbers and as bits.

Numbers of float32 are written in the shortest form that reads back as the same float32. A list of
384 takes 14 µs and 4.7 KB, its base64 2.4 µs and 2 KB (one core of Zen 4), so many are written in
turns with the rest of the event loop.
"""

import asyncio
import binascii
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s

Numbers: TypeAlias = NDArray[Any]

# After so long the event loop gets its turn. One vector of 4,096 components takes 150 µs.
_TURN_SECONDS = 0.0005
# So many are quantised at once, which takes 100 µs or less.
_BLOCK_NUMBERS = 16_384
# Components of a vector of length 1 and n components have the quadratic mean 1 / sqrt(n). Beyond
# six times that they are clipped, which is rarer than one in a thousand millions where they are
# distributed normally; in vectors of all-MiniLM-L6-v2 none is beyond 4.4 times.
_CLIPPED_BEYOND = 6.0
_MAX_INT8 = 127
_HALF_OF_BYTES = 128


class VectorType(StrEnum):
    """What the components of an embedding become, in the words of Cohere and Voyage."""

    FLOAT = "float"
    """float32 as the model made them."""
    INT8 = "int8"
    """Whole numbers from -127 to 127: see `quantized`."""
    UINT8 = "uint8"
    """Those of INT8 plus 128."""
    BINARY = "binary"
    """The bytes of UBINARY minus 128, from -128 to 127, "offset binary"."""
    UBINARY = "ubinary"
    """A bit for each component, eight in a byte, the first the highest; 1 above zero."""


def quantized(vectors: Float32s, kind: VectorType) -> Numbers:
    """Embeddings of length 1 in fewer bits.

    The maps are those of sentence-transformers (`quantize_embeddings`, sentence_transformers/util):
    int8 is linear over a range for each component, bits tell the sign, and signed types are the
    unsigned ones minus 128. Its ranges come from a sample of embeddings; here they are the same for
    every component, whatever is embedded: `round(127 · x · sqrt(n) / 6)`, clipped to ±127, for n
    components. So the numbers of a text do not depend on the texts beside it, and products of
    embeddings can be compared.

    Args:
        vectors: The embeddings, float32 `[num_texts, dimensions]`.
        kind: What to make of them.

    Returns:
        float32, int8 or uint8 `[num_texts, dimensions]`; for bits `[num_texts,
        ceil(dimensions / 8)]`, where zeros fill up the last byte.
    """
    if kind is VectorType.FLOAT:
        return vectors
    if kind is VectorType.UBINARY:
        return np.packbits(vectors > 0, axis=1)
    if kind is VectorType.BINARY:
        unsigned = np.packbits(vectors > 0, axis=1)
        signed: Numbers = (unsigned.astype(np.int16) - _HALF_OF_BYTES).astype(np.int8)
        return signed
    limit = np.float32(_CLIPPED_BEYOND / np.sqrt(vectors.shape[1]))
    steps = np.rint(np.clip(vectors, -limit, limit) * (_MAX_INT8 / limit))
    whole: Numbers = steps.astype(np.int8)
    if kind is VectorType.UINT8:
        whole = (whole.astype(np.int16) + _HALF_OF_BYTES).astype(np.uint8)
    return whole


async def as_numbers(vectors: Numbers, kind: VectorType = VectorType.FLOAT) -> list[msgspec.Raw]:
    """Each row as a list of numbers in JSON.

    Args:
        vectors: float32, int8 or uint8 `[num_texts, dimensions]`, finite.
        kind: What they become first; embeddings in float32 alone become anything else.
    """
    return await _in_turns(vectors, kind, _list_of)


async def as_base64(vectors: Numbers, kind: VectorType = VectorType.FLOAT) -> list[msgspec.Raw]:
    """Each row as a string in JSON: base64 of its bytes, those of float32 little-endian.

    Arguments are those of `as_numbers`.
    """
    return await _in_turns(vectors, kind, _base64_of)


async def _in_turns(
    vectors: Numbers, kind: VectorType, write: Callable[[Numbers], bytes]
) -> list[msgspec.Raw]:
    """Each row written; the event loop has its turn in between."""
    written = []
    end = time.perf_counter() + _TURN_SECONDS
    num_rows = max(1, _BLOCK_NUMBERS // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), num_rows):
        block = np.ascontiguousarray(quantized(vectors[start : start + num_rows], kind))
        for vector in block:
            if time.perf_counter() >= end:
                await asyncio.sleep(0)
                end = time.perf_counter() + _TURN_SECONDS
            written.append(msgspec.Raw(write(vector)))
    return written


def _list_of(vector: Numbers) -> bytes:
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)


def _base64_of(vector: Numbers) -> bytes:
    content = vector.astype(vector.dtype.newbyteorder("<"), copy=False).tobytes()
    return b'"%b"' % binascii.b2a_base64(content, newline=False)
