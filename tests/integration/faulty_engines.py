"""Engines that throw, hang or compute nonsense, in place of a server's own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError
from twopass.server.models.restarting import RestartingEngine

from .serving import Server


class FaultyEngine:
    """Takes an engine's place and computes by a rule of the test."""

    def __init__(self, engine, fault: Callable[[TokenBatch], np.ndarray]) -> None:
        self.info = engine.info
        self.output_width = engine.output_width
        self._fault = fault
        self.is_closed = threading.Event()

    def submit(self, batch: TokenBatch) -> Future:
        future: Future = Future()

        def run() -> None:
            try:
                future.set_result(self._fault(batch))
            except Exception as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def close(self) -> None:
        self.is_closed.set()


def throws(batch: TokenBatch) -> np.ndarray:
    raise DeviceError("the device burnt out")


def computes_nonsense(batch: TokenBatch) -> np.ndarray:
    return np.full(len(batch), np.nan, np.float32)


def runs_out_of_memory(batch: TokenBatch) -> np.ndarray:
    raise OutOfDeviceMemoryError("no room for the batch")


over = threading.Event()
"""Ends all that hangs."""


def hangs(batch: TokenBatch) -> np.ndarray:
    over.wait()
    return np.zeros(len(batch), np.float32)


def reranker_of(server: Server) -> RestartingEngine:
    (engine,) = (m.engine for m in server._app._models if m.spec.kind is ModelKind.RERANKER)
    assert isinstance(engine, RestartingEngine)
    return engine


def break_reranker(server: Server, fault: Callable[[TokenBatch], np.ndarray]) -> FaultyEngine:
    """Lets the reranker compute by a fault until it is built anew."""
    engine = reranker_of(server)
    sound = engine._engine
    assert sound is not None
    engine._engine = faulty = FaultyEngine(sound, fault)
    sound.close()
    return faulty
