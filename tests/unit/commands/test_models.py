"""`twopass models check` and `recommend`: what they print, and how they end."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from twopass.commands.main import app
from twopass.commands.model_recommend import MODELS
from twopass.engines.base.model import ModelKind
from twopass.evaluation import model_references
from twopass.evaluation.model_check import Attempt, difference
from twopass.evaluation.model_references import Reference

from ..engines.small_models import core_config, core_tensors, write_model

_RUNNER = CliRunner()


def test_a_shipped_model_is_read_run_and_identified() -> None:
    ended = _RUNNER.invoke(app, ["models", "check", "all-MiniLM-L6-v2", "--threads", "1", "--json"])
    assert ended.exit_code == 0
    told = json.loads(ended.stdout)
    assert (told["model"], told["kind"]) == ("all-MiniLM-L6-v2", "encoder")
    sources = {reading["setting"]: reading["source"] for reading in told["readings"]}
    assert sources["pooling"] == sources["max_seq_len"] == "twopass.json"
    assert sources["dimension"] == "config.json"
    engines = {(e["engine"], e["precision"]): e for e in told["engines"]}
    assert engines["cpu", "f32"]["runs"]
    assert engines["cpu", "int8"]["runs"]
    assert engines["onnxruntime", "f32"]["runs"]
    assert all(e["runs"] or e["refusal"] for e in told["engines"])
    assert len(told["revision"]) == 64


def test_a_folder_that_is_refused_ends_the_command_with_1(tmp_path: Path) -> None:
    config = core_config()
    write_model(tmp_path, config, core_tensors(config), settings={"max_sequence": 1})
    ended = _RUNNER.invoke(app, ["models", "check", str(tmp_path)])
    assert ended.exit_code == 1
    assert "max_sequence is no setting" in " ".join(ended.output.split())


def test_an_engine_that_computes_something_else_ends_it_with_3(monkeypatch) -> None:
    expected = np.zeros((1 + len(model_references.PASSAGES), 384), np.float32)
    expected[:, 0] = 1
    told = Reference("another library 1.0", expected)
    monkeypatch.setattr(model_references, "reference", lambda _: told)
    command = ["models", "check", "all-MiniLM-L6-v2", "--threads", "1"]
    ended = _RUNNER.invoke(app, command)
    assert ended.exit_code == 3
    printed = " ".join(ended.output.split())
    assert "its outputs differ from the reference" in printed
    assert "compared with another library 1.0 in float32" in printed


def test_without_the_reference_it_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    ended = _RUNNER.invoke(app, ["models", "check", "twopass-minilm-l3", "--threads", "1"])
    assert ended.exit_code == 0
    assert (
        "not compared: neither sentence-transformers nor transformers is installed: "
        in ended.stdout
    )
    assert "serve it: twopass serve --reranker twopass-minilm-l3" in ended.stdout


@pytest.mark.parametrize(
    ("precision", "error", "within"),
    [("f32", 5e-4, True), ("f32", 5e-3, False), ("bf16", 5e-3, True), ("int8", 0.2, True)],
)
def test_logits_are_judged_by_the_precision_that_computed_them(precision, error, within) -> None:
    expected = np.linspace(-1, 1, 12, dtype=np.float32)
    found = difference(
        Attempt("cpu", precision, "", expected + np.float32(error)), expected, ModelKind.RERANKER
    )
    assert found.within is within
    assert found.tau == 1.0


def test_embeddings_of_another_width_differ() -> None:
    attempt = Attempt("cpu", "f32", "", np.ones((2, 4), np.float32))
    assert not difference(attempt, np.ones((2, 8), np.float32), ModelKind.ENCODER).within


def test_recommended_models_are_told_by_kind_language_and_size() -> None:
    command = ["models", "recommend", "--kind", "reranker", "--language", "multi", "--json"]
    ended = _RUNNER.invoke(app, [*command, "--max-parameters", "400"])
    assert ended.exit_code == 0
    found = json.loads(ended.stdout)
    assert [model["id"] for model in found] == [
        "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1",
        "Alibaba-NLP/gte-multilingual-reranker-base",
    ]
    assert all(model["licence"] and model["runs_on"] for model in found)


def test_recommended_models_are_sorted_by_kind_and_size() -> None:
    order = [(model.kind != "reranker", model.million_parameters) for model in MODELS]
    assert order == sorted(order)
    assert len({model.id for model in MODELS}) == len(MODELS)


def test_names_of_recommended_models_are_whole_in_a_narrow_terminal() -> None:
    ended = _RUNNER.invoke(app, ["models", "recommend"], env={"COLUMNS": "80"})
    assert {model.id for model in MODELS} <= set(ended.stdout.splitlines())


def test_why_an_engine_does_not_run_a_model_is_told_in_a_line_of_its_own(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    command = ["models", "check", "twopass-minilm-l3", "--threads", "1"]
    ended = _RUNNER.invoke(app, command, env={"COLUMNS": "80"})
    assert [line for line in ended.stdout.splitlines() if line.startswith("not on torch: ")]


def test_a_kind_that_is_none_is_refused() -> None:
    ended = _RUNNER.invoke(app, ["models", "recommend", "--kind", "classifier"])
    assert ended.exit_code == 1
    assert "--kind: 'classifier' given" in ended.output


def test_what_is_told_of_a_model_without_having_been_seen_is_told_apart() -> None:
    known = {"family", "licence", "size", "tokens"}
    assert all(
        "family" in model.confirmed and known.issuperset(model.confirmed) for model in MODELS
    )
    ended = _RUNNER.invoke(app, ["models", "recommend", "--kind", "encoder"])
    printed = " ".join(ended.output.split())
    assert "the rest is from general knowledge" in printed
    assert "As their cards tell" not in printed
    listed = json.loads(_RUNNER.invoke(app, ["models", "recommend", "--json"]).stdout)
    e5 = next(model for model in listed if model["id"] == "intfloat/multilingual-e5-large")
    assert e5["confirmed"] == ["family", "tokens"]  # its licence was not seen
