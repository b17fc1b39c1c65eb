"""What may replace an engine that failed."""

import logging
import threading
from dataclasses import replace

import pytest

from twopass.engines.base.engine import PaddedLayout, token_width_of
from twopass.engines.base.model import LoadedReranker
from twopass.engines.errors import EngineUnavailableError, ModelError
from twopass.server.models import restarting
from twopass.server.models.restarting import RestartingEngine

from ....waiting import wait_until
from ..scripted import (
    NumberTokenizer,
    ScriptedEngine,
    ScriptedTokenEngine,
    batch_of,
    scripted_reranker,
)


class WordTokenizer(NumberTokenizer):
    """Another tokenizer."""

    fingerprint = "words"


def changed(**changes) -> LoadedReranker:
    """The scripted model with another engine, of which some properties differ."""
    model = scripted_reranker(ScriptedEngine())
    if "revision" in changes:
        return replace(model, spec=replace(model.spec, revision=changes["revision"]))
    if "tokenizer" in changes:
        return replace(model, tokenizer=changes["tokenizer"])
    engine = ScriptedEngine()
    engine.output_width = changes.pop("output_width", engine.output_width)
    engine.info = replace(engine.info, **changes)
    return replace(model, engine=engine)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(restarting, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(restarting, "_LONGEST_PAUSE_SECONDS", 0.01)


def test_an_engine_of_the_same_model_takes_the_place_of_a_failed_one():
    successor = ScriptedEngine()
    engine = RestartingEngine(
        scripted_reranker(ScriptedEngine()), lambda: scripted_reranker(successor)
    )
    assert engine.restart()
    wait_until(lambda: engine._engine is successor)
    assert engine.submit(batch_of([[1, 2]])).result().tolist() == [3.0]


def test_graphs_come_and_go_with_the_engine_and_change_nothing_else():
    model = scripted_reranker(ScriptedEngine())
    engine = RestartingEngine(model, lambda: changed(has_graphs=True))
    assert not engine.info.has_graphs
    assert engine.restart()
    wait_until(lambda: engine.info.has_graphs)
    assert replace(engine.info, has_graphs=False) == model.engine.info


def test_vectors_of_tokens_are_passed_on_where_the_engine_has_them():
    engine = RestartingEngine(scripted_reranker(ScriptedTokenEngine()), scripted_reranker)
    assert token_width_of(engine) == 2
    assert engine.submit_tokens(batch_of([[7]])).result().tolist() == [[7.0, 7.5]]
    without = RestartingEngine(scripted_reranker(ScriptedEngine()), scripted_reranker)
    assert token_width_of(without) == 0


DIFFERENCES = {
    "revision 0 is served, 1 was loaded": {"revision": "1"},
    "tokenizer numbers is served, words was loaded": {"tokenizer": WordTokenizer()},
    "output_width 1 is served, 384 was loaded": {"output_width": 384},
    "precision f32 is served, int8 was loaded": {"precision": "int8"},
    "max_seq_len 64 is served, 32 was loaded": {"max_seq_len": 32},
    "engine scripted is served, cpu was loaded": {"engine": "cpu"},
    "layout PackedLayout() is served": {"layout": PaddedLayout((16, 64))},
}


@pytest.mark.parametrize(("sentence", "changes"), DIFFERENCES.items(), ids=DIFFERENCES)
def test_another_model_is_never_served_in_the_place_of_the_one_that_failed(
    caplog, sentence, changes
):
    loaded: list[LoadedReranker] = []
    closed: list[ScriptedEngine] = []

    def load() -> LoadedReranker:
        loaded.append(changed(**changes))
        loaded[-1].engine.close = lambda: closed.append(loaded[-1].engine)
        return loaded[-1]

    engine = RestartingEngine(scripted_reranker(ScriptedEngine()), load)
    with caplog.at_level(logging.ERROR, "twopass.server"):
        engine.restart()
        wait_until(lambda: len(loaded) >= 3)  # it goes on trying: the model may be restored
        engine.close()
    with pytest.raises(EngineUnavailableError, match="the engine of scripted is restarting"):
        engine.submit(batch_of([[1, 2]]))
    assert f"engine not built: scripted was changed since the server started: {sentence}" in (
        caplog.text
    )
    assert all(one.engine in closed for one in loaded[:2])


def test_a_model_that_is_restored_is_served_again():
    models = iter([changed(revision="1"), changed(revision="1"), changed()])
    engine = RestartingEngine(scripted_reranker(ScriptedEngine()), lambda: next(models))
    engine.restart()
    wait_until(lambda: engine._engine is not None)
    assert engine.submit(batch_of([[1, 2]])).result().tolist() == [3.0]


def test_an_engine_that_is_built_after_the_end_is_closed():
    may_build, closed = threading.Event(), threading.Event()

    def load() -> LoadedReranker:
        may_build.wait()
        model = scripted_reranker(ScriptedEngine())
        model.engine.close = closed.set
        return model

    engine = RestartingEngine(scripted_reranker(ScriptedEngine()), load)
    engine.restart()
    engine.close()
    may_build.set()
    assert closed.wait(10)


def test_an_abandoned_engine_is_not_kept():
    import gc
    import weakref

    first = ScriptedEngine()
    kept = weakref.ref(first)
    engine = RestartingEngine(scripted_reranker(first), lambda: scripted_reranker(ScriptedEngine()))
    del first
    engine.restart()
    wait_until(lambda: engine._engine is not None)
    wait_until(lambda: gc.collect() >= 0 and kept() is None)


def test_a_model_that_can_not_be_loaded_is_tried_again():
    answers = iter([ModelError("the folder is gone"), scripted_reranker(ScriptedEngine())])

    def load() -> LoadedReranker:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    engine = RestartingEngine(scripted_reranker(ScriptedEngine()), load)
    engine.restart()
    wait_until(lambda: engine._engine is not None)
