"""`twopass.json`: what the other files of a folder don't say, or say otherwise than one wants."""

from dataclasses import dataclass, field
from typing import Any

from twopass.engines.base.model import ModelKind
from twopass.engines.model.calibration import Calibration
from twopass.engines.model.pooling import Pooling
from twopass.engines.model.reading.files import FolderFiles

FILE = "twopass.json"

_KEYS = (
    "kind",
    "pooling",
    "max_seq_len",
    "max_passage_tokens",
    "query_prefix",
    "passage_prefix",
    "calibration",
    "answer_threshold",
    "blend",
    "relevant_label",
    "onnx",
    "prompt",
    "sha256",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings:
    """What `twopass.json` says; None where it says nothing.

    Attributes:
        kind: Encoder or reranker.
        poolings: Of an encoder, side by side.
        max_seq_len: Tokens of a sequence, special tokens included.
        max_passage_tokens: Of a passage, as many are read at once.
        query_prefix: Text before every query.
        passage_prefix: Text before every passage.
        calibration: From logit to score.
        answer_threshold: The score from which on a passage is taken for an answer, 0 to 1.
        blend: Default weight of the first-pass score in the order, 0 to 1.
        relevant_label: Of a classifier with two labels the one of relevant pairs, by its name or
            number.
        onnx: Which of several exported graphs counts, relative to the folder.
        sha256: Digests of files, by names relative to the folder.
        content: The file as it is; empty where there is none.
    """

    kind: ModelKind | None = None
    poolings: tuple[Pooling, ...] | None = None
    max_seq_len: int | None = None
    max_passage_tokens: int | None = None
    query_prefix: str | None = None
    passage_prefix: str | None = None
    calibration: Calibration = field(default_factory=Calibration)
    answer_threshold: float | None = None
    blend: float = 0.0
    relevant_label: str | int | None = None
    onnx: str | None = None
    sha256: dict[str, str] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)


def read_settings(files: FolderFiles) -> FolderSettings:
    """Reads `twopass.json`, where there is one.

    Raises:
        ModelError: A key is unknown, or its value has no meaning; names both.
    """
    content = files.optional_json(FILE)
    unknown = [key for key in content if key not in _KEYS]
    if unknown:
        raise files.refuse(
            FILE, f"{unknown[0]} is no setting; known are {', '.join(sorted(_KEYS))}"
        )
    try:
        return FolderSettings(
            kind=ModelKind(content["kind"]) if "kind" in content else None,
            poolings=_poolings(content),
            max_seq_len=_count(content, "max_seq_len"),
            max_passage_tokens=_count(content, "max_passage_tokens"),
            query_prefix=_text(content, "query_prefix"),
            passage_prefix=_text(content, "passage_prefix"),
            calibration=_calibration(content),
            answer_threshold=_weight(content, "answer_threshold")
            if "answer_threshold" in content
            else None,
            blend=_weight(content, "blend"),
            relevant_label=_label(content),
            onnx=_text(content, "onnx"),
            sha256=_digests(content),
            content=content,
        )
    except ValueError as error:
        raise files.refuse(FILE, str(error)) from error


def _poolings(content: dict[str, Any]) -> tuple[Pooling, ...] | None:
    given = content.get("pooling")
    if given is None:
        return None
    names = given if isinstance(given, list) else [given]
    known = [pooling.value for pooling in Pooling]
    if not names or not all(name in known for name in names):
        raise ValueError(
            f"pooling: {given!r} given, one of {', '.join(known)} or a list of them is needed"
        )
    return tuple(Pooling(name) for name in names)


def _count(content: dict[str, Any], name: str) -> int | None:
    value = content.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise ValueError(f"{name}: {value!r} given, a whole number of at least 1 is needed")
    return value


def _text(content: dict[str, Any], name: str) -> str | None:
    value = content.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} given, a text is needed")
    return value


def _weight(content: dict[str, Any], name: str) -> float:
    value = content.get(name, 0.0)
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError(f"{name}: {value!r} given, a number from 0 to 1 is needed")
    return float(value)


def _calibration(content: dict[str, Any]) -> Calibration:
    value = content.get("calibration", {})
    numbers = isinstance(value, dict) and all(
        key in ("a", "b") and type(number) in (int, float) for key, number in value.items()
    )
    if not numbers:
        raise ValueError(f"calibration: {value!r} given, numbers a and b are needed")
    return Calibration(**value)


def _label(content: dict[str, Any]) -> str | int | None:
    value = content.get("relevant_label")
    if value is not None and type(value) not in (str, int):
        raise ValueError(
            f"relevant_label: {value!r} given, the name or the number of a label is needed"
        )
    return value


def _digests(content: dict[str, Any]) -> dict[str, str]:
    value = content.get("sha256", {})
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError(f"sha256: {value!r} given, digests by the names of files are needed")
    return value
