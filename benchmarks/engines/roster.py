"""Who is measured: our engines and the field's, each in the precisions it has."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from twopass.engines.base.engine import Precision


@dataclass(frozen=True, slots=True)
class Contender:
    """An engine in one precision.

    Attributes:
        engine: Its name, as its makers write it.
        precision: Type of its products.
        module: Of the package `adapters`.
        packages: Distributions whose versions explain its speed.
        is_ours: Whether it is twopass's own.
        omission: Why it is named but not measured; empty for one that is measured.
        only_reference: Whether its results are wanted, and its speed is not.
    """

    engine: str
    precision: Precision
    module: str
    packages: tuple[str, ...]
    is_ours: bool = False
    omission: str = ""
    only_reference: bool = False

    @property
    def label(self) -> str:
        """Unique among all of them."""
        return f"{self.engine} {self.precision}"

    def versions(self) -> dict[str, str]:
        """Of its packages, those that are installed."""
        found = {}
        for package in self.packages:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
        return found


def _ours(engine: str, module: str, *precisions: Precision) -> tuple[Contender, ...]:
    return tuple(Contender(engine, p, module, ("onnxruntime",), is_ours=True) for p in precisions)


def _peer(
    engine: str, module: str, packages: tuple[str, ...], *precisions: Precision
) -> tuple[Contender, ...]:
    return tuple(Contender(engine, p, module, packages) for p in precisions)


_INT8, _BF16, _F32 = Precision.INT8, Precision.BF16, Precision.F32
_TEXTS_ONLY = "takes texts, not token ids; beneath it is ONNX Runtime, which is measured"

SUBJECT = "twopass cpu int8"
"""What all others are compared with."""

CONTENDERS = (
    *_ours("twopass cpu", "cpu", _INT8, _BF16, _F32),
    *_ours("twopass onnxruntime", "onnxruntime_own_graph", _F32),
    *_peer("ONNX Runtime", "onnxruntime_export", ("onnxruntime", "torch"), _INT8, _F32),
    *_peer("OpenVINO", "openvino", ("openvino", "nncf"), _INT8, _BF16, _F32),
    *_peer("CTranslate2", "ctranslate2", ("ctranslate2",), _INT8, _BF16, _F32),
    *_peer(
        "sentence-transformers",
        "sentence_transformers",
        ("sentence-transformers", "transformers", "torch"),
        _BF16,
        _F32,
    ),
    Contender("FlashRank", _INT8, "", (), omission=_TEXTS_ONLY),
    Contender("fastembed", _F32, "", (), omission=_TEXTS_ONLY),
)

REFERENCE = "twopass onnxruntime f32"
"""Whose results the others' are compared with: it needs no package that twopass does not."""


def chosen(words: Collection[str]) -> tuple[Contender, ...]:
    """Contenders whose label holds one of the words, in any case, all without any.

    The reference is always among them, though its speed is measured only where it is asked for.

    Raises:
        ValueError: A word is in no label; says which labels there are.
    """
    for word in words:
        if not any(word.lower() in c.label.lower() for c in CONTENDERS):
            labels = ", ".join(c.label for c in CONTENDERS)
            raise ValueError(f"--engine: {word!r} names none of {labels}")
    found = []
    for contender in CONTENDERS:
        if not words or any(word.lower() in contender.label.lower() for word in words):
            found.append(contender)
        elif contender.label == REFERENCE:
            found.append(replace(contender, only_reference=True))
    return tuple(found)
