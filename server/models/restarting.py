"""An engine that can be built anew when it has failed or answers no more."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import fields

from twopass.engines.base import Engine, Float32s, LoadedModel, TokenBatch
from twopass.engines.errors import DeviceError, EngineUnavailableError, ModelError

_logger = logging.getLogger("twopass.server")
# A build that fails is tried again after this long, and after twice as long each further time.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0


class RestartingEngine:
    """Passes batches to a model's engine, and can replace it; an `engines.base.Engine`.

    What replaces it has the same weights, tokenizer and properties: collections and caches are
    keyed by the model's revision, and batches are made for the engine's layout. A model that was
    changed on disk is never served under the old revision; the server must be started anew.
    """

    def __init__(self, model: LoadedModel, load: Callable[[], LoadedModel]) -> None:
        """Begins with the engine of a model that is ready.

        Args:
            model: Whose engine.
            load: Loads the model again; may take seconds and may fail.
        """
        self.info = model.engine.info
        self.output_width = model.engine.output_width
        # Not the model itself, which would keep an abandoned engine's memory.
        self._spec = model.spec
        self._fingerprint = model.tokenizer.fingerprint
        self._load = load
        self._engine: Engine | None = model.engine
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
                f"the engine of {self._spec.id} is starting anew; try again in a few seconds"
            )
        answer: Future[Float32s] = Future()
        self._pending.add(answer)
        answer.add_done_callback(self._pending.discard)
        engine.submit(batch).add_done_callback(lambda computed: _pass_on(computed, answer))
        return answer

    def restart(self) -> bool:
        """Abandons the engine and the batches it holds, and begins to build another.

        Returns:
            True where it began; False where another is being built already, or none is wanted.
        """
        with self._lock:
            if self._engine is None or self._closed.is_set():
                return False
            old, self._engine = self._engine, None
        _logger.error("engine restarts", extra={"model": self._spec.id})
        for answer in self._pending.copy():
            with suppress(InvalidStateError):  # it was answered at this very moment
                answer.set_exception(DeviceError("the engine was abandoned"))
        # Either may take for ever where the device hangs, so nobody waits for them.
        for task in (lambda: _close(old), self._rebuild):
            name = f"restart-{self._spec.id}"
            threading.Thread(target=task, name=name, daemon=True).start()
        return True

    def close(self) -> None:
        """Finishes what was submitted; builds no more."""
        self._closed.set()
        with self._lock:
            engine = self._engine
        if engine is not None:
            engine.close()

    def _rebuild(self) -> None:
        """Builds until an engine of the same model is there, or none is wanted any more."""
        pause = _FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            try:
                engine = self._built()
            except Exception as error:
                _logger.error("engine not built: %s", error, extra={"model": self._spec.id})
                self._closed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            with self._lock:
                is_wanted = not self._closed.is_set()
                if is_wanted:
                    self._engine = engine
            if is_wanted:
                _logger.info("engine restarted", extra={"model": self._spec.id})
            else:
                _close(engine)
            return

    def _built(self) -> Engine:
        """Another engine of the same model.

        Raises:
            ModelError: What was loaded is another model; names what differs.
            EngineError: Nothing was loaded.
        """
        loaded = self._load()
        differences = "; ".join(self._differences(loaded))
        if not differences:
            return loaded.engine
        _close(loaded.engine)
        raise ModelError(
            f"{self._spec.id} was changed since the server started: {differences}; restore "
            "it, or restart the server to serve the new one"
        )

    def _differences(self, loaded: LoadedModel) -> Iterator[str]:
        """How a model that was loaded differs from the one that is served."""
        compared = {
            "revision": (self._spec.revision, loaded.spec.revision),
            "tokenizer": (self._fingerprint, loaded.tokenizer.fingerprint),
            "output_width": (self.output_width, loaded.engine.output_width),
        } | {
            field.name: (getattr(self.info, field.name), getattr(loaded.engine.info, field.name))
            for field in fields(self.info)
        }
        for name, (served, found) in compared.items():
            if served != found:
                yield f"{name} {served} is served, {found} was loaded"


def _pass_on(computed: Future[Float32s], answer: Future[Float32s]) -> None:
    with suppress(InvalidStateError):  # abandoned meanwhile
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
