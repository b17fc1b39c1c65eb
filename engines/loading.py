"""From a model's name to a model ready to serve."""

import logging

from twopass.engines.base import (
    Encoder,
    EngineChoice,
    LoadedEncoder,
    LoadedModel,
    LoadedReranker,
    ModelKind,
    Precision,
    Reranker,
)
from twopass.engines.cpu_engine import CpuEncoder, CpuReranker, has_fast_kernels
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model_folder import ModelFolder, open_model
from twopass.engines.onnxruntime_engine import OnnxRuntimeEncoder, OnnxRuntimeReranker
from twopass.engines.tokenizer import HuggingFaceTokenizer

_logger = logging.getLogger("twopass.engines")


def load_model(
    name: str,
    *,
    num_threads: int,
    engine: EngineChoice = EngineChoice.AUTO,
    precision: Precision = Precision.INT8,
) -> LoadedModel:
    """Opens a model's folder, its tokenizer and an engine for it.

    Args:
        name: A shipped model, a folder, or a hub id.
        num_threads: Threads of one forward pass; 0 takes one for each CPU of the process.
        engine: What runs it.
        precision: Of the products on the engine cpu; the others have their own.

    Raises:
        ModelError: The folder is missing or damaged, or the engine does not run it.
    """
    folder = open_model(name)
    tokenizer = HuggingFaceTokenizer(folder.tokenizer)
    built = _build(folder, num_threads, engine, precision)
    _logger.info(
        "model loaded",
        extra={
            "model": folder.spec.id,
            "kind": folder.spec.kind.value,
            "engine": built.info.engine,
            "precision": built.info.precision,
            "device": built.info.device,
        },
    )
    if isinstance(built, CpuEncoder | OnnxRuntimeEncoder):
        return LoadedEncoder(folder.spec, tokenizer, built)
    return LoadedReranker(folder.spec, tokenizer, built)


def _build(
    folder: ModelFolder, num_threads: int, choice: EngineChoice, precision: Precision
) -> Encoder | Reranker:
    if choice is EngineChoice.ONNXRUNTIME:
        return _onnxruntime(folder, num_threads)
    if choice is EngineChoice.CPU:
        return _cpu(folder, num_threads, precision)
    if not has_fast_kernels():
        _logger.info("engine onnxruntime taken: the core has no kernels for this processor")
        return _onnxruntime(folder, num_threads)
    try:
        return _cpu(folder, num_threads, precision)
    except UnsupportedModelError as error:
        _logger.info("engine onnxruntime taken: %s", error)
        return _onnxruntime(folder, num_threads)


def _cpu(folder: ModelFolder, num_threads: int, precision: Precision) -> CpuEncoder | CpuReranker:
    kind = CpuReranker if folder.spec.kind is ModelKind.RERANKER else CpuEncoder
    return kind(folder, num_threads=num_threads, precision=precision)


def _onnxruntime(folder: ModelFolder, num_threads: int) -> OnnxRuntimeEncoder | OnnxRuntimeReranker:
    kind = OnnxRuntimeReranker if folder.spec.kind is ModelKind.RERANKER else OnnxRuntimeEncoder
    return kind(folder, num_threads=num_threads)
