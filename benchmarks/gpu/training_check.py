"""How many pairs a second `twopass train` learns from, on made-up examples."""

from collections.abc import Callable
from typing import Any

from twopass.benchmarks.gpu.contestants import RERANKER, Field
from twopass.benchmarks.gpu.outcome import NotHereError, Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.training import Load, measured, same_weights_twice, ways

_COMPILED = "compiled"
_SECONDS = 1.5
_DRY = Load(questions=2, negatives=1, max_tokens=64, seconds=0.5)


def training(scale: Scale, field: Field) -> list[Row]:
    """Pairs a second of each way of computing the same steps, but for compiled ones.

    A way that fails has its words in its row.
    """
    del field
    return _measured(scale, lambda name: _COMPILED not in name)


def training_compiled(scale: Scale, field: Field) -> list[Row]:
    """The same of what `torch.compile` makes, which takes a minute to begin."""
    del field
    if not scale.on_gpu:
        raise NotHereError("minutes of compilation on a CPU, for a figure that means nothing")
    return _measured(scale, lambda name: _COMPILED in name)


def training_twice(scale: Scale, field: Field) -> list[Row]:
    """Whether the same steps give the same weights, with sums in one order and in any."""
    del field
    next(ways())  # sets what PyTorch looks at before its first product
    return same_weights_twice(_load(scale), scale.model(RERANKER))


def _load(scale: Scale) -> Load:
    return Load(seconds=_SECONDS) if scale.on_gpu else _DRY


def _measured(scale: Scale, wanted: Callable[[str], bool]) -> list[Row]:
    load = _load(scale)
    chosen: list[tuple[str, Any]] = [way for way in ways() if wanted(way[0])]
    rows: list[Row] = []
    # What is on where nobody chooses comes first, what was before it last.
    for name, computing in sorted(chosen, key=lambda way: (way[0] != "packed", way[0])):
        try:
            rows.append(measured(name, computing, load, scale.model(RERANKER)))
        except Exception as error:  # whatever it is, it is the finding
            rows.append({"way": name, "failed with": f"{type(error).__name__}: {error}"})
    if not any("pairs/s" in row for row in rows):
        raise RuntimeError("; ".join(f"{row['way']}: {row['failed with']}" for row in rows))
    return rows
