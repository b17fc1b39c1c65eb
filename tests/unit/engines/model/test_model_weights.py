"""Tensors of every layout come under the same names, as views of the mapped files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from twopass.engines.errors import ModelError
from twopass.engines.model.weights import ModelWeights

_MODERNBERT = {
    "model_type": "modernbert",
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 6,
    "vocab_size": 5,
}


def _numbers(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def _modernbert_tensors() -> dict[str, Any]:
    return {
        "model.embeddings.tok_embeddings.weight": _numbers(5, 4),
        "model.layers.0.attn.Wqkv.weight": _numbers(12, 4),
        "model.layers.0.mlp.Wi.weight": _numbers(12, 4),
        "classifier.weight": _numbers(1, 4),
        "classifier.bias": _numbers(1),
    }


def test_fused_projections_are_split_and_missing_biases_are_zeros(tmp_path: Path) -> None:
    tensors = _modernbert_tensors()
    save_file(tensors, tmp_path / "model.safetensors")
    weights = ModelWeights([tmp_path / "model.safetensors"], _MODERNBERT)
    fused = tensors["model.layers.0.attn.Wqkv.weight"]
    for part, name in enumerate(("query", "key", "value")):
        found = weights.float32(f"layers.0.attention.{name}.weight")
        np.testing.assert_array_equal(found, fused[4 * part : 4 * part + 4])
        bias = weights.float32(f"layers.0.attention.{name}.bias")
        np.testing.assert_array_equal(bias, np.zeros(4))
    # ModernBERT activates the first half of the fused projection.
    inner = tensors["model.layers.0.mlp.Wi.weight"]
    np.testing.assert_array_equal(weights.float32("layers.0.mlp.gate.weight"), inner[:6])
    np.testing.assert_array_equal(weights.float32("layers.0.mlp.up.weight"), inner[6:])
    np.testing.assert_array_equal(weights.float32("head.projection.bias"), [0])


def test_shards_are_one_model(tmp_path: Path) -> None:
    tensors = _modernbert_tensors()
    files = []
    for number, (name, tensor) in enumerate(tensors.items()):
        files.append(tmp_path / f"model-{number}.safetensors")
        save_file({name: tensor}, files[-1])
    whole = tmp_path / "model.safetensors"
    save_file(tensors, whole)
    apart, together = ModelWeights(files, _MODERNBERT), ModelWeights([whole], _MODERNBERT)
    assert set(apart) == set(together)
    for name in apart:
        np.testing.assert_array_equal(apart.float32(name), together.float32(name))


def test_a_fused_projection_that_does_not_split_is_refused(tmp_path: Path) -> None:
    tensors = _modernbert_tensors() | {"model.layers.0.attn.Wqkv.weight": _numbers(11, 4)}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="11 rows, 3 equal blocks"):
        ModelWeights([tmp_path / "model.safetensors"], _MODERNBERT)


def test_a_bias_that_the_configuration_promises_is_missed(tmp_path: Path) -> None:
    save_file(_modernbert_tensors(), tmp_path / "model.safetensors")
    config = _MODERNBERT | {"attention_bias": True}
    weights = ModelWeights([tmp_path / "model.safetensors"], config)
    with pytest.raises(ModelError, match=r"attention\.query\.bias is missing"):
        weights.float32("layers.0.attention.query.bias")


def test_files_of_another_family_are_refused(tmp_path: Path) -> None:
    save_file({"wte.weight": _numbers(5, 4)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="tok_embeddings"):
        ModelWeights([tmp_path / "model.safetensors"], _MODERNBERT)


def test_dense_modules_come_under_the_encoders_names(tmp_path: Path) -> None:
    save_file(_modernbert_tensors(), tmp_path / "model.safetensors")
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "3_Dense").mkdir()
    first, second = tmp_path / "2_Dense/model.safetensors", tmp_path / "3_Dense/model.safetensors"
    save_file({"linear.weight": _numbers(3, 4), "linear.bias": _numbers(3)}, first)
    save_file({"linear.weight": _numbers(2, 3)}, second)
    weights = ModelWeights([tmp_path / "model.safetensors"], _MODERNBERT, dense=[first, second])
    np.testing.assert_array_equal(weights.float32("embedding.dense.0.bias"), [0, 1, 2])
    np.testing.assert_array_equal(weights.float32("embedding.dense.1.weight"), _numbers(2, 3))
    np.testing.assert_array_equal(weights.float32("embedding.dense.1.bias"), [0, 0])


@pytest.mark.parametrize("relevant", [0, 1])
def test_two_labels_become_the_logit_of_the_relevant_less_the_others(
    tmp_path: Path, relevant: int
) -> None:
    projection = _numbers(2, 4) ** 2
    tensors = _modernbert_tensors() | {
        "classifier.weight": projection,
        "classifier.bias": np.array([1, 5], np.float32),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    files = [tmp_path / "model.safetensors"]
    weights = ModelWeights(files, _MODERNBERT, relevant_label=relevant)
    expected = projection[relevant] - projection[1 - relevant]
    np.testing.assert_array_equal(weights.float32("head.projection.weight"), [expected])
    np.testing.assert_array_equal(
        weights.float32("head.projection.bias"), [4 if relevant == 1 else -4]
    )
