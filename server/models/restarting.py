"""An engine that can be rebuilt when it has failed or no longer answers."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import fields, replace

from twopass.engines.base.engine import (
    Engine,
    EngineInfo,
    SharingEngine,
    TokenEngine,
    token_width_of,
)
from twopass.engines.base.model import LoadedModel
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import DeviceError, EngineUnavailableError, ModelError

_logger = logging.getLogger("twopass.server")
# A failed build is tried again after the first pause; each further pause is twice as long.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
# What an engine's description says of the moment, and no batch depends on.
_CHANGING = {"has_graphs"}


class RestartingEngine:
    """An `Engine` that passes batches to a model's engine and can replace that engine.

    The replacement has the same weights, tokenizer and properties: collections and caches are keyed
    by the model's revision, and batches are made for the engine's layout. A model that was changed
    on disk is never served under the old revision; the server must be restarted to serve it.
    """

    def __init__(self, model: LoadedModel, load: Callable[[], LoadedModel]) -> None:
        """Begins with the engine of a model that is ready.

        Args:
            model: The model, with the engine to begin with.
            load: Loads the model again; may take seconds and may fail.
        """
        self._info = model.engine.info
        self.output_width = model.engine.output_width
        self.token_width = token_width_of(model.engine)
        # The model itself is not kept: it would hold an abandoned engine's memory.
        self._spec = model.spec
        self._fingerprint = model.tokenizer.fingerprint
        self._load = load
        self._engine: Engine | None = model.engine
        self._lock = threading.Lock()
        self._pending: set[Future[Float32s]] = set()
        self._closed = threading.Event()

    @property
    def info(self) -> EngineInfo:
        """What is served, whichever engine computes it; see `engines.base`."""
        engine = self._engine
        if engine is not None and engine.info.has_graphs is not self._info.has_graphs:
            self._info = replace(self._info, has_graphs=engine.info.has_graphs)
        return self._info

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch; see `engines.base`.

        Raises:
            EngineUnavailableError: The engine is being rebuilt.
        """
        return self._submit(lambda engine: engine.submit(batch))

    def submit_tokens(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for the vectors of its tokens; see `TokenEngine`.

        Raises:
            EngineUnavailableError: The engine is being rebuilt.
        """

        def submitted(engine: Engine) -> Future[Float32s]:
            assert isinstance(engine, TokenEngine)
            return engine.submit_tokens(batch)

        return self._submit(submitted)

    def _submit(self, to: Callable[[Engine], Future[Float32s]]) -> Future[Float32s]:
        with self._lock:
            engine = self._engine
        if engine is None:
            raise EngineUnavailableError(
                f"the engine of {self._spec.id} is restarting; try again in a few seconds"
            )
        answer: Future[Float32s] = Future()
        self._pending.add(answer)
        answer.add_done_callback(self._pending.discard)
        to(engine).add_done_callback(lambda computed: _pass_on(computed, answer))
        return answer

    @property
    def num_shared_tokens(self) -> int:
        """Tokens of batches not computed again since the engine was built; 0 without sharing."""
        engine = self._engine
        return engine.num_shared_tokens if isinstance(engine, SharingEngine) else 0

    def restart(self) -> bool:
        """Abandons the engine and the batches it holds, and begins to build another.

        Returns:
            True where a build began; False where one is under way or `close` was called.
        """
        with self._lock:
            if self._engine is None or self._closed.is_set():
                return False
            old, self._engine = self._engine, None
        _logger.error("engine restarts", extra={"model": self._spec.id})
        for answer in self._pending.copy():
            with suppress(InvalidStateError):  # it was answered at this very moment
                answer.set_exception(DeviceError("the engine was abandoned"))
        # Where the device hangs, closing and building may take for ever, so nobody waits for them.
        for task in (lambda: _close(old), self._rebuild):
            name = f"restart-{self._spec.id}"
            threading.Thread(target=task, name=name, daemon=True).start()
        return True

    def close(self) -> None:
        """Finishes the batches that were submitted; no engine is built any more."""
        self._closed.set()
        with self._lock:
            engine = self._engine
        if engine is not None:
            engine.close()

    def _rebuild(self) -> None:
        """Tries to build an engine of the same model until one is built or `close` is called."""
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
        """Loads the model again and returns its engine.

        Raises:
            ModelError: The loaded model is not the one that is served; names what differs.
            EngineError: The model could not be loaded.
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
        """Yields how a newly loaded model differs from the one that is served."""
        compared = {
            "revision": (self._spec.revision, loaded.spec.revision),
            "tokenizer": (self._fingerprint, loaded.tokenizer.fingerprint),
            "output_width": (self.output_width, loaded.engine.output_width),
            "token_width": (self.token_width, token_width_of(loaded.engine)),
        } | {
            field.name: (getattr(self.info, field.name), getattr(loaded.engine.info, field.name))
            for field in fields(self.info)
            if field.name not in _CHANGING
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
    gc.unfreeze()  # frozen objects may hold the engine in a reference cycle
