"""A model's folder is given a calibration."""

import json
from pathlib import Path

from twopass.engines.model.reading.settings import FILE


def write_calibration(folder: Path, a: float, b: float, answer_threshold: float | None) -> Path:
    """Writes a calibration into a model's `twopass.json`, and leaves its other settings.

    The file is replaced whole, so that it is never half written. The model's revision stays what
    it was; a server reads the file when it is started.

    Args:
        folder: The model's folder.
        a: Factor in `sigmoid(a * logit + b)`.
        b: Offset in it.
        answer_threshold: The score from which on a passage is taken for an answer; None keeps what
            was there out, since it was for other scores.

    Returns:
        The file.

    Raises:
        OSError: It can't be read or written.
        ValueError: It is no JSON object.
    """
    file = folder / FILE
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if not isinstance(content, dict):
        raise ValueError(f"{file}: no JSON object")
    content["calibration"] = {"a": round(a, 6), "b": round(b, 6)}
    content.pop("answer_threshold", None)
    if answer_threshold is not None:
        content["answer_threshold"] = round(answer_threshold, 6)
    beside = file.with_name(f"{FILE}.new")
    beside.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    beside.replace(file)
    return file
