"""From token vectors to what a model says: a reranker's logit, an encoder's embedding."""

import numpy as np
from onnx import TensorProto

from twopass.engines.model.architecture import Architecture, ClassifierHead, HeadPooling
from twopass.engines.model.pooling import EmbeddingHead, Pooling
from twopass.engines.onnx.graph_places import Places
from twopass.engines.onnx.graph_writer import GraphWriter


def logits(
    writer: GraphWriter,
    architecture: Architecture,
    head: ClassifierHead,
    places: Places,
    hidden: str,
) -> str:
    """A reranker's head over each pair, float32 `[batch_size]`."""
    is_cls = head.pooling is HeadPooling.CLS
    x = _pooled(writer, Pooling.CLS if is_cls else Pooling.MEAN, places, hidden)
    x = writer.activation(writer.dense_in_float(x, "head.dense"), head.activation)
    if head.norm:
        x = writer.layer_norm(x, "head.norm", architecture.norm_eps)
    return writer.op("Squeeze", writer.dense_in_float(x, "head.projection"), writer.ints(1))


def embeddings(writer: GraphWriter, head: EmbeddingHead, places: Places, hidden: str) -> str:
    """Poolings side by side, Dense modules and L2 norm, float32 `[batch_size, output_width]`."""
    parts = [_pooled(writer, pooling, places, hidden) for pooling in head.poolings]
    x = parts[0] if len(parts) == 1 else writer.op("Concat", *parts, axis=1)
    for number, layer in enumerate(head.dense):
        x = writer.dense_in_float(x, f"embedding.dense.{number}")
        if layer.activation is not None:
            x = writer.activation(x, layer.activation)
    norm = writer.op("ReduceL2", x, writer.ints(1), keepdims=1)
    return writer.op("Div", x, writer.op("Max", norm, writer.constant(np.float32(1e-12))))


def _pooled(writer: GraphWriter, pooling: Pooling, places: Places, hidden: str) -> str:
    """Token vectors pooled to one, float32 `[batch_size, hidden_size]`."""
    match pooling:
        case Pooling.CLS:
            return writer.op("Gather", hidden, writer.constant(np.int64(0)), axis=1)
        case Pooling.MAX:
            is_real = writer.op("Unsqueeze", places.is_real, writer.ints(2))
            least = writer.constant(np.finfo(np.float32).min)
            real = writer.op("Where", is_real, hidden, least)
            return writer.op("ReduceMax", real, writer.ints(1), keepdims=0)
        case Pooling.LAST:
            one = writer.constant(np.int32(1))
            last = writer.op("Equal", places.positions, writer.op("Sub", places.lengths, one))
            return _weighted_sum(writer, writer.op("Cast", last, to=TensorProto.FLOAT), hidden)
        case Pooling.MEAN | Pooling.MEAN_SQRT_LEN:
            share = writer.op("Cast", places.is_real, to=TensorProto.FLOAT)
            count = writer.op("Cast", places.lengths, to=TensorProto.FLOAT)
            if pooling is Pooling.MEAN_SQRT_LEN:
                count = writer.op("Sqrt", count)
            return writer.op("Div", _weighted_sum(writer, share, hidden), count)
        case Pooling.WEIGHTED_MEAN:
            share = writer.op("Cast", places.is_real, to=TensorProto.FLOAT)
            place = writer.op("Cast", places.positions, to=TensorProto.FLOAT)
            place = writer.op("Add", place, writer.constant(np.float32(1)))
            share = writer.op("Mul", share, place)
            total = writer.op("ReduceSum", share, writer.ints(1), keepdims=1)
            return writer.op("Div", _weighted_sum(writer, share, hidden), total)


def _weighted_sum(writer: GraphWriter, weights: str, hidden: str) -> str:
    weighted = writer.op("Mul", hidden, writer.op("Unsqueeze", weights, writer.ints(2)))
    return writer.op("ReduceSum", weighted, writer.ints(1), keepdims=0)
