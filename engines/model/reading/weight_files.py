"""Where a folder's tensors lie: safetensors, whole or in shards, and exported ONNX graphs."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx

from twopass.engines.errors import ModelError
from twopass.engines.model.reading import settings as own
from twopass.engines.model.reading.files import FolderFiles
from twopass.engines.model.weights import stored_tensors

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_TYPES = ("F32", "F16", "BF16")
_OTHER_FORMATS = {
    "*.gguf": "llama.cpp's own format",
    "openvino_model.xml": "OpenVINO's own format",
    "openvino/*.xml": "OpenVINO's own format",
    "tf_model.h5": "TensorFlow's",
    "flax_model.msgpack": "Flax's",
}


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The files that hold a model's tensors.

    Attributes:
        safetensors: All shards; empty where there is only a graph.
        onnx: An exported graph, or None.
    """

    safetensors: tuple[Path, ...]
    onnx: Path | None

    @property
    def counting(self) -> tuple[Path, ...]:
        """Those that decide the output: of a folder with both, the graph is not read."""
        if self.safetensors or self.onnx is None:
            return self.safetensors
        return (self.onnx, *external_tensors(self.onnx))


def find_weights(
    files: FolderFiles, settings: own.FolderSettings, *, is_reranker: bool
) -> WeightFiles:
    """Finds the weights.

    Raises:
        ModelError: There are none that can be read; names what is there and how to convert it.
    """
    _refuse_adapters(files)
    safetensors = _safetensors(files)
    onnx = _onnx(files, settings)
    if not safetensors and onnx is None:
        raise ModelError(_nothing_to_read(files.path, is_reranker=is_reranker))
    for file in safetensors:
        _require_types(file)
    if safetensors:
        names = safetensors[0].name if len(safetensors) == 1 else f"{len(safetensors)} shards"
        files.note("weights", names, _WHOLE if len(safetensors) == 1 else _INDEX)
    if onnx is not None:
        role = (
            "read by the engine onnxruntime alone, where our own graph does not cover the model"
            if safetensors
            else "the only weights"
        )
        files.note("graph", role, str(onnx.relative_to(files.path)))
    return WeightFiles(safetensors, onnx)


def external_tensors(graph: Path) -> list[Path]:
    """Files beside a graph that hold its large tensors, as it names them."""
    try:
        content = onnx.load_model(str(graph), load_external_data=False)
    except Exception:  # what is no graph is refused by the engine that reads it
        return []
    tensors = [*content.graph.initializer]
    for node in content.graph.node:
        tensors += [attribute.t for attribute in node.attribute if attribute.HasField("t")]
    names = {entry.value for t in tensors for entry in t.external_data if entry.key == "location"}
    return sorted(file for name in names if (file := graph.parent / name).is_file())


def _safetensors(files: FolderFiles) -> tuple[Path, ...]:
    if (files.path / _WHOLE).exists():
        return (files.path / _WHOLE,)
    if not (files.path / _INDEX).exists():
        return ()
    places = files.json(_INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise files.refuse(_INDEX, f"weight_map is {places!r}, files by names of tensors needed")
    shards = sorted({str(name) for name in places.values()})
    for name in shards:
        if PurePosixPath(name).name != name:
            raise files.refuse(_INDEX, f"weight_map names {name!r}; shards lie beside the index")
        if not (files.path / name).is_file():
            raise files.refuse(
                name, f"missing; {_INDEX} names {len(shards)} shards: download all of them"
            )
    return tuple(files.path / name for name in shards)


def _onnx(files: FolderFiles, settings: own.FolderSettings) -> Path | None:
    """The graph that `twopass.json` names, else model.onnx, else the only one there is."""
    path = files.path
    if settings.onnx is not None:
        chosen = path / settings.onnx
        if not chosen.is_file() or not chosen.resolve().is_relative_to(path.resolve()):
            raise files.refuse(
                own.FILE, f"onnx is {settings.onnx!r}: there is no such file in the folder"
            )
        return chosen
    for name in ("model.onnx", "onnx/model.onnx"):
        if (path / name).is_file():
            return path / name
    found = sorted({*path.glob("*.onnx"), *path.glob("onnx/*.onnx")})
    if len(found) > 1 and not _safetensors(files):
        names = [file.relative_to(path).as_posix() for file in found]
        raise ModelError(
            f"{path}: {len(names)} graphs ({', '.join(names)}) and none of them is model.onnx; "
            f'say which one counts in {own.FILE}: {{"onnx": "{names[0]}"}}'
        )
    return found[0] if len(found) == 1 else None


def _refuse_adapters(files: FolderFiles) -> None:
    if (files.path / "adapter_config.json").exists():
        base = files.optional_json("adapter_config.json").get("base_model_name_or_path")
        raise files.refuse(
            "adapter_config.json",
            f"an adapter of {base!r}, which changes its weights; merge it first: PeftModel"
            ".from_pretrained(base, folder).merge_and_unload().save_pretrained(merged)",
        )


def _require_types(file: Path) -> None:
    for name, tensor in stored_tensors(file).items():
        if name.endswith((".weight", ".bias")) and tensor.dtype not in _TYPES:
            raise ModelError(
                f"{file}: tensor {name} is {tensor.dtype}; float32, float16 and bfloat16 are read. "
                "Quantised files are not: give the model they were made of"
            )


def _nothing_to_read(path: Path, *, is_reranker: bool) -> str:
    pickles = [*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth"), *path.glob("*.ckpt")]
    if pickles:
        auto = "AutoModelForSequenceClassification" if is_reranker else "AutoModel"
        return (
            f"{path}: neither {_WHOLE} nor model.onnx; {pickles[0].name} is a pickle, which can "
            "run code when it is opened and is never read. If you trust it, convert it once: "
            f"python -c \"from transformers import {auto} as M; M.from_pretrained('{path}')"
            f".save_pretrained('{path}')\""
        )
    for pattern, owner in _OTHER_FORMATS.items():
        for file in path.glob(pattern):
            return (
                f"{path}: neither {_WHOLE} nor model.onnx; {file.relative_to(path)} is {owner}, "
                "which is not read: give the folder the model was published in"
            )
    return f"{path}: neither {_WHOLE}, nor its shards by {_INDEX}, nor model.onnx"
