"""Models of a published shape with random weights: speed does not depend on what a model learned.

Where no hub can be reached, they stand for models that nobody has on disk.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from twopass.engines.model.folder import ModelFolder, open_model
from twopass.engines.model.locating import locate

# Lends its tokenizer: ids below 30,522, which are part of every larger vocabulary.
_TOKENIZER_OF = "twopass-minilm-l6"
_MAX_SEQ_LEN = 512
# Of the weights, as models are initialised before training (BERT, ModernBERT).
_DEVIATION = 0.02


@dataclass(frozen=True, slots=True)
class ModernBertShape:
    """The sizes that decide what a ModernBERT costs."""

    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocab_size: int = 50_368


SHAPES: Mapping[str, ModernBertShape] = {
    # Warner et al. 2024, table 4.
    "modernbert-base": ModernBertShape(22, 768, 12, 1152),
    "modernbert-large": ModernBertShape(28, 1024, 16, 2624),
}
"""Shapes by the name that the command line has for them."""


def open_named(name: str, folder: Path, seed: int) -> ModelFolder:
    """Opens a model, or one of `SHAPES`, which is written into a folder below this one.

    Raises:
        ModelError: There is no such model, or it is damaged.
    """
    if name not in SHAPES:
        return open_model(name)
    write_reranker(folder / name, SHAPES[name], seed)
    opened = open_model(str(folder / name))
    return replace(opened, spec=replace(opened.spec, id=name))


def write_reranker(folder: Path, shape: ModernBertShape, seed: int) -> None:
    """Writes a reranker: config.json, tokenizer.json, and model.safetensors in float16.

    The same seed writes the same weights, so the model's revision is the same too.

    Raises:
        ModelError: The package of the default models, whose tokenizer is used, is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = locate(_TOKENIZER_OF)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    _write_json(folder / "config.json", _config(shape))
    _write_json(folder / "twopass.json", {"kind": "reranker", "max_seq_len": _MAX_SEQ_LEN})
    tensors = _tensors(shape, np.random.default_rng(seed))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _config(shape: ModernBertShape) -> dict[str, object]:
    """Everything but the sizes is ModernBERT's own."""
    return {
        "architectures": ["ModernBertForSequenceClassification"],
        "model_type": "modernbert",
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "intermediate_size": shape.intermediate_size,
        "vocab_size": shape.vocab_size,
        "max_position_embeddings": 8192,
        "local_attention": 128,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
        "norm_eps": 1e-5,
        "hidden_activation": "gelu",
        "classifier_activation": "gelu",
        "classifier_pooling": "mean",
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "pad_token_id": 0,
        "cls_token_id": 101,
        "bos_token_id": 101,
        "sep_token_id": 102,
        "eos_token_id": 102,
    }


def _tensors(
    shape: ModernBertShape, generator: np.random.Generator
) -> dict[str, NDArray[np.float16]]:
    hidden, inner = shape.hidden_size, shape.intermediate_size
    found: dict[str, NDArray[np.float16]] = {}

    def linear(name: str, *sizes: int) -> None:
        drawn = generator.standard_normal(sizes, dtype=np.float32) * _DEVIATION
        found[f"{name}.weight"] = drawn.astype(np.float16)

    def norm(name: str) -> None:
        found[f"{name}.weight"] = np.ones(hidden, np.float16)

    linear("model.embeddings.tok_embeddings", shape.vocab_size, hidden)
    norm("model.embeddings.norm")
    for number in range(shape.num_layers):
        layer = f"model.layers.{number}"
        if number:  # the embeddings' norm stands before the first
            norm(f"{layer}.attn_norm")
        linear(f"{layer}.attn.Wqkv", 3 * hidden, hidden)
        linear(f"{layer}.attn.Wo", hidden, hidden)
        norm(f"{layer}.mlp_norm")
        linear(f"{layer}.mlp.Wi", 2 * inner, hidden)
        linear(f"{layer}.mlp.Wo", hidden, inner)
    norm("model.final_norm")
    linear("head.dense", hidden, hidden)
    norm("head.norm")
    linear("classifier", 1, hidden)
    found["classifier.bias"] = np.zeros(1, np.float16)
    return found


def _write_json(file: Path, content: Mapping[str, object]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
