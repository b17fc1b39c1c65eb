"""Folders as sentence-transformers writes them, around an encoder of random weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ...small_models import random_tensors, small_config, write_json, write_model

TRANSFORMER = ("sentence_transformers.base.modules.transformer.Transformer", "")
POOLING = ("sentence_transformers.sentence_transformer.modules.pooling.Pooling", "1_Pooling")
NORMALIZE = ("sentence_transformers.base.modules.normalize.Normalize", "3_Normalize")
DENSE = ("sentence_transformers.base.modules.dense.Dense", "2_Dense")
TANH = "torch.nn.modules.activation.Tanh"
MEAN = {"embedding_dimension": 8, "pooling_mode": "mean", "include_prompt": True}


def write_encoder(folder: Path, **changes: Any) -> Path:
    """An encoder of 8 components, without any file of sentence-transformers."""
    config = small_config(architectures=["BertModel"], **changes)
    return write_model(folder, config, random_tensors(config))


def write_modules(folder: Path, modules: Sequence[tuple[str, str]]) -> None:
    entries = [
        {"idx": n, "name": str(n), "path": path, "type": kind}
        for n, (kind, path) in enumerate(modules)
    ]
    write_json(folder / "modules.json", entries)


def write_dense(
    folder: Path, input_width: int, output_width: int, place: str = "2_Dense", **changes: Any
) -> None:
    config = {
        "in_features": input_width,
        "out_features": output_width,
        "bias": True,
        "activation_function": TANH,
    }
    write_json(folder / place / "config.json", config | changes)
    weight = np.ones((output_width, input_width), np.float32)
    tensors = {"linear.weight": weight, "linear.bias": np.ones(output_width, np.float32)}
    save_file(tensors, folder / place / "model.safetensors")


def write_sentence_encoder(folder: Path, pooling: dict[str, Any] = MEAN) -> Path:
    """An encoder with modules.json, a pooling and a norm."""
    write_encoder(folder)
    write_modules(folder, [TRANSFORMER, POOLING, NORMALIZE])
    write_json(folder / "1_Pooling/config.json", pooling)
    return folder
