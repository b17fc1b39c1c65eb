"""What clients read back of embeddings in JSON, beside numpy's own reading of the same bytes."""

import asyncio
import base64
import json
import time

import hypothesis.extra.numpy as arrays
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.http import vectors as module
from twopass.server.http.vectors import VectorType, as_base64, as_numbers, quantized

FLOATS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 40)),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def read(written: list[msgspec.Raw]) -> list:
    """What a client reads, where the rows stand in one document."""
    return json.loads(msgspec.json.encode(written))


def unit(rng: np.random.Generator, count: int, dimensions: int) -> np.ndarray:
    vectors = rng.standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(vectors=FLOATS)
def test_numbers_read_back_as_the_same_float32(vectors):
    found = np.array(read(asyncio.run(as_numbers(vectors))), np.float64).astype(np.float32)
    np.testing.assert_array_equal(found, vectors)


@given(vectors=FLOATS)
def test_numbers_are_written_in_the_fewest_digits(vectors):
    """numpy's shortest form of a float32 is the reference."""
    (row,) = asyncio.run(as_numbers(vectors[:1]))
    for written, number in zip(bytes(row)[1:-1].split(b","), vectors[0], strict=True):
        shortest = np.format_float_scientific(number, unique=True, trim="-")
        digits = [c for c in written.decode().lower().split("e")[0] if c.isdigit()]
        fewest = [c for c in shortest.split("e")[0] if c.isdigit()]
        assert "".join(digits).strip("0") == "".join(fewest).strip("0")


@given(vectors=FLOATS)
def test_base64_is_of_little_endian_float32(vectors):
    rows = read(asyncio.run(as_base64(vectors)))
    found = [np.frombuffer(base64.b64decode(row, validate=True), "<f4") for row in rows]
    np.testing.assert_array_equal(np.array(found), vectors)


@given(vectors=FLOATS, kind=st.sampled_from(VectorType))
def test_every_type_reads_back_from_numbers_and_from_base64(vectors, kind):
    made = quantized(vectors, kind)
    numbers = np.array(read(asyncio.run(as_numbers(made))), made.dtype)
    np.testing.assert_array_equal(numbers, made)
    rows = read(asyncio.run(as_base64(made)))
    found = [np.frombuffer(base64.b64decode(row), made.dtype) for row in rows]
    np.testing.assert_array_equal(np.array(found), made)


@given(vectors=FLOATS, kind=st.sampled_from(VectorType), block=st.sampled_from([1, 50, 10_000]))
def test_vectors_are_quantised_in_blocks_as_all_at_once(vectors, kind, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK_NUMBERS", block)
        for write in (as_numbers, as_base64):
            at_once = asyncio.run(write(quantized(vectors, kind)))
            assert list(map(bytes, asyncio.run(write(vectors, kind)))) == list(map(bytes, at_once))


@given(vectors=FLOATS)
def test_bits_tell_which_components_are_above_zero(vectors):
    found = quantized(vectors, VectorType.UBINARY)
    assert found.shape == (len(vectors), -(-vectors.shape[1] // 8))
    bits = np.unpackbits(found, axis=1, count=vectors.shape[1])
    np.testing.assert_array_equal(bits.astype(bool), vectors > 0)


@given(vectors=FLOATS)
def test_signed_types_are_the_unsigned_ones_minus_128(vectors):
    for signed, unsigned in ((VectorType.INT8, VectorType.UINT8), ("binary", "ubinary")):
        less = quantized(vectors, VectorType(signed)).astype(int)
        more = quantized(vectors, VectorType(unsigned)).astype(int)
        np.testing.assert_array_equal(less, more - 128)
        assert quantized(vectors, VectorType(signed)).dtype == np.int8
        assert quantized(vectors, VectorType(unsigned)).dtype == np.uint8


@pytest.mark.parametrize("dimensions", [64, 384, 1024])
def test_cosines_of_int8_are_near_those_of_float32(dimensions):
    """A step is 6 / 127 of the quadratic mean of components; rounding errs by a third of it."""
    vectors = unit(np.random.default_rng(1), 50, dimensions)
    steps = quantized(vectors, VectorType.INT8).astype(np.float64)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    assert np.abs(steps @ steps.T - vectors @ vectors.T).max() < 0.2 / np.sqrt(dimensions)


def test_the_numbers_of_a_text_do_not_depend_on_the_texts_beside_it(golden):
    for kind in VectorType:
        together = quantized(golden.embeddings, kind)
        for i in range(len(together)):
            alone = quantized(golden.embeddings[i : i + 1], kind)
            np.testing.assert_array_equal(alone[0], together[i])


def test_what_is_far_out_is_clipped_and_nothing_overflows():
    vectors = np.zeros((2, 384), np.float32)
    vectors[0, 0], vectors[1, 0] = 1, -1
    assert quantized(vectors, VectorType.INT8)[:, 0].tolist() == [127, -127]
    assert quantized(vectors, VectorType.UINT8)[:, 0].tolist() == [255, 1]


def test_rows_of_a_cut_array_need_not_lie_side_by_side():
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)[:, :2]
    assert read(asyncio.run(as_numbers(vectors))) == vectors.tolist()


async def test_the_event_loop_has_its_turns_while_many_vectors_are_written(monkeypatch):
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    vectors = unit(np.random.default_rng(2), 100, 8)
    began = time.perf_counter()
    assert len(await as_numbers(vectors)) == 100
    assert time.perf_counter() > began
    beside.cancel()
    assert turns >= 99
