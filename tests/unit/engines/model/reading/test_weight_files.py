"""Which files hold the tensors, and how those that are never read are refused."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx.external_data_helper
import pytest
from safetensors.numpy import save_file

from twopass.engines.errors import ModelError
from twopass.engines.model.folder import open_model

from ...small_models import random_tensors, small_config, write_json, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound reranker."""
    config = small_config()
    return write_model(tmp_path / "small", config, random_tensors(config))


def _shard(folder: Path, num_shards: int) -> list[Path]:
    tensors = random_tensors(small_config())
    (folder / "model.safetensors").unlink()
    names = [f"model-{n + 1:05}-of-{num_shards:05}.safetensors" for n in range(num_shards)]
    places = {tensor: names[n % num_shards] for n, tensor in enumerate(tensors)}
    for name in names:
        save_file({t: tensors[t] for t in tensors if places[t] == name}, folder / name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})
    return [folder / name for name in names]


def test_shards_are_read_as_one_model(folder: Path) -> None:
    whole = open_model(str(folder)).open_weights()
    expected = {name: whole.float32(name) for name in whole}
    shards = _shard(folder, 3)
    model = open_model(str(folder))
    assert model.weight_files == tuple(shards)
    weights = model.open_weights()
    assert set(weights) == set(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(weights.float32(name), tensor)


def test_a_missing_shard_is_named(folder: Path) -> None:
    _shard(folder, 3)[1].unlink()
    with pytest.raises(ModelError, match=r"model-00002-of-00003\.safetensors: missing; .*3 shards"):
        open_model(str(folder))


@pytest.mark.parametrize(
    ("places", "named"),
    [
        ({"a": "../elsewhere.safetensors"}, "'../elsewhere.safetensors'; shards lie beside"),
        ({}, "weight_map is {}"),
        (None, "weight_map is None"),
    ],
    ids=str,
)
def test_an_index_that_leads_nowhere_is_refused(folder: Path, places: Any, named: str) -> None:
    (folder / "model.safetensors").unlink()
    write_json(folder / "model.safetensors.index.json", {"weight_map": places})
    with pytest.raises(ModelError, match=rf"model\.safetensors\.index\.json: .*{named}"):
        open_model(str(folder))


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float16, ml_dtypes.bfloat16], ids=["f32", "f16", "bf16"]
)
def test_weights_of_three_types_are_read(folder: Path, dtype: Any) -> None:
    tensors = {k: v.astype(dtype) for k, v in random_tensors(small_config()).items()}
    save_file(tensors, folder / "model.safetensors")
    weights = open_model(str(folder)).open_weights()
    expected = tensors["embeddings.word_embeddings.weight"].astype(np.float32)
    np.testing.assert_array_equal(weights.float32("embeddings.words.weight"), expected)


@pytest.mark.parametrize(("dtype", "name"), [(np.float64, "F64"), (np.int8, "I8")])
def test_weights_of_other_types_are_refused_by_name(folder: Path, dtype: Any, name: str) -> None:
    tensors: dict[str, Any] = dict(random_tensors(small_config()))
    tensors["pooler.dense.weight"] = tensors["pooler.dense.weight"].astype(dtype)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=rf"tensor pooler\.dense\.weight is {name}; float32, f"):
        open_model(str(folder))


def test_numbers_of_positions_are_no_weights(folder: Path) -> None:
    tensors: dict[str, Any] = dict(random_tensors(small_config()))
    tensors["embeddings.position_ids"] = np.arange(24, dtype=np.int64)[None]
    save_file(tensors, folder / "model.safetensors")
    open_model(str(folder))


def test_of_safetensors_and_a_graph_the_first_counts_and_both_are_told(folder: Path) -> None:
    revision = open_model(str(folder)).spec.revision
    (folder / "onnx").mkdir()
    (folder / "onnx/model.onnx").write_bytes(b"graph")
    model = open_model(str(folder))
    assert model.spec.revision == revision
    told = {r.setting: r for r in model.readings}
    assert told["weights"].source == "model.safetensors"
    assert told["graph"].source == "onnx/model.onnx"
    assert "engine onnxruntime alone" in told["graph"].value


