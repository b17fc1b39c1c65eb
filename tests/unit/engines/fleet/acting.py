"""Engines that act by a script, on a clock that a test moves."""

import heapq
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import numpy as np

from twopass.engines.base.engine import EngineInfo, Layout, PackedLayout
from twopass.engines.base.sequences import Float32s, Ragged, TokenBatch

MAX_SEQ_LEN = 64


class Clock:
    """Time that passes when a test says so, and what happens in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def __call__(self) -> float:
        return self.now

    def at(self, moment: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), act))

    def every(self, seconds: float, until: float, act: Callable[[], None]) -> None:
        for step in range(1, int(until / seconds) + 1):
            self.at(step * seconds, act)

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            moment, _, act = heapq.heappop(self._events)
            self.now = max(self.now, moment)
            act()
        self.now = until


@dataclass(frozen=True)
class Deed:
    """What an engine does with a batch: it answers after a time, fails after it, or never does.

    Attributes:
        seconds: How long it takes; None for ever.
        error: What it fails with; None where it computes.
        at_once: Whether it raises rather than fails its future.
    """

    seconds: float | None = 0.01
    error: Exception | None = None
    at_once: bool = False


class ActingEngine:
    """A reranker whose logit is the sum of a pair's token ids, and which acts by a script."""

    def __init__(
        self,
        clock: Clock,
        deeds: Iterator[Deed],
        *,
        engine: str = "acting",
        precision: str = "f32",
        device: str = "none",
        max_in_flight: int = 2,
        max_batch_tokens: int = 1_024,
        batch_seconds: float = 0.02,
        layout: Layout | None = None,
        max_seq_len: int = MAX_SEQ_LEN,
        is_serial: bool = False,
    ) -> None:
        self.info = EngineInfo(
            engine=engine,
            precision=precision,
            device=device,
            max_seq_len=max_seq_len,
            layout=layout or PackedLayout(),
            max_batch_tokens=max_batch_tokens,
            max_in_flight=max_in_flight,
            batch_seconds=batch_seconds,
        )
        self.output_width = 1
        self._clock = clock
        self._deeds = deeds
        self.batches: list[TokenBatch] = []
        self.futures: list[Future[Float32s]] = []
        self.is_closed = False
        self._is_serial = is_serial  # whether it computes one batch after another
        self._free_at = 0.0

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        deed = next(self._deeds)
        self.batches.append(batch)
        if deed.at_once:
            assert deed.error is not None
            raise deed.error
        future: Future[Float32s] = Future()
        self.futures.append(future)
        if deed.seconds is not None:
            begins = max(self._clock.now, self._free_at) if self._is_serial else self._clock.now
            self._free_at = begins + deed.seconds
            self._clock.at(self._free_at, lambda: _end(future, batch, deed.error))
        return future

    def close(self) -> None:
        self.is_closed = True


def _end(future: Future[Float32s], batch: TokenBatch, error: Exception | None) -> None:
    with suppress(InvalidStateError):  # it was cancelled
        if error is None:
            future.set_result(logits_of(batch))
        else:
            future.set_exception(error)


def logits_of(batch: TokenBatch) -> Float32s:
    sums = np.add.reduceat(batch.token_ids, batch.offsets[:-1])
    return np.asarray(sums, np.float32)


def batch_of(number: int, num_tokens: int = 8) -> TokenBatch:
    """A batch of one sequence, which no other number has."""
    ragged = Ragged.from_rows([[number, *[0] * (num_tokens - 1)]])
    return TokenBatch(ragged.token_ids, ragged.offsets, np.ones(1, np.int32))
