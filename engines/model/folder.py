"""A model's folder, read whole: Hugging Face layout with a `twopass.json` beside.

`twopass.json` says what the other files don't (kind, calibration, default blend, sha256 of the
files, …) and overrides what they say. What changes the output and can't be followed is refused by
name; `reading/` has the rules, a file a subject.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.decoder import MAX_DECODER_TOKENS, DecoderSettings, read_decoder
from twopass.engines.model.families import read_architecture
from twopass.engines.model.identity import FolderContents, file_sha256, identified
from twopass.engines.model.locating import locate, shipped_models
from twopass.engines.model.pooling import EmbeddingHead, Pooling
from twopass.engines.model.reading import kinds, modules, settings, texts, weight_files
from twopass.engines.model.reading.files import FolderFiles, Reading, require_file
from twopass.engines.model.tokenizing.settings import TokenizerSettings
from twopass.engines.model.tokenizing.tokenizer_file import require_tokenizer
from twopass.engines.model.weights import ModelWeights

_logger = logging.getLogger("twopass.engines")

# A query may be long, but it must leave the passage most of the sequence: never more than this.
_MAX_QUERY_TOKENS = 256


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on disk, checked and described.

    Attributes:
        path: The folder of config.json and tokenizer.json.
        spec: What the server needs to know of it.
        config: `config.json` as read.
        head: Of an encoder; meaningless for a reranker.
        weight_files: The weights in safetensors, all shards of them; empty where there is only an
            ONNX file.
        onnx: An exported graph with Hugging Face's inputs, or None.
        decoder: How a decoder reranks; None for every other model.
        dense_files: The weights of the head's Dense modules, in order.
        relevant_label: Of a reranker with two labels the one of relevant pairs, 0 or 1: the logit
            is its own less the other's. None where there is one label.
        tokenizer_settings: What the folder says of its tokenizer beside tokenizer.json.
        readings: What was read from where.
        warnings: What a user should know of it, in sentences.
        root: The folder as it was given, above `path` where modules.json names another for the
            Transformer.
    """

    path: Path
    spec: ModelSpec
    config: Mapping[str, Any]
    head: EmbeddingHead
    weight_files: tuple[Path, ...]
    onnx: Path | None
    decoder: DecoderSettings | None = None
    dense_files: tuple[Path, ...] = ()
    relevant_label: int | None = None
    tokenizer_settings: TokenizerSettings = field(default_factory=TokenizerSettings)
    readings: tuple[Reading, ...] = ()
    warnings: tuple[str, ...] = ()
    root: Path = field(default_factory=Path)

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
        return ModelWeights(
            self.weight_files,
            self.config,
            dense=self.dense_files,
            relevant_label=self.relevant_label,
        )


def open_model(name: str) -> ModelFolder:
    """Finds, checks and describes a model.

    Raises:
        ModelError: The folder or one of its files is missing or damaged, or says something that
            changes the output and is not followed; names the file, the setting and the way out.
    """
    root = FolderFiles(locate(name))
    own = settings.read_settings(root)
    _check_sha256(root, own.sha256)
    parts = modules.read_modules(root)
    files = root.within(parts.transformer)
    config = files.json("config.json")
    _refuse_quantised(files, config)
    require_tokenizer(files.path / "tokenizer.json")
    decoder = read_decoder(files.path, config, own.content)
    kind = kinds.read_kind(root, own, config, parts, decoder)
    is_reranker = kind is ModelKind.RERANKER
    weights = weight_files.find_weights(files, own, is_reranker=is_reranker)
    label = None
    labels: tuple[str, ...] = ()
    has_head = decoder is None or decoder.true_token is None
    if is_reranker and has_head:
        tensors = _tensors(weights, config)
        label = kinds.relevant_label(files, own, config, tensors)
        labels = tuple(kinds.label_names(config, tensors))
        _note_activation(root, files, config)
    head = EmbeddingHead((Pooling.MEAN,))
    if not is_reranker:
        head = _head(root, own, parts, config)
        texts.read_similarity(root, parts)
    tokenizer = texts.read_tokenizer_settings(files)
    most = MAX_DECODER_TOKENS if decoder is not None else None
    max_seq_len = texts.read_max_seq_len(files, own, tokenizer, config, most)
    query_prefix, passage_prefix = texts.read_prefixes(
        root, own, kind, parts, is_decoder=decoder is not None
    )
    # A reranker's query shares the sequence; an encoder's has it alone. 3 special tokens at most
    # stand beside either half in the families supported (4 in RoBERTa's pair, 2 beside the query).
    room = max_seq_len // 2 if is_reranker else max_seq_len - 3
    spec = ModelSpec(
        id=_id(name, root.path),
        kind=kind,
        revision="",  # `identified` knows it
        max_seq_len=max_seq_len,
        max_query_tokens=min(_MAX_QUERY_TOKENS, room),
        max_passage_tokens=own.max_passage_tokens,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        prompts={}
        if is_reranker
        else texts.read_prompts(
            root, parts, query_prefix=query_prefix, passage_prefix=passage_prefix
        ),
        poolings=() if is_reranker else tuple(pooling.value for pooling in head.poolings),
        labels=labels,
        relevant_label=label,
        calibration=own.calibration,
        answer_threshold=own.answer_threshold,
        blend=own.blend,
    )
    if is_reranker:
        _note_scoring(root, own)
    contents = FolderContents(
        path=files.path,
        config=config,
        settings=own.content,
        poolings=[] if is_reranker else [pooling.value for pooling in head.poolings],
        modules=[decoder.decisive] if decoder is not None else head.dense,
        weights=weights.counting,
        module_weights=parts.dense_files,
        tokenizer=tokenizer,
        sha256={str(root.path / file): digest for file, digest in own.sha256.items()},
    )
    for warning in root.warnings:
        _logger.warning("%s: %s", root.path, warning)
    return ModelFolder(
        path=files.path,
        spec=identified(spec, contents),
        config=config,
        head=head,
        weight_files=weights.safetensors,
        onnx=weights.onnx,
        decoder=decoder,
        dense_files=parts.dense_files,
        relevant_label=label,
        tokenizer_settings=tokenizer,
        readings=tuple(root.readings),
        warnings=tuple(root.warnings),
        root=root.path,
    )


