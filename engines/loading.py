"""From a model's name to a model ready to serve."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from twopass.engines.base import (
    Engine,
    EngineChoice,
    LoadedEncoder,
    LoadedModel,
    LoadedReranker,
    ModelKind,
    ModelSpec,
    Precision,
    Prompt,
    TextTokenizer,
    Tokenizer,
)
from twopass.engines.cpu.engine import CpuEngine, has_fast_kernels
from twopass.engines.errors import EngineUnavailableError, UnsupportedModelError, WrongKindError
from twopass.engines.gpu.tensorrt_engine import TensorRtEngine
from twopass.engines.gpu.torch_engine import TorchEngine
from twopass.engines.model.decoder import is_decoder
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.folder import ModelFolder, open_model
from twopass.engines.model.locating import locate
from twopass.engines.model.tokenizer import load_tokenizer, with_room_for_prefixes
from twopass.engines.onnx.engine import OnnxRuntimeEngine
from twopass.engines.transformers.engine import TransformersEngine
from twopass.engines.trial import tried

_logger = logging.getLogger("twopass.engines")

_BY_SPEED = (
    EngineChoice.TENSORRT,
    EngineChoice.TORCH,
    EngineChoice.CPU,
    EngineChoice.ONNXRUNTIME,
    EngineChoice.TRANSFORMERS,
)

_ON_GPUS = (EngineChoice.TENSORRT, EngineChoice.TORCH)


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
    device: str = "",
    computed_by: Callable[[ModelSpec], Engine] | None = None,
) -> LoadedModel:
    """Opens a model's folder, its tokenizer and an engine for it, and tries what it promises.

    Args:
        name: A shipped model, a folder, or a hub id.
        num_threads: Threads of one forward pass; 0 takes one for each CPU available to it.
        engine: What runs it.
        precision: Of the products on the engine cpu; the engine torch takes bf16 and f32 from it.
            The others have their own.
        max_passage_tokens: Of a passage, as many are read at once; None for the model's own.
        kinds: What it is asked for as, each of which it has to be; empty for whatever it is.
        device: "cpu", or a GPU such as "cuda:1"; "" for the one that an engine takes by itself.
        computed_by: Makes what computes it, in place of an engine that is built here and reads the
            weights.

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
    tokenizer: TextTokenizer | DecoderTokenizer
    prompt: Prompt | None = None
    if folder.decoder is not None and folder.decoder.layout is not None:
        tokenizer = prompt = DecoderTokenizer(folder.tokenizer, folder.decoder.layout)
    else:
        tokenizer = load_tokenizer(folder)
        if folder.spec.kind is ModelKind.RERANKER:
            _ = tokenizer.template  # raises for one that makes no pairs
        else:
            folder = replace(folder, spec=with_room_for_prefixes(folder.spec, tokenizer))
    if computed_by is not None:
        built = computed_by(folder.spec)
    else:
        building = _Building(folder, tokenizer, num_threads, precision, device)
        built = building.build(engine)
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
        assert not isinstance(tokenizer, DecoderTokenizer), "prompts are for rerankers"
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


@dataclass(frozen=True, slots=True)
class _Building:
    """What an engine is built of; it is tried before it is taken."""

    folder: ModelFolder
    tokenizer: Tokenizer
    num_threads: int
    precision: Precision
    device: str

    def build(self, choice: EngineChoice) -> Engine:
        if choice is EngineChoice.AUTO:
            return self._fastest()
        return tried(self._built(choice), self.folder.spec, self.tokenizer)

    def _fastest(self) -> Engine:
        """The first engine that runs the model here; one log line says why not those before it."""
        if is_decoder(self.folder.config):
            reason = f"it alone runs decoders ({self.folder.config['model_type']})"
            engine = self.build(EngineChoice.TRANSFORMERS)
            return _chosen(EngineChoice.TRANSFORMERS, [reason], engine)
        reasons = []
        for choice in _BY_SPEED:
            try:
                if choice is EngineChoice.CPU and not has_fast_kernels():
                    raise EngineUnavailableError("the core has no kernels for this processor")
                engine = self.build(choice)
            except (EngineUnavailableError, UnsupportedModelError) as error:
                reasons.append(f"not {choice} ({error})")
                continue
            return _chosen(choice, reasons, engine)
        raise UnsupportedModelError(
            f"{self.folder.path}: no engine runs it here: {'; '.join(reasons)}"
        )

    def _built(self, choice: EngineChoice) -> Engine:
        folder, num_threads, precision = self.folder, self.num_threads, self.precision
        is_on_gpus, device = choice in _ON_GPUS, self.device
        if device and (device == "cpu") is is_on_gpus and choice is not EngineChoice.TRANSFORMERS:
            raise EngineUnavailableError(f"the engine {choice} does not run on {device}")
        match choice:
            case EngineChoice.TENSORRT:
                return TensorRtEngine(folder, gpu_index=int(device.partition(":")[2] or 0))
            case EngineChoice.TORCH:
                return TorchEngine(folder, device=device or "cuda", precision=precision)
            case EngineChoice.TRANSFORMERS:
                return TransformersEngine(
                    folder, device=device, num_threads=num_threads, precision=precision
                )
            case EngineChoice.ONNXRUNTIME:
                return OnnxRuntimeEngine(folder, num_threads=num_threads)
            case _:
                return CpuEngine(folder, num_threads=num_threads, precision=precision)


def _chosen(choice: EngineChoice, reasons: list[str], engine: Engine) -> Engine:
    _logger.info("engine %s taken: %s", choice, "; ".join(reasons) or "it is the fastest there is")
    return engine
