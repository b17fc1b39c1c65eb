"""A batcher with an empty queue, and an engine that holds its batches."""

import pytest

from twopass.server.batcher import Batcher

from .scripted import ScriptedEngine


@pytest.fixture
def batcher() -> Batcher:
    return Batcher(max_queued_pairs=100)


@pytest.fixture
def held() -> ScriptedEngine:
    return ScriptedEngine(is_held=True)
