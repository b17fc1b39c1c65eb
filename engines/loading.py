"""From a model's name to a model ready to serve."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from twopass.engines.base import (
    Engine,
    EngineChoice,
    LoadedEncoder,
    LoadedModel,
    LoadedReranker,
    ModelKind,
    Precision,
    Prompt,
    Tokenizer,
)
from twopass.engines.cpu.engine import CpuEngine, has_fast_kernels
from twopass.engines.errors import EngineUnavailableError, UnsupportedModelError, WrongKindError
from twopass.engines.gpu.tensorrt_engine import TensorRtEngine
from twopass.engines.gpu.torch_engine import TorchEngine
from twopass.engines.model.decoder import is_decoder
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.folder import ModelFolder, locate, open_model
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.engines.onnx.engine import OnnxRuntimeEngine
from twopass.engines.transformers.engine import TransformersEngine

_logger = logging.getLogger("twopass.engines")


def folder_of(name: str) -> Path:
    """A model's folder, links followed: the same for every spelling of a name.

    Raises:
        ModelError: No model of that name was found.
    """
    return locate(name).resolve()


def load_model(
    name: str,
    *,
    num_threads: int,
    engine: EngineChoice = EngineChoice.AUTO,
    precision: Precision = Precision.INT8,
    max_passage_tokens: int | None = None,
    kinds: Collection[ModelKind] = (),
) -> LoadedModel:
    """Opens a model's folder, its tokenizer and an engine for it.

    Args:
        name: A shipped model, a folder, or a hub id.
        num_threads: Threads of one forward pass; 0 takes one for each CPU available to it.
        engine: What runs it.
        precision: Of the products on the engine cpu; the engine torch takes bf16 and f32 from it.
            The others have their own.
        max_passage_tokens: Of a passage, as many are read at once; None for the model's own.
        kinds: What it is asked for as, each of which it has to be; empty for whatever it is.

    Raises:
        WrongKindError: The model is not of that kind; no engine was built.
        ModelError: The folder is missing or damaged, or the engine does not run it.
        EngineUnavailableError: The engine asked for needs a package or a device that is missing.
    """
    folder = open_model(name)
    for kind in kinds:
        _ensure_kind(folder, kind)
    if max_passage_tokens is not None:
        spec = replace(folder.spec, max_passage_tokens=max_passage_tokens)
        folder = replace(folder, spec=spec)
    tokenizer: Tokenizer
    prompt: Prompt | None = None
    if folder.decoder is not None and folder.decoder.layout is not None:
        tokenizer = prompt = DecoderTokenizer(folder.tokenizer, folder.decoder.layout)
    else:
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
    if folder.spec.kind is ModelKind.ENCODER:
        return LoadedEncoder(folder.spec, tokenizer, built)
    return LoadedReranker(folder.spec, tokenizer, built, prompt)


def _ensure_kind(folder: ModelFolder, kind: ModelKind) -> None:
    if folder.spec.kind is kind:
        return
    named = ", ".join(map(str, folder.config.get("architectures") or ())) or "no architecture"
    what = (
        "is an encoder: it makes an embedding of each text, and has no head that scores a pair"
        if kind is ModelKind.RERANKER
        else "is a reranker: it scores pairs, and makes no embeddings"
    )
    message = f"{folder.spec.id} {what} (config.json names {named})"
    raise WrongKindError(message, folder.spec.kind)


def _build(
    folder: ModelFolder, num_threads: int, choice: EngineChoice, precision: Precision
) -> Engine:
    match choice:
        case EngineChoice.TENSORRT:
            return _tensorrt(folder)
        case EngineChoice.TORCH:
            return _torch(folder, precision)
        case EngineChoice.TRANSFORMERS:
            return _transformers(folder, num_threads, precision)
        case EngineChoice.CPU:
            return _cpu(folder, num_threads, precision)
        case EngineChoice.ONNXRUNTIME:
            return _onnxruntime(folder, num_threads)
        case EngineChoice.AUTO:
            return _fastest(folder, num_threads, precision)


def _fastest(folder: ModelFolder, num_threads: int, precision: Precision) -> Engine:
    """The first engine that runs the model here; one log line says why not those before it."""
    attempts: dict[EngineChoice, Callable[[], Engine]] = {
        EngineChoice.TENSORRT: lambda: _tensorrt(folder),
        EngineChoice.TORCH: lambda: _torch(folder, precision),
        EngineChoice.CPU: lambda: _fast_cpu(folder, num_threads, precision),
        EngineChoice.ONNXRUNTIME: lambda: _onnxruntime(folder, num_threads),
        EngineChoice.TRANSFORMERS: lambda: _transformers(folder, num_threads, precision),
    }
    if is_decoder(folder.config):
        reason = f"it alone runs decoders ({folder.config['model_type']})"
        return _chosen(
            EngineChoice.TRANSFORMERS, [reason], _transformers(folder, num_threads, precision)
        )
    reasons = []
    for choice, attempt in attempts.items():
        try:
            built = attempt()
        except (EngineUnavailableError, UnsupportedModelError) as error:
            reasons.append(f"not {choice} ({error})")
            continue
        return _chosen(choice, reasons, built)
    raise UnsupportedModelError(f"{folder.path}: no engine runs it here: {'; '.join(reasons)}")


def _chosen(choice: EngineChoice, reasons: list[str], built: Engine) -> Engine:
    _logger.info("engine %s taken: %s", choice, "; ".join(reasons) or "it is the fastest there is")
    return built


def _tensorrt(folder: ModelFolder) -> Engine:
    return TensorRtEngine(folder)


def _torch(folder: ModelFolder, precision: Precision) -> Engine:
    return TorchEngine(folder, precision=precision)


def _transformers(folder: ModelFolder, num_threads: int, precision: Precision) -> Engine:
    return TransformersEngine(folder, num_threads=num_threads, precision=precision)


def _fast_cpu(folder: ModelFolder, num_threads: int, precision: Precision) -> Engine:
    if not has_fast_kernels():
        raise EngineUnavailableError("the core has no kernels for this processor")
    return _cpu(folder, num_threads, precision)


def _cpu(folder: ModelFolder, num_threads: int, precision: Precision) -> Engine:
    return CpuEngine(folder, num_threads=num_threads, precision=precision)


def _onnxruntime(folder: ModelFolder, num_threads: int) -> Engine:
    return OnnxRuntimeEngine(folder, num_threads=num_threads)
