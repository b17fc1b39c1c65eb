"""Whether a model is an encoder or a reranker, and which label of a classifier it scores."""

from collections.abc import Mapping
from typing import Any

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import ModelError
from twopass.engines.model.decoder import DecoderSettings, is_decoder
from twopass.engines.model.reading import settings as own
from twopass.engines.model.reading.files import FolderFiles
from twopass.engines.model.reading.modules import Modules
from twopass.engines.model.weights import ModelWeights

_CLASSIFIER = "ForSequenceClassification"
_ENCODERS = ("Model", "ForMaskedLM", "ForPreTraining", "ForCausalLM", "EncoderModel")
_SENTENCE_CONFIG = "config_sentence_transformers.json"
_OTHER_KINDS = {
    "SparseEncoder": "gives a weight for each word, not an embedding",
    "MultiVectorEncoder": "gives a vector for each token, not one for the text",
}


def read_kind(
    files: FolderFiles,
    settings: own.FolderSettings,
    config: Mapping[str, Any],
    modules: Modules,
    decoder: DecoderSettings | None = None,
) -> ModelKind:
    """What the model computes: `twopass.json` says, or its modules, or its architecture's name.

    A decoder that has all it needs to rerank is a reranker.

    Raises:
        ModelError: It is neither encoder nor reranker; names what it is.
    """
    if decoder is not None:
        kind, source = ModelKind.RERANKER, f"a decoder; its prompt: {decoder.source}"
    else:
        kind, source = _kind(files, settings, config, modules)
    files.note("kind", kind.value, source)
    return kind


def _kind(
    files: FolderFiles,
    settings: own.FolderSettings,
    config: Mapping[str, Any],
    modules: Modules,
) -> tuple[ModelKind, str]:
    if settings.kind is not None:
        return settings.kind, own.FILE
    model_type = files.optional_json(_SENTENCE_CONFIG).get("model_type")
    if model_type in _OTHER_KINDS:
        raise files.refuse(
            _SENTENCE_CONFIG, f"model_type is {model_type!r}, which {_OTHER_KINDS[model_type]}"
        )
    if model_type == "CrossEncoder":
        return ModelKind.RERANKER, _SENTENCE_CONFIG
    if "LogitScore" in modules.kinds:
        return ModelKind.RERANKER, "modules.json"
    if "Pooling" in modules.kinds:
        return ModelKind.ENCODER, "modules.json"
    architecture = _architecture(config)
    if is_decoder(config):
        raise files.refuse(
            "config.json",
            f"architectures is {architecture!r}, a language model, and neither a Pooling makes it "
            f'an encoder nor a prompt a reranker; say in {own.FILE} {{"kind": "encoder", '
            '"pooling": "last"} or {"kind": "reranker", "prompt": …}',
        )
    if architecture.endswith(_CLASSIFIER):
        return ModelKind.RERANKER, f"config.json (architectures: {architecture})"
    if architecture and not architecture.endswith(_ENCODERS) and "For" in architecture:
        raise files.refuse(
            "config.json",
            f"architectures is {architecture!r}, neither an encoder nor a reranker "
            f"(…{_CLASSIFIER}); if its layers below that head are meant, say in {own.FILE}: "
            '{"kind": "encoder"}',
        )
    return ModelKind.ENCODER, f"config.json (architectures: {architecture or 'none'})"


def relevant_label(
    files: FolderFiles,
    settings: own.FolderSettings,
    config: Mapping[str, Any],
    weights: ModelWeights | None,
) -> int | None:
    """Which of two labels is that of relevant pairs; None for a reranker with one label.

    Args:
        files: Of the transformer.
        settings: `twopass.json`.
        config: `config.json`.
        weights: The tensors, whose projection says how many labels there are where the
            configuration does not; None if they can't be read.

    Raises:
        ModelError: There are two and nothing says which, or more than two.
    """
    names = label_names(config, weights)
    if weights is not None:
        projection = "head.projection.weight"
        rows = weights[projection].shape[0] if projection in weights else 0
        if rows != len(names):
            raise ModelError(
                f"{files.path}: the weights hold {rows or 'no'} labels' projection, config.json "
                f"({_architecture(config)}) says {len(names)}; "
                + ("this is no reranker" if not rows else "the files don't belong together")
            )
    if len(names) < 2:
        files.note("labels", "1, its logit is the score's", "config.json")
        if settings.relevant_label is not None:
            raise files.refuse(
                own.FILE, "relevant_label is given, but the model has one label: delete it"
            )
        return None
    if len(names) > 2:
        raise files.refuse(
            "config.json",
            f"id2label has {len(names)} labels ({', '.join(names[:5])}"
            f"{', …' if len(names) > 5 else ''}): a classifier; a reranker has 1, or 2 of which "
            f"{own.FILE} names the relevant one",
        )
    given = settings.relevant_label
    if given is None:
        raise files.refuse(
            "config.json",
            f"id2label has 2 labels ({', '.join(names)}); a reranker has 1. If one of them means "
            f'relevant, say which in {own.FILE}, for example {{"relevant_label": "{names[1]}"}}: '
            "the logit is then its own less the other's",
        )
    choices: tuple[str | int, ...] = (*names, 0, 1)
    if given not in choices:
        raise files.refuse(
            own.FILE, f"relevant_label is {given!r}, the labels are {', '.join(names)} (0 and 1)"
        )
    index = given if isinstance(given, int) else names.index(given)
    files.note("labels", f"2, the logit is that of {names[index]} less the other's", own.FILE)
    return index


def label_names(config: Mapping[str, Any], weights: ModelWeights | None) -> list[str]:
    """Names of the labels. transformers leaves `id2label` out where there are its default two."""
    found = config.get("id2label")
    if isinstance(found, dict) and found:
        return [str(name) for _, name in sorted(found.items(), key=lambda item: int(item[0]))]
    num_labels = config.get("num_labels")
    if num_labels is None and weights is not None and "head.projection.weight" in weights:
        num_labels = weights["head.projection.weight"].shape[0]
    return [f"LABEL_{n}" for n in range(num_labels if isinstance(num_labels, int) else 1)]


def _architecture(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or [""])[0])
