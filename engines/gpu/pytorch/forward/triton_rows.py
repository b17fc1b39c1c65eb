"""Kernels in Triton for what `row_ops.py` lists: each reads its rows once and writes them once.

Importing this module needs the package triton, which builds of PyTorch with CUDA bring. Sizes that
a model fixes are compiled in, the number of rows is not (`do_not_specialize`): one compilation
serves every shape of a model. Rows are contiguous; all arithmetic is float32. Triton reads these
functions' source: what is in capitals is known when they are compiled.
"""

import triton
import triton.language as tl

# Rows of at most so many columns are read by the four of a program.
_NARROW_COLUMNS = 1_024
_NARROW_ROWS = 4
_BLOCK = 1_024


def rows_a_program(width: int) -> tuple[int, int]:
    """Rows and columns that one program of `add_norm` or `embed_norm` reads.

    Args:
        width: Columns that there are; those read are a power of two.
    """
    columns = triton.next_power_of_2(width)
    return (_NARROW_ROWS if columns <= _NARROW_COLUMNS else 1), columns


def blocks(count: int, size: int = _BLOCK) -> int:
    """Programs that read `count` of something, `size` each."""
    return int(triton.cdiv(count, size))


@triton.jit
def _normed(x, is_column, weight_ptr, bias_ptr, columns, WIDTH: tl.constexpr, EPS: tl.constexpr):
    """LayerNorm of rows whose columns beyond `WIDTH` are 0."""
    mean = tl.sum(x, axis=1) / WIDTH
    centred = tl.where(is_column[None, :], x - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, axis=1) / WIDTH
    scaled = centred * (1.0 / tl.sqrt(variance + EPS))[:, None]
    weight = tl.load(weight_ptr + columns, mask=is_column, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + columns, mask=is_column, other=0.0).to(tl.float32)
    return scaled * weight[None, :] + bias[None, :]


