"""An arbiter with an empty queue, an engine that holds its batches, and time to let pass."""

import pytest

from twopass.server.scheduling.arbiter import Arbiter

from .clock import Clock
from .scripted import ScriptedEngine


@pytest.fixture
def arbiter() -> Arbiter:
    return Arbiter(max_queued_pairs=100)


@pytest.fixture
def held() -> ScriptedEngine:
    return ScriptedEngine(is_held=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
