"""What a model is known by: a revision over everything that decides what it computes.

An id is only a name: the same folder has one as a path, another through a link, a third on the hub.
Collections and caches keep the revision instead, so that embeddings of two kinds never meet.

The revision is the sha256 of a canonical description, `describe`. In it are

- the weights of all shards and modules, by the sha256 of their files;
- `config.json` but for what no forward pass reads; a file's order, indentation and nulls are none
  of it;
- the tokenizer, as the settings beside it change it;
- an encoder's head as it was read, so that two spellings of one pooling are one model and a better
  reading of a folder makes another;
- prefixes, and the lengths at which texts are cut;
- every other setting of `twopass.json`, but calibration, blend and answer threshold: they turn
  logits into scores, and scores into an order and a decision, which nothing stores or caches.

Precision is no part: embeddings of int8, fp16 and f32 are interchangeable within the gate that
every engine passes, so a collection may be filled on a GPU and served on a CPU. What is cached is
keyed by the engine's precision too.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.model.graph_outputs import difference_from_first
from twopass.engines.model.tokenizing.boundaries import TokenBoundaries
from twopass.engines.model.tokenizing.settings import TokenizerSettings
from twopass.engines.model.tokenizing.tokenizer_file import read_tokenizer

# Of the rules below. Another number makes every model another one: collections would be refused.
_DESCRIPTION_FORMAT = 1

# What `config.json` says that no forward pass reads: how the model was trained and saved.
_IDLE_CONFIG = frozenset(
    {
        "_name_or_path",
        "attention_dropout",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "classifier_dropout_prob",
        "dropout",
        "dtype",
        "embedding_dropout",
        "gradient_checkpointing",
        "hidden_dropout_prob",
        "initializer_factor",
        "initializer_range",
        "mlp_dropout",
        "name_or_path",
        "summary_last_dropout",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
# Of `twopass.json`, what is told as read, and what decides neither embeddings nor logits.
_TOLD_AS_READ = frozenset(
    {"kind", "max_passage_tokens", "max_seq_len", "passage_prefix", "pooling", "query_prefix"}
)
_IDLE_SETTINGS = frozenset({"answer_threshold", "blend", "calibration", "sha256"})
# What servers that knew models by their weights alone read: `model_type` of safetensors, and graphs
# of all others.
_FAMILIES_BEFORE = frozenset({"bert", "roberta", "xlm-roberta"})
_GRAPHS_BEFORE = ("model.onnx", "onnx/model.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContents:
    """What a model folder holds, as it was read.

    Attributes:
        path: The folder.
        config: `config.json`.
        settings: `twopass.json`; empty where there is none.
        poolings: How an encoder turns token vectors into one, in order; empty for a reranker.
        modules: What follows: layers in order, each a dataclass, a mapping or a plain value.
        weights: The files of the model's tensors, or its ONNX graph and what that refers to.
        module_weights: The files of the modules' tensors, in order.
        tokenizer: What the files beside `tokenizer.json` say of the tokenizer.
        sha256: Digests of files that are known already, by name relative to `path`.
    """

    path: Path
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    poolings: Sequence[str]
    modules: Sequence[object] = ()
    weights: Sequence[Path]
    module_weights: Sequence[Path] = ()
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    sha256: Mapping[str, str]


def identified(spec: ModelSpec, contents: FolderContents) -> ModelSpec:
    """Fills in what a model is known by: `revision`, `weights_sha256` and what older servers had.

    Reads every file of weights whose digest is not known, some 1.5 GB a second and core.

    Raises:
        OSError: A file can't be read.
    """
    digests = _digests(contents)
    weights = [digests[file] for file in contents.weights]
    modules = [digests[file] for file in contents.module_weights]
    weights_sha256 = weights[0] if len(weights) == 1 else digest_of(sorted(weights))
    differences = tuple(_differences_from_before(spec, contents))
    return replace(
        spec,
        revision=digest_of(describe(spec, contents, weights=weights, module_weights=modules)),
        weights_sha256=weights_sha256,
        legacy_revision=None if differences else weights[0],
        read_anew="; ".join(differences),
    )


def describe(
    spec: ModelSpec,
    contents: FolderContents,
    *,
    weights: Sequence[str],
    module_weights: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything that decides what a model computes, in the form that its revision is taken of.

    What is None or empty is left out: a setting that is added to this description later, and that
    a model does not have, changes no revision.

    Args:
        spec: The model.
        contents: Its folder.
        weights: sha256 of each file of weights; which file holds which tensor does not matter.
        module_weights: sha256 of each module's file, in order.
    """
    is_encoder = spec.kind is ModelKind.ENCODER
    config = {key: value for key, value in contents.config.items() if key not in _IDLE_CONFIG}
    other_settings = {
        key: value
        for key, value in contents.settings.items()
        if key not in _TOLD_AS_READ | _IDLE_SETTINGS
    }
    described = {
        "format": _DESCRIPTION_FORMAT,
        "kind": spec.kind,
        "weights": sorted(weights),
        "module_weights": list(module_weights),
        "config": config,
        "tokenizer": _tokenizer(contents),
        "poolings": list(contents.poolings) if is_encoder else None,
        "modules": list(contents.modules),
        "query_prefix": spec.query_prefix,
        "passage_prefix": spec.passage_prefix,
        "max_seq_len": spec.max_seq_len,
        "max_passage_tokens": spec.max_passage_tokens,
        "settings": other_settings,
    }
    canonical: dict[str, Any] = _canonical(described)
    return canonical


