"""Watches the engines: probes them, restarts failed ones, and reports health."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress

import numpy as np

from twopass.engines.base.engine import Engine
from twopass.engines.base.model import LoadedEncoder, LoadedModel
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import (
    DeviceError,
    EngineBusyError,
    EngineError,
    NonFiniteOutputError,
    OutOfDeviceMemoryError,
)
from twopass.server.models.restarting import RestartingEngine
from twopass.server.scheduling.arbiter import Arbiter, Priority
from twopass.server.telemetry.metrics import Metrics

_logger = logging.getLogger("twopass.server")
# While an engine is not well, it is probed this often. A text whose output is not finite leads to a
# probe after this time, so that many such texts cost no more than a few probes a second.
_IMPATIENT_SECONDS = 0.2


class EnginesLostError(Exception):
    """Engines have not answered for the time allowed; another process may mend them."""


class Supervisor:
    """Keeps the engines answering."""

    def __init__(
        self,
        models: Sequence[LoadedModel],
        arbiter: Arbiter,
        metrics: Metrics,
        *,
        probe_seconds: float,
        timeout_seconds: float,
        give_up_seconds: float,
    ) -> None:
        """Prepares to watch.

        Args:
            models: The models whose engines are watched.
            arbiter: Schedules the engines' batches, probes among them.
            metrics: Where restarts are counted.
            probe_seconds: Time between two probes of an engine.
            timeout_seconds: Longest time a probe may take.
            give_up_seconds: Longest time engines may fail to answer; 0 for any time.
        """
        self._models = models
        self._arbiter = arbiter
        self._metrics = metrics
        self._probe_seconds = probe_seconds
        self._timeout_seconds = timeout_seconds
        self._give_up_seconds = give_up_seconds or math.inf
        self._names = {model.engine: model.spec.id for model in models}
        self._failed = asyncio.Event()
        self._suspicion: asyncio.TimerHandle | None = None  # of an output that was not finite
        arbiter.on_failure = self._batch_failed

    async def watch(self, tell: Callable[[Collection[str]], Awaitable[None]]) -> None:
        """Probes until it is cancelled.

        Args:
            tell: Called with the ids of the models whose engines do not answer, whenever they
                change. All are taken to answer at first.

        Raises:
            EnginesLostError: Engines have not answered for too long. After some faults of a device
                (a sticky CUDA error) no engine of the process works again.
        """
        last_silent: frozenset[str] = frozenset()
        last_well = time.monotonic()
        while True:
            pause = _IMPATIENT_SECONDS if last_silent else self._probe_seconds
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._failed.wait()
            self._failed.clear()
            self._suspicion = None
            answers = await asyncio.gather(*map(self._probe, self._models))
            silent = frozenset(
                model.spec.id
                for model, has_answered in zip(self._models, answers, strict=True)
                if not has_answered
            )
            is_well = not silent
            if is_well != (not last_silent):
                _logger.log(
                    logging.INFO if is_well else logging.ERROR,
                    "engines answer again" if is_well else "engines do not answer",
                )
            if silent != last_silent:
                await tell(silent)
            last_silent = silent
            if is_well:
                last_well = time.monotonic()
            elif time.monotonic() - last_well > self._give_up_seconds:
                raise EnginesLostError(f"engines have not answered for {self._give_up_seconds:g} s")

    async def _probe(self, model: LoadedModel) -> bool:
        """Whether an engine computes; restarts one that does not."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                # Where others fill the queue, the engine still has to be asked.
                await self._arbiter.compute(
                    model.engine, probe_batch(model), Priority.QUERY, always_has_room=True
                )
        except TimeoutError:
            # An engine without a batch in flight waits for another engine of the device.
            if self._arbiter.backlog.in_flight[model.engine]:
                self._restart(model.engine)
            return False
        except OutOfDeviceMemoryError:  # not even for a probe: what it holds must be freed
            self._restart(model.engine)
            return False
        except NonFiniteOutputError:  # of a probe, whose tokens every sound engine can compute
            self._restart(model.engine)
            return False
        except EngineBusyError:  # it has answered, and computes for others
            return True
        except EngineError:  # where it takes a restart, that is under way
            return False
        except Exception:  # a bug of an engine; the watch goes on for the others
            _logger.exception("probe failed")
            self._restart(model.engine)
            return False
        return True

    def _batch_failed(self, engine: Engine, error: BaseException) -> None:
        if isinstance(error, NonFiniteOutputError):
            if self._suspicion is None:
                loop = asyncio.get_running_loop()
                self._suspicion = loop.call_later(_IMPATIENT_SECONDS, self._failed.set)
            return
        if isinstance(error, EngineBusyError):
            return
        if isinstance(error, DeviceError):
            self._restart(engine)
        self._failed.set()

    def _restart(self, engine: Engine) -> None:
        if isinstance(engine, RestartingEngine) and engine.restart():
            self._metrics.engine_restarted(self._names.get(engine, "other"))


def probe_batch(model: LoadedModel) -> TokenBatch:
    """A few sequences of the length of ordinary passages."""
    if isinstance(model, LoadedEncoder):
        prefix = model.tokenizer.single.prefix
    else:
        prefix = model.tokenizer.template.prefix
    # A decoder's prompt may be longer than a passage.
    length = min(max(64, 2 * len(prefix)), model.engine.info.max_seq_len)
    row = np.full(length, model.tokenizer.pad_id, np.int32)
    row[: len(prefix)] = prefix
    num_asked = max(length // 4, len(prefix))
    is_typed = not isinstance(model, LoadedEncoder) and model.tokenizer.template.passage_type == 1
    query_length = num_asked if is_typed else length
    offsets = np.arange(0, 4 * length + 1, length, dtype=np.int32)
    return TokenBatch(np.tile(row, 4), offsets, np.full(4, query_length, np.int32))
