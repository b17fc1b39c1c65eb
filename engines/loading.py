"""From a model's name to a model ready to serve."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from twopass.engines.base.engine import Engine, EngineChoice, Precision
from twopass.engines.base.model import (
    LoadedEncoder,
    LoadedModel,
    LoadedReranker,
    ModelKind,
    ModelSpec,
)
from twopass.engines.base.tokenizer import Prompt, TextTokenizer, Tokenizer
from twopass.engines.cpu.engine import CpuEngine, has_fast_kernels
from twopass.engines.errors import EngineUnavailableError, UnsupportedModelError, WrongKindError
from twopass.engines.gpu.device_kind import DeviceKind, device_kind, num_gpus
from twopass.engines.gpu.pytorch.engine import TorchEngine
from twopass.engines.gpu.tensorrt.engine import TensorRtEngine
from twopass.engines.model.decoder import is_decoder
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.folder import ModelFolder, open_model
from twopass.engines.model.locating import locate
from twopass.engines.model.tokenizer import load_tokenizer, with_room_for_prefixes
from twopass.engines.onnx.engine import OnnxRuntimeEngine
from twopass.engines.shown import faster_engines
from twopass.engines.transformers.engine import TransformersEngine
from twopass.engines.trial import tried

_logger = logging.getLogger("twopass.engines")

_ON_GPUS = (EngineChoice.TENSORRT, EngineChoice.TORCH)
_AFTER_THE_CORE = (EngineChoice.ONNXRUNTIME, EngineChoice.TRANSFORMERS)
# Choices that were told: the models of a server, and engines that restart, mostly choose alike.
_told: set[str] = set()


def folder_of(name: str) -> Path:
    """A model's folder, links followed: the same for every spelling of a name.

    Raises:
        ModelError: No model of that name was found.
    """
    return locate(name).resolve()


def all_gpus() -> tuple[str, ...]:
    """Every GPU of this machine that the driver shows, as `load_model` takes a device.

    Raises:
        EngineUnavailableError: There is none; says why.
    """
    return tuple(f"cuda:{index}" for index in range(num_gpus()))


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
        """The first engine that runs the model here; one log line says why not those before it.

        An engine of GPUs comes before the core where the ledger shows it faster on that kind of
        GPU, and after it elsewhere.
        """
        if is_decoder(self.folder.config):
            reason = f"it alone runs decoders ({self.folder.config['model_type']})"
            engine = self.build(EngineChoice.TRANSFORMERS)
            return _chosen(EngineChoice.TRANSFORMERS, [reason], engine)
        before, after = self._engines_of_gpus()
        reasons = []
        for choice in (*before, EngineChoice.CPU, *after, *_AFTER_THE_CORE):
            try:
                if choice is EngineChoice.CPU and not has_fast_kernels():
                    raise EngineUnavailableError("the core has no kernels for this processor")
                engine = self.build(choice)
            except (EngineUnavailableError, UnsupportedModelError) as error:
                reasons.append(f"not {choice} ({error})")
                continue
            if choice is EngineChoice.CPU:
                reasons += after.values()
            return _chosen(choice, reasons, engine)
        raise UnsupportedModelError(
            f"{self.folder.path}: no engine runs it here: {'; '.join(reasons)}"
        )

    def _engines_of_gpus(self) -> tuple[list[EngineChoice], dict[EngineChoice, str]]:
        """The engines of GPUs to be tried before the core, and those after it, with the reason."""
        if self.device == "cpu":
            return list(_ON_GPUS), {}
        kind: DeviceKind
        try:
            kind = device_kind(_gpu_index(self.device))
        except EngineUnavailableError:
            return list(_ON_GPUS), {}  # each of them says what is missing
        shown = faster_engines(kind.compute_capability)
        unseen = f"no ledger shows it faster on {kind}"
        return shown, {
            choice: f"not {choice} ({unseen}; --engine {choice} takes it)"
            for choice in _ON_GPUS
            if choice not in shown
        }

    def _built(self, choice: EngineChoice) -> Engine:
        folder, num_threads, precision = self.folder, self.num_threads, self.precision
        is_on_gpus, device = choice in _ON_GPUS, self.device
        if device and (device == "cpu") is is_on_gpus and choice is not EngineChoice.TRANSFORMERS:
            raise EngineUnavailableError(f"the engine {choice} does not run on {device}")
        match choice:
            case EngineChoice.TENSORRT:
                return TensorRtEngine(folder, gpu_index=_gpu_index(device))
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


def _gpu_index(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _chosen(choice: EngineChoice, reasons: list[str], engine: Engine) -> Engine:
    """The engine, once its choice is told; a choice that was told for the same reasons is not."""
    line = f"engine {choice} taken: {'; '.join(reasons) or 'it is the fastest there is'}"
    if line not in _told:
        _told.add(line)
        _logger.info("%s", line)
    return engine
