"""`modules.json` of sentence-transformers: which modules a model is made of, and where they lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from twopass.engines.model.architecture import Activation
from twopass.engines.model.pooling import DenseLayer, Pooling
from twopass.engines.model.reading.files import FolderFiles
from twopass.engines.model.weights import stored_tensors

FILE = "modules.json"

# What a module of another kind would need, by the last part of its type.
_OTHER_MODULES = {
    "StaticEmbedding": "a table of words without a transformer",
    "BoW": "counts of words",
    "WordEmbeddings": "a table of words without a transformer",
    "WordWeights": "weights of tokens by their words",
    "WeightedLayerPooling": "a mean over layers",
    "CNN": "convolutions over tokens",
    "LSTM": "a recurrent network over tokens",
    "LayerNorm": "a norm after the pooling",
    "Router": "different modules for queries and passages",
    "Asym": "different modules for queries and passages",
    "CLIPModel": "images",
    "MLMTransformer": "a sparse encoder: one weight for each word",
    "SpladePooling": "a sparse encoder: one weight for each word",
    "SparseAutoEncoder": "a sparse encoder: one weight for each word",
    "SparseStaticEmbedding": "a sparse encoder: one weight for each word",
    "MultiVectorMask": "one vector for each token",
    "TokenPooling": "one vector for each token",
}
_TRANSFORMERS = ("Transformer", "BERT", "RoBERTa", "XLMRoBERTa", "DistilBERT")

# The old form of a pooling's configuration, a flag for each; several stand in this order.
_FLAGS = {
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_max_tokens": Pooling.MAX,
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_mean_sqrt_len_tokens": Pooling.MEAN_SQRT_LEN,
    "pooling_mode_weightedmean_tokens": Pooling.WEIGHTED_MEAN,
    "pooling_mode_lasttoken": Pooling.LAST,
}
# The new form, a name or a list of names.
_NAMES = {
    "cls": Pooling.CLS,
    "max": Pooling.MAX,
    "mean": Pooling.MEAN,
    "mean_sqrt_len_tokens": Pooling.MEAN_SQRT_LEN,
    "weightedmean": Pooling.WEIGHTED_MEAN,
    "lasttoken": Pooling.LAST,
}
_POOLING_KEYS = frozenset(
    {"word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt", *_FLAGS}
)
_ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": None,
    "torch.nn.modules.activation.Tanh": Activation.TANH,
    "torch.nn.modules.activation.ReLU": Activation.RELU,
    "torch.nn.modules.activation.GELU": Activation.GELU,
    "torch.nn.modules.activation.SiLU": Activation.SILU,
}
_DENSE_KEYS = frozenset(
    {
        "in_features",
        "out_features",
        "bias",
        "activation_function",
        "module_input_name",
        "module_output_name",
    }
)
_VECTOR = "sentence_embedding"


@dataclass(frozen=True, slots=True)
class Modules:
    """What a model is made of.

    Attributes:
        transformer: The encoder's folder within the model's; "" for the same.
        kinds: Last parts of the modules' types, in order; empty where no `modules.json` says.
        poolings: Side by side; None where nothing says.
        pooling_source: The file that does.
        includes_prompt: Whether a prefix's tokens are pooled with the text's.
        dense: After the pooling.
        dense_files: Of their tensors.
        normalizes: Whether the last module normalises embeddings.
    """

    transformer: str = ""
    kinds: tuple[str, ...] = ()
    poolings: tuple[Pooling, ...] | None = None
    pooling_source: str = ""
    includes_prompt: bool = True
    dense: tuple[DenseLayer, ...] = ()
    dense_files: tuple[Path, ...] = ()
    normalizes: bool = False


def read_modules(files: FolderFiles) -> Modules:
    """Reads `modules.json` and the configurations of the modules it names.

    Raises:
        ModelError: A module is of a kind, in an order or of a form that no engine computes; names
            it.
    """
    if not (files.path / FILE).exists():
        return _without_list(files)
    entries = [_entry(files, entry) for entry in files.json_list(FILE)]
    entries = [(kind, place) for kind, place in entries if kind != "Dropout"]  # of training alone
    kinds = tuple(kind for kind, _ in entries)
    files.note("modules", ", ".join(kinds), FILE)
    if not kinds or kinds[0] not in _TRANSFORMERS:
        raise files.refuse(
            FILE, f"modules are {', '.join(kinds) or 'none'}; a Transformer is first"
        )
    transformer = entries[0][1]
    rest = entries[1:]
    if not rest or rest[0][0] == "LogitScore":  # a reranker
        return Modules(transformer, kinds)
    if rest[0][0] != "Pooling":
        raise files.refuse(
            FILE,
            f"modules are {', '.join(kinds)}: without a Pooling there is one vector for each "
            "token, and none for the text",
        )
    source = f"{rest[0][1]}/config.json"
    config = files.json(source)
    poolings = _poolings(files, source, config)
    normalizes = len(rest) > 1 and rest[-1][0] == "Normalize"
    dense = rest[1:-1] if normalizes else rest[1:]
    for kind, place in dense:
        if kind != "Dense":
            raise files.refuse(
                FILE,
                f"{kind} in {place!r} stands between others; after the Pooling, Dense modules and "
                "at the end a Normalize are computed",
            )
    if normalizes:
        _require_vector(files, f"{rest[-1][1]}/config.json")
    layers = [_dense(files, place) for _, place in dense]
    return Modules(
        transformer,
        kinds,
        poolings,
        source,
        config.get("include_prompt", True) is not False,
        tuple(layer for layer, _ in layers),
        tuple(file for _, file in layers),
        normalizes,
    )


def _without_list(files: FolderFiles) -> Modules:
    """A folder of transformers, perhaps with the pooling of sentence-transformers beside."""
    source = "1_Pooling/config.json"
    for place in sorted(files.path.glob("[0-9]_*")):
        if place.is_dir() and place.name not in ("1_Pooling", "2_Normalize"):
            raise files.refuse(
                place.name, f"a module, but {FILE} is missing, which says in what order: get it too"
            )
    if not (files.path / source).exists():
        return Modules()
    poolings = _poolings(files, source, files.json(source))
    return Modules(poolings=poolings, pooling_source=source)


def _entry(files: FolderFiles, entry: Any) -> tuple[str, str]:
    """Kind and folder of a module."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise files.refuse(FILE, f"{entry!r} is no module: it has no type")
    kind, place = entry["type"].rpartition(".")[2], str(entry.get("path", ""))
    if not entry["type"].startswith("sentence_transformers."):
        raise files.refuse(
            FILE,
            f"module {entry['type']!r} is code of the folder's own, which is never run; the engine "
            "onnxruntime runs an export of the model without modules.json",
        )
    if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
        raise files.refuse(FILE, f"path {place!r} leads out of the folder")
    if kind in _OTHER_MODULES:
        raise files.refuse(
            FILE, f"module {kind} in {place!r} is not computed: {_OTHER_MODULES[kind]}"
        )
    if kind not in (*_TRANSFORMERS, "Pooling", "Dense", "Normalize", "Dropout", "LogitScore"):
        raise files.refuse(FILE, f"module {entry['type']} in {place!r} is not known")
    return kind, place


