"""The attention of one layer: rotated or biased by distance, of content and position apart."""

import numpy as np
from numpy.typing import NDArray

from twopass.engines.model.architecture import Architecture, Disentangled
from twopass.engines.onnx.graph_places import Places
from twopass.engines.onnx.graph_writer import GraphWriter


def attention(
    writer: GraphWriter, architecture: Architecture, places: Places, layer: int, x: str
) -> str:
    """Heads' outputs side by side, `[batch_size, seq_len, hidden_size]`, of the compute type."""
    module = f"layers.{layer}.attention"
    heads = writer.ints(0, 0, architecture.num_heads, architecture.head_dim)
    rotary = architecture.layers[layer].rotary
    disentangled = architecture.disentangled

    def project(name: str, order: list[int]) -> str:
        product = writer.dense(x, f"{module}.{name}")
        return writer.op("Transpose", writer.op("Reshape", product, heads), perm=order)

    query = project("query", [0, 2, 1, 3])
    if rotary is None and disentangled is None:
        turned_key = project("key", [0, 2, 3, 1])
    else:
        key = project("key", [0, 2, 1, 3])
        if rotary is not None:
            query, key = (_rotated(writer, x, places.rotations[rotary]) for x in (query, key))
        turned_key = writer.op("Transpose", key, perm=[0, 1, 3, 2])
    value = project("value", [0, 2, 1, 3])
    # Scaled before the product, so that float16 sums stay small.
    num_terms = 1 if disentangled is None else disentangled.num_terms
    scale = writer.computed(np.array((architecture.head_dim * num_terms) ** -0.5, np.float32))
    query = writer.op("Mul", query, scale)
    scores = writer.float_cast(writer.op("MatMul", query, turned_key))
    if disentangled is not None:
        for bias in _disentangled(writer, architecture, disentangled, places, module, query, key):
            scores = writer.op("Add", scores, writer.float_cast(bias))
    if places.relative_bias is not None:
        scores = writer.op("Add", scores, places.relative_bias)
    scores = writer.op("Add", scores, places.masks[architecture.layers[layer].window])
    shares = writer.compute_cast(writer.op("Softmax", scores, axis=-1))
    context = writer.op("Transpose", writer.op("MatMul", shares, value), perm=[0, 2, 1, 3])
    return writer.op("Reshape", context, writer.ints(0, 0, architecture.hidden_size))


def _rotated(writer: GraphWriter, x: str, rotation: tuple[str, str]) -> str:
    """Queries or keys `[batch_size, num_heads, seq_len, head_dim]` turned by their positions.

    In float32, as in transformers: float16 has three digits for an angle's sine.
    """
    cosines, sines = rotation
    first, second = writer.ops("Split", 2, writer.float_cast(x), axis=-1, num_outputs=2)

    def times(half: str, table: str) -> str:
        return writer.op("Mul", half, table)

    turned = (
        writer.op("Sub", times(first, cosines), times(second, sines)),
        writer.op("Add", times(second, cosines), times(first, sines)),
    )
    return writer.compute_cast(writer.op("Concat", *turned, axis=-1))


def _disentangled(
    writer: GraphWriter,
    architecture: Architecture,
    disentangled: Disentangled,
    places: Places,
    module: str,
    query: str,
    key: str,
) -> list[str]:
    """What content and position add to scores, `[batch_size, num_heads, seq_len, seq_len]`.

    The positions' own projections are constants, computed here. `query` is scaled already.
    """
    assert places.columns is not None
    of_queries, of_keys = places.columns
    found = []
    if disentangled.position_keys:
        positions = _projected_positions(writer, architecture, f"{module}.position_key")
        products = _by_distance(writer, query, positions, of_queries)
        found.append(_aligned(writer, places, products))
    if disentangled.position_queries:
        positions = _projected_positions(writer, architecture, f"{module}.position_query")
        positions *= np.float32((architecture.head_dim * disentangled.num_terms) ** -0.5)
        products = _by_distance(writer, key, positions, of_keys)
        aligned = _aligned(writer, places, products)
        found.append(writer.op("Transpose", aligned, perm=[0, 1, 3, 2]))
    return found


def _projected_positions(
    writer: GraphWriter, architecture: Architecture, module: str
) -> NDArray[np.float32]:
    """A layer's keys or queries of positions, `[num_heads, head_dim, num_rows]`."""
    weights = writer.weights
    rows = weights.float32("relative.embeddings.weight")
    assert architecture.disentangled is not None
    if architecture.disentangled.norm:
        rows = rows - rows.mean(axis=1, keepdims=True)
        rows = rows / np.sqrt(rows.var(axis=1, keepdims=True) + architecture.norm_eps)
        weight, bias = (weights.float32(f"relative.norm.{part}") for part in ("weight", "bias"))
        rows = rows * weight + bias
    projected = rows @ weights.float32(f"{module}.weight").T + weights.float32(f"{module}.bias")
    heads = projected.reshape(len(rows), architecture.num_heads, architecture.head_dim)
    return np.asarray(heads.transpose(1, 2, 0), np.float32)


def _by_distance(
    writer: GraphWriter, content: str, positions: NDArray[np.float32], columns: str
) -> str:
    """Products with the position at each distance, `[batch_size, heads, seq_len, 2 * seq_len]`."""
    chosen = writer.op("Gather", writer.computed(positions, "positions"), columns, axis=2)
    return writer.op("MatMul", content, chosen)


def _aligned(writer: GraphWriter, places: Places, products: str) -> str:
    """Element `[i, j]` from column `j - i + seq_len - 1` of row `i`: no gather, two slices.

    Row after row without a break, `i * 2 n + (j - i + n - 1)` is `i * (2 n - 1) + j` after the
    first `n - 1` elements; so rows of one less hold what is wanted at their beginnings.
    """
    one, zero = writer.ints(1), writer.ints(0)
    length = places.seq_len
    width = writer.op("Sub", writer.op("Add", length, length), one)
    flat = writer.op("Reshape", products, writer.ints(0, 0, -1))
    first = writer.op("Sub", length, one)
    end = writer.op("Add", first, writer.op("Mul", length, width))
    flat = writer.op("Slice", flat, first, end, writer.ints(2))
    shape = writer.op("Concat", writer.ints(0, 0), length, width, axis=0)
    rows = writer.op("Reshape", flat, shape)
    return writer.op("Slice", rows, zero, length, writer.ints(3))
