"""OpenVINO: its own conversion of the PyTorch model; int8 by NNCF's post-training quantisation.

Of families other than BERT's it gets our own graph: see `peer_graph`.
"""

# mypy: disable-error-code="import-not-found, attr-defined"

from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from twopass.benchmarks.engines.adapters.base import Forward, Source
from twopass.benchmarks.engines.adapters.peer_graph import feeds, is_bert_shaped, own_graph
from twopass.engines.base.engine import Precision
from twopass.engines.base.sequences import Float32s, TokenBatch

# What a quantised graph leaves in floating point is OpenVINO's to choose: bf16 where that is fast.
_HINTS: dict[Precision, dict[str, str]] = {
    Precision.F32: {"INFERENCE_PRECISION_HINT": "f32"},
    Precision.BF16: {"INFERENCE_PRECISION_HINT": "bf16"},
    Precision.INT8: {},
}


class OpenVino:
    """One inference request at a time, on all threads."""

    max_batch_tokens: int | None = None

    def __init__(self, source: Source, num_threads: int) -> None:
        core = openvino.Core()
        graph = _int8_file(source) if source.precision is Precision.INT8 else _f32_file(source)
        compiled = core.compile_model(
            core.read_model(graph),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": num_threads,
                "NUM_STREAMS": 1,
                **_HINTS[source.precision],
            },
        )
        self._folder = source.folder
        self._request = compiled.create_infer_request()
        floats = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.device = f"CPU, floating point in {floats}"

    def prepare(self, batch: TokenBatch) -> Forward:
        """Padded arrays."""
        arrays = list(feeds(self._folder, batch).values())
        return lambda: self._forward(arrays)

    def _forward(self, arrays: list[NDArray[np.generic]]) -> Float32s:
        # Results are a view of the request's own memory, which the next pass overwrites.
        output: Float32s = self._request.infer(arrays, share_inputs=True)[0].copy()
        return output


load = OpenVino


def export(source: Source) -> None:
    """The model in OpenVINO's own form, float32 kept; then a quantised one where asked for."""
    if not is_bert_shaped(source.folder):
        own_graph(source)
    elif not _f32_file(source).exists():
        from twopass.benchmarks.engines.adapters.torch_module import example_inputs, torch_module

        converted = openvino.convert_model(
            torch_module(source.folder), example_input=example_inputs()
        )
        openvino.save_model(converted, _f32_file(source), compress_to_fp16=False)
    if source.precision is Precision.INT8 and not _int8_file(source).exists():
        _export_int8(source)


def _export_int8(source: Source) -> None:
    import nncf

    batches = [list(feeds(source.folder, batch).values()) for batch in source.calibration]
    quantized = nncf.quantize(
        openvino.Core().read_model(_f32_file(source)),
        nncf.Dataset(batches),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(batches),
    )
    openvino.save_model(quantized, _int8_file(source), compress_to_fp16=False)


def _f32_file(source: Source) -> Path:
    return source.exports / ("openvino.xml" if is_bert_shaped(source.folder) else "own.onnx")


def _int8_file(source: Source) -> Path:
    return source.exports / "openvino-int8.xml"