def digest_of(value: object) -> str:
    """sha256 of a value of JSON, hexadecimal; the same however its objects are ordered."""
    text = json.dumps(_canonical(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_sha256(file: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _canonical(value: object) -> Any:
    """A value as JSON has it, without the fields that say nothing.

    Numbers are told to 8 digits: the frequencies of rotary positions, say, are computed, and the
    last bit of a power depends on the machine.
    """
    if isinstance(value, Enum):
        return _canonical(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return _canonical({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        told = {str(key): _canonical(each) for key, each in value.items()}
        return {key: each for key, each in told.items() if not _says_nothing(each)}
    if isinstance(value, (list, tuple)):
        return [_canonical(each) for each in value]
    if isinstance(value, float):
        # 1.0 and 1 are one number, however a file spells it.
        return int(value) if value.is_integer() and abs(value) < 1e15 else format(value, ".8g")
    return value


def _says_nothing(value: object) -> bool:
    # False is told: left out, it need not be the default.
    return value is None or value in ("", [], {})


def _tokenizer(contents: FolderContents) -> dict[str, Any]:
    """The tokenizer with its settings, without what a file keeps of its last use.

    Not in canonical form: tokens may be empty, and every digit of a score counts.
    """
    settings = contents.tokenizer
    content = read_tokenizer(contents.path / "tokenizer.json", settings)
    text = json.dumps(content, sort_keys=True)
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "without_types": None if settings.has_types else True,
        "bos_token": settings.bos_token,
        "eos_token": settings.eos_token,
    }


def _digests(contents: FolderContents) -> dict[Path, str]:
    """sha256 of every file of weights; each is read once, several side by side."""
    known = {contents.path / name: digest for name, digest in contents.sha256.items()}
    files = list(dict.fromkeys((*contents.weights, *contents.module_weights)))
    missing = [file for file in files if file not in known]
    if missing:
        with ThreadPoolExecutor(thread_name_prefix="hashing") as threads:
            known |= dict(zip(missing, threads.map(file_sha256, missing), strict=True))
    return known


def _differences_from_before(spec: ModelSpec, contents: FolderContents) -> Iterator[str]:
    """Yields how passages are embedded otherwise than by servers that knew models by weights alone.

    Those servers read a folder in its oldest form; where that form says all, what they stored is
    what is stored today. Queries are left out: they are embedded when they are asked.
    """
    path, settings = contents.path, contents.settings
    old_files = ("model.safetensors", *_GRAPHS_BEFORE)
    old_weights = next((path / name for name in old_files if (path / name).exists()), None)
    # Of a graph only its own file was hashed, not those of large tensors that it refers to.
    is_graph = old_weights is not None and old_weights.suffix == ".onnx"
    if list(contents.weights if not is_graph else contents.weights[:1]) != [old_weights]:
        yield "weights: these files were not read"
    if spec.kind is ModelKind.RERANKER:
        return  # nothing that a reranker computes is stored
    old_graph = _graph_before(contents)
    if old_graph is not None and (otherwise := difference_from_first(old_graph)):
        yield otherwise
    old_pooling = settings.get("pooling") or (
        "cls"
        if _json_beside(path / "1_Pooling" / "config.json").get("pooling_mode_cls_token")
        else "mean"
    )
    if list(contents.poolings) != [old_pooling]:
        yield f"pooling: {' + '.join(contents.poolings)}, was read as {old_pooling}"
    if contents.modules:
        yield f"modules: {len(contents.modules)} after pooling, none was read"
    old_prefix = settings.get("passage_prefix", "")
    if spec.passage_prefix != old_prefix:
        yield f"passage_prefix: {spec.passage_prefix!r}, was read as {old_prefix!r}"
    elif old_prefix and not _is_cut_apart(path, old_prefix):
        yield "passage_prefix: tokenised with the text, was tokenised apart"
    num_positions = _num_positions(contents.config)
    old_length, length = _old_length(contents), spec.max_seq_len
    if min(old_length, num_positions) != min(length, num_positions):
        yield f"max_seq_len: {length:,}, was read as {old_length:,}"
    stored, read = (
        _tokenizer_file(path),
        read_tokenizer(path / "tokenizer.json", contents.tokenizer),
    )
    for step in ("normalizer", "pre_tokenizer"):
        if stored.get(step) != read.get(step):
            yield f"{step}: the settings beside tokenizer.json change it, they were not read"
    if contents.tokenizer.bos_token or contents.tokenizer.eos_token:
        yield "special tokens: texts stand between others, by settings that were not read"


def _graph_before(contents: FolderContents) -> Path | None:
    """The exported graph that servers before ran; None where they wrote one from safetensors."""
    is_known = contents.config.get("model_type") in _FAMILIES_BEFORE
    if is_known and (contents.path / "model.safetensors").exists():
        return None
    return next((f for name in _GRAPHS_BEFORE if (f := contents.path / name).exists()), None)


def _is_cut_apart(path: Path, prefix: str) -> bool:
    """Whether tokens of a prefix and of the text after it are those of both tokenised together."""
    content = _tokenizer_file(path)
    return "model" in content and TokenBoundaries(content).keeps_tokens_after(prefix)


def _num_positions(config: Mapping[str, Any]) -> int:
    """Positions that a model has, as servers before read them."""
    num_positions = int(config.get("max_position_embeddings") or 512)
    if config.get("model_type") in ("roberta", "xlm-roberta"):
        num_positions -= int(config.get("pad_token_id") or 0) + 1
    return num_positions


def _old_length(contents: FolderContents) -> int:
    of_file = _json_beside(contents.path / "sentence_bert_config.json").get("max_seq_length")
    asked = contents.settings.get("max_seq_len") or of_file
    return int(asked or _num_positions(contents.config))


def _tokenizer_file(path: Path) -> Mapping[str, Any]:
    return _json_beside(path / "tokenizer.json")


def _json_beside(file: Path) -> Mapping[str, Any]:
    """A file of the folder that may be missing; what is damaged in it is told where it is read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
