"""The folder that a training leaves: a model that the server loads, and its card."""

import hashlib
import json
import shutil
from pathlib import Path

from twopass.training.calibration import Fit

_WEIGHTS = "model.safetensors"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def write_model(
    folder: Path,
    *,
    trained: Path,
    base: Path,
    max_seq_len: int,
    blend: float,
    calibration: Fit,
    card: str,
) -> None:
    """Writes a reranker in Hugging Face layout with `twopass.json` and `README.md` beside.

    Args:
        folder: Where; replaced if it is there.
        trained: Holds the trained weights and their configuration.
        base: Whose tokenizer it shares.
        max_seq_len: Tokens of a pair that the server lets it read.
        blend: Default weight of the first pass.
        calibration: Of its scores.
        card: Text of the README.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in (_WEIGHTS, "config.json"):
        shutil.copyfile(trained / name, partial / name)
    for name in _TOKENIZER:
        if (base / name).is_file():
            shutil.copyfile(base / name, partial / name)
    settings = {
        "kind": "reranker",
        "max_seq_len": max_seq_len,
        "blend": blend,
        "calibration": {"a": calibration.a, "b": calibration.b},
        "sha256": {
            name: hashlib.sha256((partial / name).read_bytes()).hexdigest()
            for name in ("config.json", _WEIGHTS, _TOKENIZER[0])
        },
    }
    (partial / "twopass.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (partial / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
