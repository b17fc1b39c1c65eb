"""ONNX Runtime as its users run it: PyTorch's export, attention fused, quantised for int8.

Of families other than BERT's it gets our own graph: see `peer_graph`.
"""

# mypy: disable-error-code="import-not-found"

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.benchmarks.engines.adapters.peer_graph import feeds, is_bert_shaped, own_graph
from twopass.engines.base.engine import Precision
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.model.families import read_architecture


class OnnxRuntimeExport:
    """A session over the exported graph."""

    max_batch_tokens: int | None = None

    def __init__(self, source: Source, num_threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = _int8_file(source) if source.precision is Precision.INT8 else _f32_file(source)
        self._folder = source.folder
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self.device = self._session.get_providers()[0].removesuffix("ExecutionProvider")

    def prepare(self, batch: TokenBatch) -> Forward:
        """Padded arrays."""
        arrays = feeds(self._folder, batch)
        return lambda: self._forward(arrays)

    def _forward(self, arrays: dict[str, NDArray[np.generic]]) -> Float32s:
        output: Float32s = self._session.run(None, arrays)[0]
        return output


load = OnnxRuntimeExport


def export(source: Source) -> None:
    """The graph in float32; then with dynamic int8, weights per channel, where asked for."""
    if not is_bert_shaped(source.folder):
        own_graph(source)
    elif not _f32_file(source).exists():
        _export_fused(source)
    if source.precision is Precision.INT8 and not _int8_file(source).exists():
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            _f32_file(source),
            _int8_file(source),
            per_channel=True,
            weight_type=QuantType.QInt8,
            # Types can't be inferred behind fused operators, which are ONNX Runtime's own.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


def _export_fused(source: Source) -> None:
    import torch
    from onnxruntime.transformers.optimizer import optimize_model

    from twopass.benchmarks.engines.adapters.torch_module import (
        INPUTS,
        example_inputs,
        torch_module,
    )

    exported = source.exports / "exported.onnx"
    dynamic = {0: "batch_size", 1: "seq_len"}
    torch.onnx.export(
        torch_module(source.folder),
        example_inputs(),
        str(exported),
        input_names=list(INPUTS),
        output_names=["output"],
        dynamic_axes=dict.fromkeys(INPUTS, dynamic) | {"output": {0: "batch_size"}},
        opset_version=17,
        dynamo=False,
    )
    shape = read_architecture(source.folder.config)
    optimized = optimize_model(
        str(exported), "bert", num_heads=shape.num_heads, hidden_size=shape.hidden_size
    )
    optimized.save_model_to_file(str(_f32_file(source)))


def _f32_file(source: Source) -> Path:
    return source.exports / ("fused.onnx" if is_bert_shaped(source.folder) else "own.onnx")


def _int8_file(source: Source) -> Path:
    return source.exports / "onnxruntime-int8.onnx"
