"""ONNX Runtime as its users run it: PyTorch's export, attention fused, quantised for int8."""

# mypy: disable-error-code="import-not-found"

from pathlib import Path

import numpy as np
import onnxruntime

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.benchmarks.engines.batching import pad
from twopass.engines.base import Float32s, Precision, TokenBatch
from twopass.engines.model.families import read_architecture


class OnnxRuntimeExport:
    """A session over the exported graph."""

    max_batch_tokens: int | None = None

    def __init__(self, source: Source, num_threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = _int8_file(source) if source.precision is Precision.INT8 else _fused_file(source)
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self.device = self._session.get_providers()[0].removesuffix("ExecutionProvider")

    def prepare(self, batch: TokenBatch) -> Forward:
        """Padded arrays."""
        feeds = pad(batch).named()
        return lambda: self._forward(feeds)

    def _forward(self, feeds: dict[str, np.ndarray]) -> Float32s:
        output: Float32s = self._session.run(None, feeds)[0]
        return output


load = OnnxRuntimeExport


def export(source: Source) -> None:
    """PyTorch's export; ONNX Runtime's fusions; dynamic int8, weights per channel."""
    if not _fused_file(source).exists():
        _export_fused(source)
    if source.precision is Precision.INT8 and not _int8_file(source).exists():
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            _fused_file(source),
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
    optimized.save_model_to_file(str(_fused_file(source)))


def _fused_file(source: Source) -> Path:
    return source.exports / "fused.onnx"


def _int8_file(source: Source) -> Path:
    return source.exports / "fused-int8.onnx"