def _id(name: str, path: Path) -> str:
    is_shipped = path.resolve() in [shipped.resolve() for shipped in shipped_models().values()]
    return path.resolve().name if is_shipped else name


def _head(
    root: FolderFiles,
    own: settings.FolderSettings,
    parts: modules.Modules,
    config: Mapping[str, Any],
) -> EmbeddingHead:
    """What follows the encoder; each module must take what the one before it gives."""
    if own.poolings is not None:
        poolings, source = own.poolings, settings.FILE
    elif parts.poolings is not None:
        poolings, source = parts.poolings, parts.pooling_source
    else:
        poolings, source = (Pooling.MEAN,), "nothing says one; the default of sentence-transformers"
    root.note("pooling", " + ".join(poolings), source)
    head = EmbeddingHead(poolings, parts.dense)
    try:
        hidden_size = read_architecture(config).hidden_size
    except UnsupportedModelError:
        return head
    width = len(poolings) * hidden_size
    for layer in head.dense:
        if layer.input_width != width:
            raise root.refuse(
                modules.FILE,
                f"a Dense module takes {layer.input_width} components, what stands before it gives "
                f"{width} (pooling {' + '.join(poolings)} of {hidden_size})",
            )
        width = layer.output_width
    root.note(
        "dimension",
        head.output_width(hidden_size),
        modules.FILE if head.dense or len(poolings) > 1 else "config.json",
    )
    return head


def _tensors(weights: weight_files.WeightFiles, config: Mapping[str, Any]) -> ModelWeights | None:
    """The tensors of a family of ours; None for others."""
    if not weights.safetensors:
        return None
    try:
        return ModelWeights(weights.safetensors, config)
    except UnsupportedModelError:
        return None


def _note_activation(root: FolderFiles, files: FolderFiles, config: Mapping[str, Any]) -> None:
    """Notes what a cross-encoder does to its logit; the order of passages is the same without."""
    places = (
        (
            root,
            "config_sentence_transformers.json",
            root.optional_json("config_sentence_transformers.json").get("activation_fn"),
        ),
        (files, "config.json", (config.get("sentence_transformers") or {}).get("activation_fn")),
        (files, "config.json", config.get("sbert_ce_default_activation_function")),
    )
    for where, source, activation in places:
        if activation is not None:
            name = str(activation).rpartition(".")[2]
            where.note("activation", f"{name}; scores here are sigmoid(a · logit + b)", source)
            return


def _note_scoring(root: FolderFiles, own: settings.FolderSettings) -> None:
    """Notes what `twopass.json` says of reading passages and ordering them; it alone can."""
    if own.max_passage_tokens is not None:
        root.note("max_passage_tokens", own.max_passage_tokens, settings.FILE)
    if "calibration" in own.content:
        a, b = own.calibration.a, own.calibration.b
        root.note("calibration", f"score = sigmoid({a:g} · logit {b:+g})", settings.FILE)
    if own.answer_threshold is not None:
        root.note("answer_threshold", own.answer_threshold, settings.FILE)
    if "blend" in own.content:
        root.note("blend", own.blend, settings.FILE)


def _refuse_quantised(files: FolderFiles, config: Mapping[str, Any]) -> None:
    quantised = config.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
        raise files.refuse(
            "config.json",
            f"quantization_config is of {method!r}: a quantised export, whose tensors are not "
            "read; give the model it was made of, the engine cpu quantises by itself",
        )


def _check_sha256(files: FolderFiles, expected: Mapping[str, str]) -> None:
    for name, digest in expected.items():
        if (actual := file_sha256(require_file(files.path / name))) != digest:
            raise ModelError(
                f"{files.path / name}: sha256 is {actual}, twopass.json says {digest}; "
                "the file is damaged or was replaced: install the model again"
            )
