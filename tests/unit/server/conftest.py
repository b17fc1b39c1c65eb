"""A arbiter with an empty queue, and an engine that holds its batches."""

import pytest

from twopass.server.scheduling.arbiter import Arbiter

from .scripted import ScriptedEngine


@pytest.fixture
def arbiter() -> Arbiter:
    return Arbiter(max_queued_pairs=100)


@pytest.fixture
def held() -> ScriptedEngine:
    return ScriptedEngine(is_held=True)
