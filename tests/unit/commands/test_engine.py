"""The commands of `twopass engine`, on a small model with the shipped tokenizer."""

import json
import shutil
import sys

import pytest
from typer.testing import CliRunner

from twopass.commands.main import app
from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.tensorrt.api import find_tensorrt
from twopass.engines.model.locating import locate

from ..engines.small_models import random_tensors, small_config, write_model


@pytest.fixture
def small_model(tmp_path):
    """A reranker with all of BERT's words, and random weights."""
    config = small_config(vocab_size=30_522, max_position_embeddings=64)
    folder = write_model(tmp_path / "small", config, random_tensors(config))
    shutil.copy(locate("twopass-minilm-l6") / "tokenizer.json", folder)
    return str(folder)


def run(*arguments):
    return CliRunner().invoke(app, ["engine", *arguments])


def test_precision_prints_each_parts_activations_and_the_orders(small_model):
    result = run("precision", small_model, "--sets", "2", "--candidates", "5", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert list(found["largest_activations"]) == ["embeddings", "layer.0", "layer.1"]
    assert all(0 < value < 65_504 for value in found["largest_activations"].values())
    assert 0 <= found["largest_error"] < 0.1
    assert len(found["kendall_tau"]) == 2
    table = run("precision", small_model, "--sets", "2", "--candidates", "5")
    assert "largest error of an output" in table.output
    assert "Kendall's tau" in table.output


def test_precision_of_a_model_that_is_not_there_is_one_sentence():
    result = run("precision", "no-such-model")
    assert result.exit_code == 1
    assert "no folder of that name" in result.stderr


def test_build_keeps_the_plan_and_prints_its_profiles(small_model, tmp_path, monkeypatch):
    try:
        tensorrt = find_tensorrt()
    except EngineUnavailableError as error:
        pytest.skip(str(error))
    if not tensorrt.is_portable:
        pytest.skip("tensorrt builds on a GPU alone; tensorrt-rtx-cu13 builds anywhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = run("build", small_model, "--max-batch-tokens", "128")
    assert result.exit_code == 0, result.output
    (plan,) = (tmp_path / "cache" / "twopass" / "plans").glob("*.plan")
    assert plan.name in result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert ["32", "4", "4"] in [row[:3] for row in rows]
    assert ["64", "2", "2"] in [row[:3] for row in rows]
    assert "16 HALF, 2 FLOAT" in result.output


def test_build_without_tensorrt_says_how_to_get_it(small_model, monkeypatch):
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    result = run("build", small_model)
    assert result.exit_code == 1
    assert "pip install 'tensorrt>=" in " ".join(result.stderr.split())
    assert "pip install 'tensorrt-rtx-cu13>=" in " ".join(result.stderr.split())
