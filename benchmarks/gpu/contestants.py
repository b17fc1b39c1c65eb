"""The engines that are compared, opened once a process and measured in turns.

One that fails is lost to the checks of its process; what it said stands in the report, and the
others are measured all the same.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.plain_pytorch import PlainPyTorch
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.speed import computed_per_second, padding_share, pairs_per_second
from twopass.benchmarks.gpu.variants import VARIANTS, Variant, environment_of
from twopass.engines.base.engine import Engine
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.cpu.engine import CpuEngine
from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.pytorch.engine import TorchEngine
from twopass.engines.gpu.tensorrt.engine import TensorRtEngine
from twopass.engines.model.folder import ModelFolder, open_model

RERANKER = "twopass-minilm-l6"

T = TypeVar("T")


class Opened(Protocol):
    """An engine, or what takes the place of one."""

    def compute(self, batch: TokenBatch) -> Float32s:
        """Logits, once they are there."""

    def per_second(
        self, batch: TokenBatch, seconds: float, *, in_flight: int | None = None
    ) -> float:
        """Pairs a second of a batch that is computed over and over."""

    def padding(self, batch: TokenBatch) -> float | None:
        """Share of the tokens computed that are padding; None where nobody counts."""

    @property
    def has_graphs(self) -> bool:
        """Whether it replays CUDA graphs, and has not given them up."""

    def close(self) -> None:
        """Frees what it holds."""


class _OurEngine:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def compute(self, batch: TokenBatch) -> Float32s:
        return self._engine.submit(batch).result()

    def per_second(
        self, batch: TokenBatch, seconds: float, *, in_flight: int | None = None
    ) -> float:
        return pairs_per_second(self._engine, batch, seconds, in_flight=in_flight)

    def padding(self, batch: TokenBatch) -> float | None:
        return padding_share(self._engine, batch)

    @property
    def has_graphs(self) -> bool:
        return self._engine.info.has_graphs

    def close(self) -> None:
        self._engine.close()


class _Plain:
    def __init__(self, model: PlainPyTorch) -> None:
        self._model = model

    def compute(self, batch: TokenBatch) -> Float32s:
        return self._model(batch)

    def per_second(
        self, batch: TokenBatch, seconds: float, *, in_flight: int | None = None
    ) -> float:
        del in_flight  # it can do but one thing at a time
        return computed_per_second(self._model, batch, seconds)

    def padding(self, batch: TokenBatch) -> float | None:
        del batch
        return None

    @property
    def has_graphs(self) -> bool:
        return False

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that can be measured.

    Attributes:
        name: In reports.
        open: Makes it.
    """

    name: str
    open: Callable[[], Opened]


def contestants(scale: Scale) -> list[Contestant]:
    """All that are compared, in the order in which they have their turns."""

    def folder() -> ModelFolder:
        return open_model(scale.model(RERANKER))

    def torch_by(variant: Variant) -> Opened:
        with environment_of(variant.environment):
            return _OurEngine(TorchEngine(folder()))

    def plain(batch_size: int) -> Opened:
        device = "cuda" if scale.on_gpu else "cpu"
        return _Plain(
            PlainPyTorch(folder().path, device=device, batch_size=batch_size, compiled=False)
        )

    if scale.on_gpu:
        found = [Contestant(each.name, partial(torch_by, each)) for each in VARIANTS]
        found.append(Contestant("tensorrt fp16", lambda: _OurEngine(TensorRtEngine(folder()))))
    else:
        found = [
            Contestant(
                "torch f32 on the CPU", lambda: _OurEngine(TorchEngine(folder(), device="cpu"))
            )
        ]
    for size in (32, 128) if scale.on_gpu else (32,):
        found.append(Contestant(f"{names.PLAIN}, batches of {size}", partial(plain, size)))
    found.append(Contestant(names.CORE, lambda: _OurEngine(CpuEngine(folder()))))
    return found


class Field:
    """The contestants of a process.

    Attributes:
        lost: What those said that failed, by name, in the order in which they did.
        missing: The same of those that were wanted since this was last cleared.
        broken: Those of them that failed otherwise than for want of something.
    """

    def __init__(
        self,
        scale: Scale,
        without: frozenset[str] = frozenset(),
        doing: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Opens nothing yet.

        Args:
            scale: Of the run.
            without: Contestants that are left out: they broke a process before.
            doing: Told whose turn it is, before it begins.
        """
        self._known = [each for each in contestants(scale) if each.name not in without]
        self._opened: dict[str, Opened] = {}
        self._doing = doing
        self.lost: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.broken: list[str] = []

    def in_turns(
        self,
        measure: Callable[[Opened], T],
        turns: int,
        wanted: Callable[[str], bool] = lambda _: True,
    ) -> dict[str, list[T]]:
        """Measures each contestant so many times, one after the other, there and back.

        Args:
            measure: Measures one.
            turns: How many times.
            wanted: Which of them, by name.

        Returns:
            What each gave that did not fail, a value a turn, in the order of contestants.
        """
        found: dict[str, list[T]] = {}
        for each in self._known:
            if wanted(each.name):
                found[each.name] = []
        for turn in range(turns):
            for name in list(found)[:: -1 if turn % 2 else 1]:
                opened = self._open(name)
                if opened is None:
                    continue
                self._doing(name)
                try:
                    found[name].append(measure(opened))
                except Exception as error:  # whatever it is, it is the finding
                    self._lose(name, error)
        self.missing |= {name: self.lost[name] for name in found if name in self.lost}
        return {name: values for name, values in found.items() if name not in self.lost}

    def close(self) -> None:
        """Closes what is open."""
        for name in list(self._opened):
            with suppress(Exception):
                self._opened.pop(name).close()

    def _open(self, name: str) -> Opened | None:
        if name in self.lost:
            return None
        if name not in self._opened:
            self._doing(f"{name}, opening")
            (contestant,) = (each for each in self._known if each.name == name)
            try:
                self._opened[name] = contestant.open()
            except Exception as error:
                self._lose(name, error)
                return None
        return self._opened[name]

    def _lose(self, name: str, error: Exception) -> None:
        self.lost[name] = f"{type(error).__name__}: {error}"
        if not isinstance(error, EngineUnavailableError | ImportError):
            self.broken.append(name)
        opened = self._opened.pop(name, None)
        if opened is not None:
            with suppress(Exception):  # its failure is told already
                opened.close()


def furthest(found: Float32s, expected: Float32s) -> float:
    """The largest difference of two sets of logits."""
    return float(np.max(np.abs(found.astype(np.float64) - expected)))
