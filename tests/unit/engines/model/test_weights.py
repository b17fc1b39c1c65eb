import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from twopass.engines.errors import ModelError
from twopass.engines.model.weights import ModelWeights

from ..small_models import random_tensors, small_config, write_model

WORDS = "embeddings.word_embeddings.weight"
NAME = "embeddings.words.weight"


def opened(file):
    return ModelWeights([file], small_config())


@pytest.mark.parametrize("prefix", ["", "bert.", "roberta.", "model."], ids=repr)
def test_tensors_have_one_name_whatever_the_export_calls_them(tmp_path, prefix):
    tensors = random_tensors(small_config())
    write_model(tmp_path, small_config(), tensors, prefix=prefix)
    weights = opened(tmp_path / "model.safetensors")
    for name, stored in {  # the classifier's have no prefix
        NAME: WORDS,
        "layers.1.mlp.up.bias": "encoder.layer.1.intermediate.dense.bias",
        "head.projection.weight": "classifier.weight",
    }.items():
        assert name in weights
        np.testing.assert_array_equal(weights.float32(name), tensors[stored])


def test_half_precision_is_read_as_float32(tmp_path):
    half = np.array([[1.5, -2.25]], np.float16)
    save_file({WORDS: half}, tmp_path / "model.safetensors")
    read = opened(tmp_path / "model.safetensors").float32(NAME)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, half)


def save_raw(file, name, dtype, shape, content):
    """Writes a file of one tensor in any dtype, numpy's or not."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(content)]}
    header = json.dumps({"__metadata__": {"format": "pt"}, name: entry}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + content)


def test_bfloat16_is_read_as_the_upper_half_of_float32(tmp_path):
    halves = np.array([0x3F80, 0xC049, 0x0001, 0x8000], "<u2")
    save_raw(tmp_path / "model.safetensors", WORDS, "BF16", [2, 2], halves.tobytes())
    read = opened(tmp_path / "model.safetensors").float32(NAME)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(
        read.view(np.uint32), [[0x3F800000, 0xC0490000], [0x10000, 1 << 31]]
    )


def test_tensors_are_passed_on_as_they_are_stored_at_any_address(tmp_path):
    tensor = np.array([[1.5, -2.25, 3.0]], np.float32)
    for padding in range(4):
        name = "x" * padding + "." if padding else ""
        file = tmp_path / f"{padding}.safetensors"
        header = {
            name + "first": {"dtype": "U8", "shape": [padding], "data_offsets": [0, padding]},
            WORDS: {"dtype": "F32", "shape": [1, 3], "data_offsets": [padding, padding + 12]},
        }
        encoded = json.dumps(header).encode()
        file.write_bytes(
            len(encoded).to_bytes(8, "little") + encoded + b"u" * padding + tensor.tobytes()
        )
        weights = opened(file)
        dtype, shape, content = weights[NAME]
        assert (dtype, shape, content.tobytes()) == ("F32", (1, 3), tensor.tobytes())
        np.testing.assert_array_equal(weights.float32(NAME), tensor)


@pytest.mark.parametrize("dtype", ["I64", "F64", "F8_E4M3"])
def test_a_tensor_of_another_type_is_refused_when_it_is_asked_for(tmp_path, dtype):
    content = bytes(8 // (8 if dtype.startswith("F8") else 1))
    save_raw(tmp_path / "model.safetensors", WORDS, dtype, [1], content)
    weights = opened(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=f"the tensor of {NAME} is {dtype}, not float32"):
        weights.float32(NAME)


def test_a_missing_tensor_is_named_with_its_file(tmp_path):
    save_file({"bert." + WORDS: np.zeros((1, 1), np.float32)}, tmp_path / "model.safetensors")
    weights = opened(tmp_path / "model.safetensors")
    assert "head.dense.weight" not in weights
    match = r"model\.safetensors: the tensor of head\.dense\.weight is missing"
    with pytest.raises(ModelError, match=match):
        weights.float32("head.dense.weight")


def test_a_file_that_is_no_safetensors_is_named(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"\x80\x04pickled")
    with pytest.raises(ModelError, match=r"model\.safetensors: not a safetensors file"):
        opened(file)


def test_weights_of_another_family_are_refused(tmp_path):
    save_file({"transformer.wte.weight": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="not the encoder that config"):
        opened(tmp_path / "model.safetensors")
