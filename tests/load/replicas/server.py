"""`twopass serve` whose reranker fails for some seconds after each SIGUSR1.

usage: python -m tests.load.replicas.server SECONDS FLAG… with the flags of `twopass serve`
"""

import signal
import sys
import time
from types import FrameType

from twopass.commands.main import app as command
from twopass.engines.base.model import LoadedModel, ModelKind
from twopass.engines.errors import DeviceError
from twopass.server import app, running
from twopass.server.models.restarting import RestartingEngine

from ...integration.faulty_engines import FaultyEngine, throws


class BreakableApp(app.App):
    """A server whose reranker throws when it is told to, and can't be built anew for a while."""

    seconds = 0.0

    def break_reranker(self, signal_number: int, frame: FrameType | None) -> None:
        """Breaks it; a handler of signals."""
        del signal_number, frame
        (engine,) = (x.engine for x in self._models if x.spec.kind is ModelKind.RERANKER)
        assert isinstance(engine, RestartingEngine)
        sound, load = engine._engine, engine._load
        assert sound is not None
        until = time.monotonic() + self.seconds

        def load_later() -> LoadedModel:
            if time.monotonic() < until:
                raise DeviceError("the device is not back yet")
            engine._load = load
            return load()

        engine._load, engine._engine = load_later, FaultyEngine(sound, throws)

    async def start(self) -> None:
        """Starts it, and from then on can be broken."""
        await super().start()
        signal.signal(signal.SIGUSR1, self.break_reranker)


if __name__ == "__main__":
    BreakableApp.seconds = float(sys.argv.pop(1))
    running.App = BreakableApp  # type: ignore[misc]
    command()
