import numpy as np
import pytest
from safetensors.numpy import save_file

from twopass.engines.errors import ModelError
from twopass.engines.model.weights import BertWeights

from ..small_models import random_tensors, small_config, write_model

WORDS = "embeddings.word_embeddings.weight"


@pytest.mark.parametrize("prefix", ["", "bert.", "roberta.", "model."], ids=repr)
def test_tensors_have_one_name_whatever_the_export_calls_them(tmp_path, prefix):
    tensors = random_tensors(small_config())
    write_model(tmp_path, small_config(), tensors, prefix=prefix)
    weights = BertWeights(tmp_path / "model.safetensors")
    for name, tensor in tensors.items():  # the classifier's have no prefix
        assert name in weights
        np.testing.assert_array_equal(weights[name], tensor)


def test_half_precision_is_read_as_float32(tmp_path):
    half = np.array([[1.5, -2.25]], np.float16)
    save_file({WORDS: half}, tmp_path / "model.safetensors")
    read = BertWeights(tmp_path / "model.safetensors")[WORDS]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, half)


def test_a_missing_tensor_is_named_with_its_file(tmp_path):
    save_file({"bert." + WORDS: np.zeros((1, 1), np.float32)}, tmp_path / "model.safetensors")
    weights = BertWeights(tmp_path / "model.safetensors")
    assert "pooler.dense.weight" not in weights
    with pytest.raises(ModelError, match=r"model\.safetensors: tensor bert\.pooler\.dense\.weight"):
        weights["pooler.dense.weight"]


def test_a_file_that_is_no_safetensors_is_named(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"\x80\x04pickled")
    with pytest.raises(ModelError, match=r"model\.safetensors: not a safetensors file"):
        BertWeights(file)


def test_weights_of_another_family_are_refused(tmp_path):
    save_file({"transformer.wte.weight": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="not a BERT-family encoder"):
        BertWeights(tmp_path / "model.safetensors")
