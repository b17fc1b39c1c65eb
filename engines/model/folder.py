"""Model folders: Hugging Face layout with a `twopass.json` beside, found by name, path or hub id.

`twopass.json` says what the other files don't: kind, pooling, prefixes, calibration, default blend,
sha256 of the files. Without one the same is read from the files sentence-transformers writes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from twopass.engines.base import ModelKind, ModelSpec
from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.architecture import read_architecture
from twopass.engines.model.calibration import Calibration
from twopass.engines.model.decoder import MAX_DECODER_TOKENS, DecoderSettings, read_decoder
from twopass.engines.model.identity import FolderContents, file_sha256, identified
from twopass.engines.model.pooling import EmbeddingHead
from twopass.engines.model.pooling import Pooling as Pooling
from twopass.engines.model.weights import ModelWeights

_HUB_FILES = ["*.json", "*.jinja", "*.safetensors", "*.onnx", "1_Pooling/*"]
# A query may be long, but it must leave the passage most of the sequence: never more than this.
_MAX_QUERY_TOKENS = 256


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on disk, checked and described.

    Attributes:
        path: The folder.
        spec: What the server needs to know of it.
        config: `config.json` as read.
        head: Of an encoder; meaningless for a reranker.
        weight_files: The weights in safetensors, all shards of them; empty where there is only an
            ONNX file.
        onnx: An exported graph with Hugging Face's inputs, or None.
        decoder: How a decoder reranks; None for every other model.
    """

    path: Path
    spec: ModelSpec
    config: Mapping[str, Any]
    head: EmbeddingHead
    weight_files: tuple[Path, ...]
    onnx: Path | None
    decoder: DecoderSettings | None = None

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file."""
        return self.path / "tokenizer.json"

    def open_weights(self) -> ModelWeights:
        """Maps the tensors of all files that hold weights, Dense modules' among them.

        Raises:
            UnsupportedModelError: The configuration describes no encoder of ours, or there is only
                an ONNX file.
            ModelError: A file is damaged.
        """
        if not self.weight_files:
            raise UnsupportedModelError(
                f"{self.path}: no model.safetensors; its {self.onnx} runs on the engine onnxruntime"
            )
        return ModelWeights(self.weight_files, self.config)

    @property
    def pooling(self) -> Pooling:
        """Of an encoder whose head is mean or cls pooling alone; of a reranker meaningless.

        Raises:
            UnsupportedModelError: The head is another.
        """
        return self.head.simple_pooling

    @property
    def safetensors(self) -> Path | None:
        """The only file of weights; None where there is only an ONNX file."""
        return self.weight_files[0] if self.weight_files else None


def shipped_models() -> dict[str, Path]:
    """Models of the distribution twopass-models, by name; empty where it is not installed."""
    try:
        root = Path(str(files("twopass.models").joinpath("__init__.py"))).parent
    except ModuleNotFoundError:
        return {}
    return {p.parent.name: p.parent for p in sorted(root.glob("*/twopass.json"))}


def locate(name: str) -> Path:
    """Finds a model's folder: a shipped name, a local path, or a hub id, in this order.

    After a hub id may stand the revision of its repository: a branch, a tag or a commit, as in
    `org/name@main`.

    Raises:
        ModelError: No model of that name was found; says where it was looked for.
    """
    shipped = shipped_models()
    if name in shipped:
        return shipped[name]
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        hub_id, _, revision = name.partition("@")
        return _download(hub_id, revision or None)
    raise ModelError(
        f"model {name!r}: no folder of that name, and not among the shipped models "
        f"({', '.join(shipped) or 'none: install twopass-models'})"
    )


def _download(hub_id: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise ModelError(
            f"model {hub_id!r}: a hub id needs huggingface_hub; pip install 'twopass[hub]', "
            "or give a folder"
        ) from error
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=_HUB_FILES))
    except Exception as error:  # the hub client raises requests', its own and OS errors alike
        raise ModelError(
            f"model {hub_id!r}: not in the local hub cache and the hub did not give it ({error}); "
            "download its folder elsewhere and give its path"
        ) from error


def open_model(name: str) -> ModelFolder:
    """Finds, checks and describes a model.

    Raises:
        ModelError: The folder or one of its files is missing or damaged.
    """
    path = locate(name)
    settings = _read_json(path / "twopass.json") if (path / "twopass.json").exists() else {}
    config = _read_json(path / "config.json")
    _require(path / "tokenizer.json")
    safetensors = path / "model.safetensors"
    onnx = next((p for p in (path / "model.onnx", path / "onnx/model.onnx") if p.exists()), None)
    if not safetensors.exists() and onnx is None:
        raise ModelError(
            f"{path}: neither model.safetensors nor model.onnx; pickled weights are never read"
        )
    weights = safetensors if safetensors.exists() else onnx
    assert weights is not None
    digests = _check_sha256(path, settings.get("sha256", {}))
    is_shipped = path.resolve() in [shipped.resolve() for shipped in shipped_models().values()]
    model_id = path.resolve().name if is_shipped else name
    decoder = read_decoder(path, config, settings)
    try:
        spec = _spec(model_id, path, settings, config)
        if decoder is not None:
            spec = _of_decoder(spec, settings)
        head = EmbeddingHead((_pooling(path, settings),))
        contents = FolderContents(
            path=path,
            config=config,
            settings=settings,
            poolings=[p.value for p in head.poolings] if spec.kind is ModelKind.ENCODER else [],
            modules=[decoder.decisive] if decoder else [],
            weights=[weights],
            sha256=digests,
        )
        spec = identified(spec, contents)
    except (TypeError, ValueError) as error:  # an unknown kind, pooling or calibration
        raise ModelError(f"{path / 'twopass.json'}: {error}") from error
    return ModelFolder(
        path=path,
        spec=spec,
        config=config,
        head=head,
        weight_files=(safetensors,) if safetensors.exists() else (),
        onnx=onnx,
        decoder=decoder,
    )


def _spec(model_id: str, path: Path, settings: dict[str, Any], config: dict[str, Any]) -> ModelSpec:
    max_seq_len = _count(settings, "max_seq_len") or _sentence_bert_length(path)
    max_seq_len = max_seq_len or _num_positions(config)
    kind = ModelKind(settings["kind"]) if "kind" in settings else _kind(config)
    # A reranker's query shares the sequence; an encoder's has it alone. 3 special tokens at most
    # stand beside either half in the families supported (4 in RoBERTa's pair, 2 beside the query).
    room = max_seq_len // 2 if kind is ModelKind.RERANKER else max_seq_len - 3
    return ModelSpec(
        id=model_id,
        kind=kind,
        revision="",  # `identified` knows it
        max_seq_len=max_seq_len,
        max_query_tokens=min(_MAX_QUERY_TOKENS, room),
        max_passage_tokens=_count(settings, "max_passage_tokens"),
        query_prefix=settings.get("query_prefix", ""),
        passage_prefix=settings.get("passage_prefix", ""),
        calibration=Calibration(**settings.get("calibration", {})),
        blend=_weight(settings, "blend"),
    )


def _of_decoder(spec: ModelSpec, settings: dict[str, Any]) -> ModelSpec:
    """A decoder that reranks, at a length that its memory bears."""
    max_seq_len = spec.max_seq_len
    if "max_seq_len" not in settings:
        max_seq_len = min(max_seq_len, MAX_DECODER_TOKENS)
    return replace(
        spec,
        kind=ModelKind.RERANKER,
        max_seq_len=max_seq_len,
        max_query_tokens=min(_MAX_QUERY_TOKENS, max_seq_len // 2),
    )


def _count(settings: dict[str, Any], name: str) -> int | None:
    value = settings.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise ValueError(f"{name}: {value!r} given, a whole number of at least 1 is needed")
    return value


def _weight(settings: dict[str, Any], name: str) -> float:
    value = settings.get(name, 0.0)
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError(f"{name}: {value!r} given, a number from 0 to 1 is needed")
    return float(value)


def _kind(config: dict[str, Any]) -> ModelKind:
    architectures = config.get("architectures") or [""]
    if not architectures[0].endswith("ForSequenceClassification"):
        return ModelKind.ENCODER
    if (num_labels := len(config.get("id2label", {0: ""}))) != 1:
        raise ModelError(
            f"config.json: id2label has {num_labels} labels; a reranker has 1, this is a classifier"
        )
    return ModelKind.RERANKER


def _pooling(path: Path, settings: dict[str, Any]) -> Pooling:
    if "pooling" in settings:
        return Pooling(settings["pooling"])
    file = path / "1_Pooling" / "config.json"
    if file.exists() and _read_json(file).get("pooling_mode_cls_token"):
        return Pooling.CLS
    return Pooling.MEAN


def _num_positions(config: dict[str, Any]) -> int:
    try:
        return read_architecture(config).max_seq_len
    except UnsupportedModelError:
        return int(config.get("max_position_embeddings", 512))


def _sentence_bert_length(path: Path) -> int | None:
    file = path / "sentence_bert_config.json"
    return _read_json(file).get("max_seq_length") if file.exists() else None


def _check_sha256(path: Path, expected: dict[str, str]) -> dict[str, str]:
    for name, digest in expected.items():
        if (actual := file_sha256(_require(path / name))) != digest:
            raise ModelError(
                f"{path / name}: sha256 is {actual}, twopass.json says {digest}; "
                "the file is damaged or was replaced: install the model again"
            )
    return expected


def _require(file: Path) -> Path:
    if not file.is_file():
        raise ModelError(
            f"{file}: missing; a model folder holds config.json, tokenizer.json and weights"
        )
    return file


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(_require(file).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{file}: not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file}: holds a {type(content).__name__}, not an object")
    return content
