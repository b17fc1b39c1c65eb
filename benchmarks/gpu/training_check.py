"""How many pairs a second `twopass train` learns from."""

from twopass.benchmarks.gpu.contestants import Field
from twopass.benchmarks.gpu.outcome import NotHereError, Row
from twopass.benchmarks.gpu.scale import Scale


def training(scale: Scale, field: Field) -> list[Row]:
    """Pairs a second of training steps, rows with `way` and `pairs/s`."""
    del scale, field
    raise NotHereError("no made-up examples to train on yet")
