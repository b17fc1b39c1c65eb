"""Forms of decoders as rerankers, whose prompts stand in their folders.

The folders are those of the unit tests of decoders, read here by sentence-transformers as well.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from torch import nn

from twopass.engines.base.model import ModelKind

from ..unit.engines.small_decoders import save_model, save_prompt
from .form import Expected, Form
from .texts import PAIRS
from .writing import edit_json

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
    for relevant in (0, 1):
        yield Form(
            "qwen3",
            f"two labels, relevant is {relevant}",
            ModelKind.RERANKER,
            partial(_write_two_labels, relevant=relevant),
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


def _write_two_labels(folder: Path, relevant: int) -> Expected:
    """A head for classification after the same prompt: one label's logit less the other's."""
    token_ids = _write(folder, "Qwen3", {}).token_ids
    task = "ForSequenceClassification"
    model = save_model(folder, task=task, max_position_embeddings=_POSITIONS, num_labels=2)
    edit_json("config.json", lambda config: config | {"id2label": {"0": "no", "1": "yes"}})(folder)
    (folder / "twopass.json").write_text(json.dumps({"relevant_label": relevant}))
    with torch.no_grad():
        labels = [model(torch.tensor([row])).logits[0] for row in token_ids]
    logits = [float(each[relevant] - each[1 - relevant]) for each in labels]
    return Expected(token_ids, np.array(logits, np.float32))
