"""Model folders of a few thousand random weights, and batches for them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from twopass.engines.base.sequences import Ragged, TokenBatch

VOCAB_SIZE = 40
MAX_SEQ_LEN = 24

Tensors = dict[str, NDArray[np.float32]]


def small_config(model_type: str = "bert", **changes: Any) -> dict[str, Any]:
    """A `config.json` of two layers. RoBERTa's positions begin after its padding's."""
    is_bert = model_type == "bert"
    pad = 0 if is_bert else 1
    return {
        "model_type": model_type,
        "architectures": ["BertForSequenceClassification" if is_bert else "RobertaModel"],
        "id2label": {"0": "LABEL_0"},
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "vocab_size": VOCAB_SIZE,
        "max_position_embeddings": MAX_SEQ_LEN + (0 if is_bert else pad + 1),
        "type_vocab_size": 2 if is_bert else 1,
        "layer_norm_eps": 1e-6,
        "hidden_act": "gelu",
        "pad_token_id": pad,
    } | changes


def core_config(model_type: str = "bert", **changes: Any) -> dict[str, Any]:
    """The same of a shape that the C++ core computes: two heads of 32 components."""
    return small_config(model_type, **{"hidden_size": 64, "intermediate_size": 128} | changes)


def core_tensors(config: dict[str, Any]) -> Tensors:
    """Weights for it, as small as trained ones: attention spreads over many tokens."""
    tensors = random_tensors(config)
    return {k: v if "LayerNorm" in k else v / np.float32(4) for k, v in tensors.items()}


def random_tensors(config: dict[str, Any], seed: int = 0) -> Tensors:
    """Weights of every tensor that a reranker has, by the names of `BertModel`."""
    generator = np.random.default_rng(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]

    def draw(*shape: int) -> NDArray[np.float32]:
        return generator.normal(0, 0.5, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": draw(config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": draw(config["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": draw(config["type_vocab_size"], hidden),
    }
    dense = {}
    norms = ["embeddings.LayerNorm"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{prefix}attention.{name}"] = (hidden, hidden)
        dense[f"{prefix}intermediate.dense"] = (inner, hidden)
        dense[f"{prefix}output.dense"] = (hidden, inner)
        norms += [f"{prefix}attention.output.LayerNorm", f"{prefix}output.LayerNorm"]
    if config["model_type"] == "bert":
        dense |= {"pooler.dense": (hidden, hidden), "classifier": (1, hidden)}
    else:
        dense |= {"classifier.dense": (hidden, hidden), "classifier.out_proj": (1, hidden)}
    for name, shape in dense.items():
        tensors[name + ".weight"] = draw(*shape)
        tensors[name + ".bias"] = draw(shape[0])
    for name in norms:
        tensors[name + ".weight"] = 1 + draw(hidden)
        tensors[name + ".bias"] = draw(hidden)
    return tensors


def write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")


def write_model(
    folder: Path,
    config: dict[str, Any],
    tensors: Tensors | None = None,
    *,
    settings: dict[str, Any] | None = None,
    prefix: str = "",
) -> Path:
    """Writes a folder in Hugging Face layout.

    Args:
        folder: Made if missing.
        config: `config.json`.
        tensors: `model.safetensors`; None for a folder without.
        settings: `twopass.json`; None for a folder without.
        prefix: Put before the encoder's tensors, as exports of whole models do.
    """
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer.json", {})
    if settings is not None:
        write_json(folder / "twopass.json", settings)
    if tensors is not None:
        heads = ("classifier",)
        named = {k if k.startswith(heads) else prefix + k: v for k, v in tensors.items()}
        save_file(named, folder / "model.safetensors")
    return folder


def random_rows(lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    """Token ids of these lengths."""
    generator = np.random.default_rng(seed)
    return [generator.integers(2, VOCAB_SIZE, length).tolist() for length in lengths]


def batch_of(rows: Sequence[Sequence[int]], query_lengths: Sequence[int]) -> TokenBatch:
    """A batch as engines take it."""
    ragged = Ragged.from_rows([np.array(row, np.int32) for row in rows])
    return TokenBatch(ragged.token_ids, ragged.offsets, np.array(query_lengths, np.int32))
