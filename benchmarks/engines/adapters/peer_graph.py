"""What peers are given of a model: PyTorch's export where it has BERT's shape, else our own graph.

ONNX Runtime's fusions are made for exports of BERT. Of other families the graph that our engine
onnxruntime runs is given to all: OpenVINO ran ModernBERT-base 8 % faster in int8 from it than from
its own conversion of transformers' module (Zen 4, 8 pairs of 128 tokens, one thread).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twopass.benchmarks.engines.adapters.base import Source
from twopass.benchmarks.engines.batching import pad
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder
from twopass.engines.onnx.graph_writer import ComputeType
from twopass.engines.onnx.half_precision import graph_of


def is_bert_shaped(folder: ModelFolder) -> bool:
    """Whether it takes token types and normalises after each block, without gates."""
    shape = read_architecture(folder.config)
    return shape.type_vocab_size == 2 and not (shape.norm_first or shape.gated)


def own_graph(source: Source) -> Path:
    """Our graph in float32, written where it is not there already."""
    file = source.exports / "own.onnx"
    if not file.exists():
        file.write_bytes(graph_of(source.folder, ComputeType.F32).SerializeToString())
    return file


def feeds(folder: ModelFolder, batch: TokenBatch) -> dict[str, NDArray[np.generic]]:
    """A padded batch by the names of the inputs, in their order."""
    padded = pad(batch).named()
    if is_bert_shaped(folder):
        return dict(padded)
    return {
        "input_ids": padded["input_ids"].astype(np.int32),
        "lengths": batch.lengths.astype(np.int32),
        "query_lengths": batch.query_lengths.astype(np.int32),
    }
