"""Forms of decoders as rerankers, whose prompts stand in their folders.

The folders are those of the unit tests of decoders, read here by sentence-transformers as well.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from torch import nn

from twopass.engines.base import ModelKind

from ..unit.engines.small_decoders import save_model, save_prompt
from .form import Expected, Form
from .texts import PAIRS

_OTHERS = dict.fromkeys(("cpu", "onnxruntime", "torch"), "engine transformers runs")
# The longest pair has some 900 tokens.
_POSITIONS = 2_048


def forms() -> Iterator[Form]:
    """Of families whose rerankers are published so: yes or no after a chat template."""
    for family, shape in _FAMILIES.items():
        yield Form(
            family.lower(),
            "yes or no",
            ModelKind.RERANKER,
            partial(_write, family=family, shape=shape),
            refused_by=_OTHERS,
        )


_FAMILIES: dict[str, dict[str, Any]] = {
    "Qwen3": {},
    "Qwen2": {},
    "Llama": {},
    "Mistral": {"sliding_window": 64},
    "Gemma": {"num_key_value_heads": 1},
}


def _write(folder: Path, family: str, shape: dict[str, Any]) -> Expected:
    save_prompt(folder)
    save_model(folder, family, max_position_embeddings=_POSITIONS, **shape)
    model = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    token_ids, logits = [], []
    for pair in PAIRS:
        token_ids.append(model.preprocess([pair])["input_ids"][0].tolist())
        logits.append(model.predict([pair], activation_fn=nn.Identity())[0])
    return Expected(token_ids, np.array(logits, np.float32))
