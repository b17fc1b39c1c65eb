"""Writes the folder of a trained model, which the server loads, and its card."""

import hashlib
import json
import shutil
from pathlib import Path

from twopass.training.calibration import Fit


def write_model(
    folder: Path,
    *,
    trained: Path,
    max_seq_len: int,
    max_passage_tokens: int,
    blend: float,
    calibration: Fit,
    card: str,
) -> None:
    """Writes a reranker in Hugging Face layout with `twopass.json` and `README.md` beside.

    Args:
        folder: The folder to write; an existing one is replaced.
        trained: A folder with weights, configuration and tokenizer.
        max_seq_len: Longest pair that the model can read, in tokens.
        max_passage_tokens: Most tokens of a passage read at once.
        blend: Default weight of the first pass.
        calibration: Calibration of its scores.
        card: Text of the README.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(trained, partial)
    (partial / "model.safetensors").chmod(0o644)  # safetensors makes it readable by its owner only
    settings = {
        "kind": "reranker",
        "max_seq_len": max_seq_len,
        "max_passage_tokens": max_passage_tokens,
        "blend": blend,
        "calibration": {"a": calibration.a, "b": calibration.b},
        "sha256": {
            name: hashlib.sha256((partial / name).read_bytes()).hexdigest()
            for name in ("config.json", "model.safetensors", "tokenizer.json")
        },
    }
    (partial / "twopass.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (partial / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
