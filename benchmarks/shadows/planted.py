"""Rerankers that are planted as bad: the default one with its weights spoilt."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors.numpy import load_file, save_file

from twopass.engines.model.locating import locate
from twopass.server.config import ServerConfig

Weights: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_SEED = 7


def plant_negated(folder: Path) -> Path:
    """Writes the default reranker with its head's sign turned: the best passage comes last."""
    return _planted(folder / "negated", lambda name, values: -values if _is_head(name) else values)


def plant_shuffled(folder: Path) -> Path:
    """Writes the default reranker with the matrices of its layers shuffled: logits are noise."""
    random = np.random.default_rng(_SEED)

    def shuffled(name: str, values: Weights) -> Weights:
        if ".encoder." not in name or values.ndim < 2:
            return values
        return random.permutation(values.ravel()).reshape(values.shape)

    return _planted(folder / "shuffled", shuffled)


def _is_head(name: str) -> bool:
    return name.startswith("classifier.")


def _planted(folder: Path, change: Callable[[str, Weights], Weights]) -> Path:
    source = locate(ServerConfig().reranker)
    shutil.copytree(source, folder)
    settings = json.loads((folder / "twopass.json").read_text())
    del settings["sha256"]
    (folder / "twopass.json").write_text(json.dumps(settings))
    weights = load_file(source / "model.safetensors")
    changed = {name: np.ascontiguousarray(change(name, values)) for name, values in weights.items()}
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