def _graphs(folder: Path, *names: str) -> None:
    (folder / "model.safetensors").unlink()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.onnx", "onnx/model.onnx"], "model.onnx"),
        (["onnx/model.onnx", "onnx/model_O2.onnx", "onnx/model_quantized.onnx"], "onnx/model.onnx"),
        (["onnx/model_O2.onnx"], "onnx/model_O2.onnx"),
        (["exported.onnx"], "exported.onnx"),
    ],
    ids=str,
)
def test_model_onnx_counts_or_the_only_graph_there_is(folder: Path, names, chosen) -> None:
    _graphs(folder, *names)
    assert open_model(str(folder)).onnx == folder / chosen


def test_several_graphs_are_refused_until_one_is_named(folder: Path) -> None:
    _graphs(folder, "onnx/model_O2.onnx", "onnx/model_O3.onnx")
    with pytest.raises(ModelError, match=r'2 graphs \(onnx/model_O2.*\{"onnx": "onnx/model_O2'):
        open_model(str(folder))
    write_json(folder / "twopass.json", {"onnx": "onnx/model_O3.onnx"})
    model = open_model(str(folder))
    assert model.onnx == folder / "onnx/model_O3.onnx"
    write_json(folder / "twopass.json", {"onnx": "onnx/model_O2.onnx"})
    assert open_model(str(folder)).spec.revision != model.spec.revision


@pytest.mark.parametrize("name", ["onnx/none.onnx", "../other.onnx"])
def test_a_graph_that_is_not_in_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "other.onnx").write_bytes(b"graph")
    write_json(folder / "twopass.json", {"onnx": name})
    with pytest.raises(ModelError, match=r"twopass\.json: onnx is .*there is no such file"):
        open_model(str(folder))


def test_tensors_beside_a_graph_are_part_of_its_identity(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    weight = onnx.numpy_helper.from_array(np.ones(8, np.float32), "w")
    onnx.external_data_helper.set_external_data(weight, "Constant_7_attr__value")
    weight.ClearField("raw_data")
    output = onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [8])
    graph = onnx.helper.make_graph([], "graph", [], [output], [weight])
    (folder / "model.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    (folder / "Constant_7_attr__value").write_bytes(np.ones(8, np.float32).tobytes())
    revision = open_model(str(folder)).spec.revision
    (folder / "Constant_7_attr__value").write_bytes(np.zeros(8, np.float32).tobytes())
    assert open_model(str(folder)).spec.revision != revision


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "pytorch_model-00001-of-2.bin"])
def test_pickles_are_refused_with_the_line_that_converts_them(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError) as raised:
        open_model(str(folder))
    message = str(raised.value)
    assert f"{name} is a pickle, which can run code" in message
    assert "AutoModelForSequenceClassification as M; M.from_pretrained(" in message
    assert "pickled" not in message


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("model-q4.gguf", "llama.cpp"),
        ("openvino_model.xml", "OpenVINO"),
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
    ],
)
def test_other_formats_are_refused_by_name(folder: Path, name: str, owner: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError, match=f"{name} is {owner}'s.*which is not read"):
        open_model(str(folder))


def test_a_folder_without_weights_says_what_was_looked_for(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"neither model\.safetensors, nor its shards .*index"):
        open_model(str(folder))


def test_an_adapter_is_refused_with_how_to_merge_it(folder: Path) -> None:
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": "org/base"})
    with pytest.raises(ModelError, match=r"an adapter of 'org/base'.*merge_and_unload"):
        open_model(str(folder))


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "fp8"])
def test_a_quantised_export_is_refused_by_name(folder: Path, method: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", config | {"quantization_config": {"quant_method": method}})
    with pytest.raises(ModelError, match=rf"config\.json: quantization_config is of '{method}'"):
        open_model(str(folder))
