"""Which model a request over HTTP means."""

import logging
from dataclasses import replace

import pytest

from twopass.engines.base.model import LoadedEncoder, LoadedReranker, ModelKind, ModelSpec
from twopass.server.config_values import UnknownModel
from twopass.server.errors import UnknownModelError
from twopass.server.http.endpoint import HttpRequest
from twopass.server.http.named_models import NamedModels, OtherKindError
from twopass.server.models.registry import Models

from ..scripted import NumberTokenizer, ScriptedEngine

SPEC = ModelSpec("judge", ModelKind.RERANKER, revision="0" * 64, max_seq_len=8, max_query_tokens=5)


def reranker(name: str, **spec: object) -> LoadedReranker:
    return LoadedReranker(replace(SPEC, id=name, **spec), NumberTokenizer(), ScriptedEngine())


def encoder(name: str) -> LoadedEncoder:
    spec = replace(SPEC, id=name, kind=ModelKind.ENCODER)
    return LoadedEncoder(spec, NumberTokenizer(), ScriptedEngine())


MODELS = Models(
    [
        reranker("judge"),
        reranker("org/second-judge", other_names=("./folder",)),
        encoder("finder"),
        encoder("second-finder"),
    ]
)
LENIENT = NamedModels(MODELS)
STRICT = NamedModels(MODELS, UnknownModel.REJECT)
ROOT = HttpRequest(method="POST", path="/rerank")


def below(model: str) -> HttpRequest:
    return replace(ROOT, model=model)


@pytest.mark.parametrize("nothing", [None, "", "default", "default/not-specified"])
@pytest.mark.parametrize("named_models", [LENIENT, STRICT], ids=["default", "reject"])
def test_a_request_that_names_no_model_means_the_default_of_its_kind(named_models, nothing):
    assert named_models.reranker(ROOT, nothing).spec.id == "judge"
    assert named_models.encoder(ROOT, nothing).spec.id == "finder"


@pytest.mark.parametrize("named_models", [LENIENT, STRICT], ids=["default", "reject"])
def test_a_body_names_a_model_by_its_id_or_another_name(named_models):
    assert named_models.reranker(ROOT, "org/second-judge").spec.id == "org/second-judge"
    assert named_models.reranker(ROOT, "./folder").spec.id == "org/second-judge"
    assert named_models.encoder(ROOT, "second-finder").spec.id == "second-finder"


def test_a_prefix_comes_before_what_the_body_names():
    assert LENIENT.reranker(below("org/second-judge"), "judge").spec.id == "org/second-judge"
    assert STRICT.reranker(below("judge"), "rerank-english-v3.0").spec.id == "judge"


def test_a_prefix_must_name_a_model_whatever_bodies_may():
    with pytest.raises(UnknownModelError, match=r"path: no model 'jugde', there are finder, judge"):
        LENIENT.reranker(below("jugde"))


def test_a_model_called_default_is_meant_by_its_name():
    models = NamedModels(Models([reranker("judge"), reranker("default")]))
    assert models.reranker(ROOT, "default").spec.id == "default"


def test_an_unknown_name_means_the_default_and_is_logged_once(caplog):
    named_models = NamedModels(MODELS)
    with caplog.at_level(logging.WARNING, "twopass.server"):
        for name in ("rerank-english-v3.0", "reranker", "rerank-english-v3.0"):
            assert named_models.reranker(ROOT, name).spec.id == "judge"
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "'rerank-english-v3.0'" in told[0]
    assert "--http-unknown-model reject" in told[0]


def test_names_from_outside_fill_neither_memory_nor_log(caplog):
    named_models = NamedModels(MODELS)
    with caplog.at_level(logging.WARNING, "twopass.server"):
        for i in range(1_100):
            named_models.reranker(ROOT, f"name {i}" + "x" * 10_000)
    assert len(caplog.records) == 1_000
    assert "no further names are told" in caplog.records[-1].getMessage()
    assert max(len(record.getMessage()) for record in caplog.records) < 400


def test_an_unknown_name_is_refused_where_the_server_is_told_so():
    with pytest.raises(UnknownModelError, match=r"model: no model 'rerank-english-v3\.0'"):
        STRICT.reranker(ROOT, "rerank-english-v3.0")


@pytest.mark.parametrize("named_models", [LENIENT, STRICT], ids=["default", "reject"])
def test_a_model_of_the_other_kind_is_never_replaced_in_silence(named_models):
    with pytest.raises(OtherKindError, match="finder is an encoder"):
        named_models.reranker(ROOT, "finder")
    with pytest.raises(OtherKindError, match="judge is a reranker"):
        named_models.encoder(below("judge"))


def test_a_server_without_rerankers_says_so():
    with pytest.raises(UnknownModelError, match="no reranker '', there are none"):
        NamedModels(Models([encoder("finder")])).reranker(ROOT, "rerank-2")


def test_the_model_a_request_names_is_told_whatever_its_kind():
    assert LENIENT.any(ROOT) is None
    assert LENIENT.any(ROOT, "no such name") is None
    named = [LENIENT.any(below(name)) for name in ("judge", "finder")]
    assert [model and model.spec.id for model in named] == ["judge", "finder"]