def _poolings(files: FolderFiles, name: str, config: Mapping[str, Any]) -> tuple[Pooling, ...]:
    """Of either form; mean where neither says anything, as in sentence-transformers."""
    files.require_known(name, config, _POOLING_KEYS)
    given = config.get("pooling_mode")
    if given is None:
        return tuple(pooling for flag, pooling in _FLAGS.items() if config.get(flag)) or (
            Pooling.MEAN,
        )
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(each, str) and each in _NAMES for each in names):
        raise files.refuse(
            name, f"pooling_mode is {given!r}, known are {', '.join(_NAMES)} and lists of them"
        )
    return tuple(_NAMES[each] for each in names)


def _dense(files: FolderFiles, place: str) -> tuple[DenseLayer, Path]:
    name = f"{place}/config.json"
    config = files.json(name)
    files.require_known(name, config, _DENSE_KEYS)
    _require_vector(files, name)
    # Dense modules had no such key before they could have another activation than Tanh.
    activation = config.get("activation_function", "torch.nn.modules.activation.Tanh")
    if activation not in _ACTIVATIONS:
        raise files.refuse(
            name, f"activation_function is {activation!r}, known are {', '.join(_ACTIVATIONS)}"
        )
    file = files.path / place / "model.safetensors"
    if not file.exists():
        pickle = files.path / place / "pytorch_model.bin"
        raise files.refuse(
            f"{place}/model.safetensors",
            "missing; pytorch_model.bin is a pickle, which can run code when it is opened and is "
            'never read. If you trust it, convert it once: python -c "import torch; from '
            f"safetensors.torch import save_file; save_file(torch.load('{pickle}', "
            f"weights_only=True), '{file}')\""
            if pickle.exists()
            else "missing; it holds the Dense module's weights",
        )
    weight = stored_tensors(file).get("linear.weight")
    shape = (config.get("out_features"), config.get("in_features"))
    if weight is None or weight.shape != shape:
        raise files.refuse(
            f"{place}/model.safetensors",
            f"linear.weight is {'missing' if weight is None else weight.shape}, {shape} is needed "
            f"(out_features, in_features of {name})",
        )
    layer = DenseLayer(weight.shape[1], weight.shape[0], _ACTIVATIONS[activation])
    files.note(
        "dense",
        f"{layer.input_width} to {layer.output_width}, {layer.activation or 'linear'}",
        name,
    )
    return layer, file


def _require_vector(files: FolderFiles, name: str) -> None:
    """Refuses a module that reads or writes something else than the pooled vector."""
    config = files.optional_json(name)
    for key in ("module_input_name", "module_output_name"):
        if config.get(key, _VECTOR) not in (_VECTOR, None):
            raise files.refuse(name, f"{key} is {config[key]!r}, only {_VECTOR!r} is computed")
