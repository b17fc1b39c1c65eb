"""An engine that can be built anew when it has failed or answers no more."""

import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from twopass.engines.base import Engine, Float32s, TokenBatch
from twopass.engines.errors import DeviceError, EngineUnavailableError

_logger = logging.getLogger("twopass.server")
# A build that fails is tried again after this long, and after twice as long each further time.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0


class RestartingEngine:
    """Passes batches to an engine, and can put another in its place.

    Implements `engines.base.Engine`.
    """

    def __init__(
        self,
        model: str,
        engine: Engine,
        build: Callable[[], Engine],
    ) -> None:
        """Begins with an engine that is ready.

        Args:
            model: Whose it is, for the log.
            engine: The first.
            build: Makes another like it; may take seconds and may fail.
        """
        self.info = engine.info
        self.output_width = engine.output_width
        self._model = model
        self._engine: Engine | None = engine
        self._build = build
        self._lock = threading.Lock()
        self._pending: set[Future[Float32s]] = set()
        self._closed = threading.Event()

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch; see `engines.base`.

        Raises:
            EngineUnavailableError: The engine is being built anew.
        """
        with self._lock:
            engine = self._engine
        if engine is None:
            raise EngineUnavailableError(
                f"the engine of {self._model} is starting anew; try again in a few seconds"
            )
        answer: Future[Float32s] = Future()
        self._pending.add(answer)
        answer.add_done_callback(self._pending.discard)
        engine.submit(batch).add_done_callback(lambda computed: _pass_on(computed, answer))
        return answer

    def restart(self) -> bool:
        """Lets go of the engine, fails what is in it, and begins to build another.

        Returns:
            Whether it did; False while one is being built already.
        """
        with self._lock:
            if self._engine is None or self._closed.is_set():
                return False
            old, self._engine = self._engine, None
        _logger.error("engine restarts", extra={"model": self._model})
        for answer in self._pending.copy():
            with suppress(InvalidStateError):  # it came at this very moment
                answer.set_exception(DeviceError("the engine was given up"))
        # Either may take for ever where the device hangs, so nobody waits for them.
        for task, argument in ((_close, old), (self._rebuild, None)):
            name = f"restart-{self._model}"
            threading.Thread(target=task, args=(argument,), name=name, daemon=True).start()
        return True

    def close(self) -> None:
        """Finishes what was submitted; builds no more."""
        self._closed.set()
        with self._lock:
            engine = self._engine
        if engine is not None:
            engine.close()

    def _rebuild(self, _: object) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            try:
                engine = self._build()
            except Exception as error:
                _logger.error("engine not built: %s", error, extra={"model": self._model})
                self._closed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            with self._lock:
                self._engine = engine
            _logger.info("engine restarted", extra={"model": self._model})
            return


def _pass_on(computed: Future[Float32s], answer: Future[Float32s]) -> None:
    with suppress(InvalidStateError):  # given up meanwhile
        if (error := computed.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(computed.result())


def _close(engine: Engine) -> None:
    try:
        engine.close()
    except Exception as error:
        _logger.warning("failed engine not closed: %s", error)
    gc.unfreeze()  # what was loaded at the start may hold the engine in a circle