@triton.jit(do_not_specialize=["num_rows"])
def add_norm(
    wide_ptr,
    added_ptr,
    weight_ptr,
    bias_ptr,
    sum_ptr,
    normed_ptr,
    narrow_ptr,
    num_rows,
    WIDTH: tl.constexpr,
    EPS: tl.constexpr,
    ADDS: tl.constexpr,
    STORES_SUM: tl.constexpr,
    STORES_NARROW: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """`normed = norm(wide + added)`, its copy `narrow` in another type, and the sum, where asked.

    What is not asked for has any pointer.
    """
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    is_column = columns < WIDTH
    is_there = (rows < num_rows)[:, None] & is_column[None, :]
    places = rows[:, None] * WIDTH + columns[None, :]
    x = tl.load(wide_ptr + places, mask=is_there, other=0.0).to(tl.float32)
    if ADDS:
        x += tl.load(added_ptr + places, mask=is_there, other=0.0).to(tl.float32)
    if STORES_SUM:
        tl.store(sum_ptr + places, x.to(sum_ptr.dtype.element_ty), mask=is_there)
    normed = _normed(x, is_column, weight_ptr, bias_ptr, columns, WIDTH, EPS)
    tl.store(normed_ptr + places, normed.to(normed_ptr.dtype.element_ty), mask=is_there)
    if STORES_NARROW:
        tl.store(narrow_ptr + places, normed.to(narrow_ptr.dtype.element_ty), mask=is_there)


@triton.jit(do_not_specialize=["num_rows"])
def embed_norm(
    token_ids_ptr,
    position_ptr,
    sequence_ptr,
    query_lengths_ptr,
    words_ptr,
    positions_ptr,
    types_ptr,
    weight_ptr,
    bias_ptr,
    normed_ptr,
    narrow_ptr,
    num_rows,
    WIDTH: tl.constexpr,
    EPS: tl.constexpr,
    HAS_POSITIONS: tl.constexpr,
    NUM_TYPES: tl.constexpr,
    STORES_NARROW: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Sums of the rows of a token's word, position and type, normed."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    is_row, is_column = rows < num_rows, columns < WIDTH
    is_there = is_row[:, None] & is_column[None, :]
    ids = tl.load(token_ids_ptr + rows, mask=is_row, other=0).to(tl.int64)
    position = tl.load(position_ptr + rows, mask=is_row, other=0)
    words = words_ptr + ids[:, None] * WIDTH + columns[None, :]
    x = tl.load(words, mask=is_there, other=0.0).to(tl.float32)
    if HAS_POSITIONS:
        found = positions_ptr + position[:, None] * WIDTH + columns[None, :]
        x += tl.load(found, mask=is_there, other=0.0)
    if NUM_TYPES > 1:
        sequence = tl.load(sequence_ptr + rows, mask=is_row, other=0)
        query_length = tl.load(query_lengths_ptr + sequence, mask=is_row, other=0)
        kind = tl.where(position >= query_length, 1, 0)
        found = types_ptr + kind[:, None] * WIDTH + columns[None, :]
        x += tl.load(found, mask=is_there, other=0.0)
    elif NUM_TYPES == 1:
        x += tl.load(types_ptr + columns, mask=is_column, other=0.0)[None, :]
    normed = _normed(x, is_column, weight_ptr, bias_ptr, columns, WIDTH, EPS)
    places = rows[:, None] * WIDTH + columns[None, :]
    tl.store(normed_ptr + places, normed.to(normed_ptr.dtype.element_ty), mask=is_there)
    if STORES_NARROW:
        tl.store(narrow_ptr + places, normed.to(narrow_ptr.dtype.element_ty), mask=is_there)


@triton.jit
def _activated(x, ACTIVATION: tl.constexpr):
    """A function of `Activation`, by its value."""
    if ACTIVATION == "gelu":
        y = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    elif ACTIVATION == "gelu_tanh":  # tanh(y) is 2 * sigmoid(2 * y) - 1
        y = x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    elif ACTIVATION == "relu":
        y = tl.maximum(x, 0.0)
    elif ACTIVATION == "silu":
        y = x * tl.sigmoid(x)
    else:
        y = 2.0 * tl.sigmoid(2.0 * x) - 1.0
    return y


@triton.jit
def gated_activation(
    inner_ptr, out_ptr, WIDTH: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr
):
    """`activation(gate) * up` of rows that are the gate's columns and then `up`'s."""
    row = tl.program_id(0)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    is_column = columns < WIDTH
    gates = inner_ptr + row * 2 * WIDTH + columns
    gate = tl.load(gates, mask=is_column, other=0.0).to(tl.float32)
    up = tl.load(gates + WIDTH, mask=is_column, other=0.0).to(tl.float32)
    result = _activated(gate, ACTIVATION) * up
    places = out_ptr + row * WIDTH + columns
    tl.store(places, result.to(out_ptr.dtype.element_ty), mask=is_column)


@triton.jit
def rotate(
    projected_ptr,
    cosines_ptr,
    sines_ptr,
    WIDTH: tl.constexpr,
    NUM_HEADS: tl.constexpr,
    HALF: tl.constexpr,
    HEADS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Turns the heads of queries and keys in place; a program has all of a token's.

    The first `NUM_HEADS` heads of a row of `WIDTH` are queries' and keys', of `2 * HALF` columns.
    """
    row = tl.program_id(0)
    heads, columns = tl.arange(0, HEADS), tl.arange(0, COLUMNS)
    is_column = columns < HALF
    is_there = (heads < NUM_HEADS)[:, None] & is_column[None, :]
    cosines = tl.load(cosines_ptr + row * HALF + columns, mask=is_column, other=0.0)[None, :]
    sines = tl.load(sines_ptr + row * HALF + columns, mask=is_column, other=0.0)[None, :]
    places = projected_ptr + row * WIDTH + heads[:, None] * (2 * HALF) + columns[None, :]
    first = tl.load(places, mask=is_there, other=0.0).to(tl.float32)
    second = tl.load(places + HALF, mask=is_there, other=0.0).to(tl.float32)
    kind = projected_ptr.dtype.element_ty
    tl.store(places, (first * cosines - second * sines).to(kind), mask=is_there)
    tl.store(places + HALF, (second * cosines + first * sines).to(kind), mask=is_there)
