import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import EngineError, ModelError
from twopass.engines.loading import load_model
from twopass.engines.model.calibration import Calibration
from twopass.engines.model.folder import open_model
from twopass.engines.model.locating import locate, shipped_models
from twopass.engines.model.pooling import EmbeddingHead, Pooling

from ..small_models import random_tensors, small_config, write_json, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound reranker's folder, without `twopass.json`."""
    config = small_config()
    return write_model(tmp_path / "small", config, random_tensors(config))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_encoder_and_two_rerankers_are_shipped_and_sound():
    assert list(shipped_models()) == ["all-MiniLM-L6-v2", "twopass-minilm-l3", "twopass-minilm-l6"]
    encoder, small, reranker = (open_model(name) for name in shipped_models())
    assert small.spec.kind is ModelKind.RERANKER
    assert (small.config["num_hidden_layers"], reranker.config["num_hidden_layers"]) == (3, 6)
    assert (small.spec.max_passage_tokens, small.spec.blend) == (240, 0.7)
    assert (encoder.spec.kind, reranker.spec.kind) == (ModelKind.ENCODER, ModelKind.RERANKER)
    assert encoder.spec.id == "all-MiniLM-L6-v2"
    assert (encoder.spec.max_seq_len, reranker.spec.max_seq_len) == (256, 512)
    assert (encoder.spec.max_passage_tokens, reranker.spec.max_passage_tokens) == (None, 240)
    assert reranker.spec.blend == 0.4
    (weights,) = encoder.weight_files
    assert encoder.spec.weights_sha256 == sha256(weights)


def test_a_folder_is_named_by_its_path(folder):
    model = open_model(str(folder))
    assert model.spec.id == str(folder)
    assert model.spec.weights_sha256 == sha256(folder / "model.safetensors")
    assert model.tokenizer == folder / "tokenizer.json"
    assert model.onnx is None


def test_settings_say_what_the_other_files_do_not(folder):
    settings = {
        "kind": "encoder",
        "pooling": "cls",
        "max_seq_len": 20,
        "max_passage_tokens": 12,
        "query_prefix": "query: ",
        "passage_prefix": "passage: ",
        "calibration": {"a": 2.0, "b": -1.0},
        "blend": 0.25,
    }
    write_json(folder / "twopass.json", settings)
    model = open_model(str(folder))
    assert model.head == EmbeddingHead((Pooling.CLS,))
    assert model.spec.kind is ModelKind.ENCODER
    assert (model.spec.max_seq_len, model.spec.max_passage_tokens) == (20, 12)
    assert (model.spec.query_prefix, model.spec.passage_prefix) == ("query: ", "passage: ")
    assert model.spec.calibration == Calibration(2.0, -1.0)
    assert model.spec.blend == 0.25


@pytest.mark.parametrize(
    ("max_positions", "max_query_tokens"),
    [(24, 12), (512, 256), (8_192, 256)],
)
def test_a_rerankers_query_leaves_the_passage_half_of_the_sequence(
    tmp_path, max_positions, max_query_tokens
):
    config = small_config(max_position_embeddings=max_positions)
    write_model(tmp_path, config, random_tensors(config))
    assert open_model(str(tmp_path)).spec.max_query_tokens == max_query_tokens


@pytest.mark.parametrize("mode", ["cls", "mean"])
def test_layout_of_sentence_transformers_says_pooling_and_length(tmp_path, mode):
    config = small_config(architectures=["BertModel"])
    write_model(tmp_path, config, random_tensors(config))
    modes = {"pooling_mode_cls_token": mode == "cls", "pooling_mode_mean_tokens": mode == "mean"}
    write_json(tmp_path / "1_Pooling" / "config.json", {"word_embedding_dimension": 8} | modes)
    write_json(tmp_path / "sentence_bert_config.json", {"max_seq_length": 16})
    model = open_model(str(tmp_path))
    assert model.spec.kind is ModelKind.ENCODER
    assert model.head == EmbeddingHead((Pooling(mode),))
    assert model.spec.max_seq_len == 16


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta"])
def test_positions_before_the_first_token_do_not_count_as_length(tmp_path, model_type):
    config = small_config(model_type)
    write_model(tmp_path, config, random_tensors(config))
    assert open_model(str(tmp_path)).spec.max_seq_len == config["max_position_embeddings"] - 2


@pytest.mark.parametrize("name", ["model.onnx", "onnx/model.onnx"])
def test_an_exported_graph_is_found_and_is_the_weights(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"graph")
    model = open_model(str(folder))
    assert model.weight_files == ()
    assert model.onnx == folder / name
    assert model.spec.weights_sha256 == hashlib.sha256(b"graph").hexdigest()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_damaged_file_is_named_with_both_digests_and_the_remedy(folder, name):
    expected = sha256(folder / name)
    write_json(folder / "twopass.json", {"sha256": {name: expected}})
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content + b" ")
    with pytest.raises(ModelError) as raised:
        open_model(str(folder))
    message = str(raised.value)
    assert message.startswith(f"{folder / name}: sha256 is {sha256(folder / name)}")
    assert expected in message
    assert "install the model again" in message


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named_with_what_a_folder_holds(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: missing; a model folder holds"):
        open_model(str(folder))


def test_a_listed_file_that_is_missing_is_named(folder):
    write_json(folder / "twopass.json", {"sha256": {"vocab.txt": "00"}})
    with pytest.raises(ModelError, match=r"vocab\.txt: missing"):
        open_model(str(folder))


@pytest.mark.parametrize("name", ["config.json", "twopass.json"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"{", "not valid JSON"), (b"\xff", "not valid JSON"), (b"[1]", "holds a list")],
    ids=["cut short", "no UTF-8", "no object"],
)
def test_broken_json_is_named(folder, name, content, problem):
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}: {problem}"):
        open_model(str(folder))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kind": "classifier"}, "classifier"),
        ({"pooling": "median"}, "median"),
        ({"pooling": []}, "pooling: \\[\\] given, one of cls, mean, max"),
        ({"calibration": {"slope": 1}}, "slope"),
        ({"query_prefix": 1}, "query_prefix: 1 given, a text"),
        ({"max_sequence": 1}, "max_sequence is no setting; known are answer_threshold, blend"),
        ({"relevant_label": [1]}, "relevant_label: "),
        ({"sha256": ["x"]}, "sha256: "),
        ({"max_seq_len": "long"}, "max_seq_len: 'long' given"),
        ({"max_passage_tokens": 0}, "max_passage_tokens: 0 given, a whole number of at least 1"),
        ({"max_passage_tokens": 2.5}, "max_passage_tokens: 2.5 given"),
        ({"blend": 1.5}, "blend: 1.5 given, a number from 0 to 1"),
        ({"blend": None}, "blend: None given"),
    ],
    ids=str,
)
def test_a_setting_that_has_no_meaning_is_named_with_its_file(folder, settings, named):
    write_json(folder / "twopass.json", settings)
    with pytest.raises(ModelError, match=rf"twopass\.json: .*{named}"):
        open_model(str(folder))


def test_a_name_that_nothing_has_is_answered_with_those_there_are():
    with pytest.raises(ModelError, match=r"'no-such-model': no folder of that name.*all-MiniLM"):
        locate("no-such-model")


def test_a_hub_id_without_the_hubs_client_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # as where it is not installed
    with pytest.raises(ModelError, match=r"'org/model'.*install 'huggingface_hub>="):
        locate("org/model")


def test_a_hub_that_can_not_be_reached_leaves_a_remedy(monkeypatch, tmp_path):
    constants = pytest.importorskip(
        "huggingface_hub.constants", reason="huggingface_hub is not installed"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"'org/model'.*give its path"):
        locate("org/model")


def test_a_local_folder_wins_over_a_hub_id(folder, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    assert locate(f"{folder.parent.name}/small") == Path(f"{folder.parent.name}/small")


def test_loading_joins_folder_tokenizer_and_engine(tmp_path):
    shutil.copytree(shipped_models()["twopass-minilm-l6"], tmp_path / "copy")
    model = load_model(str(tmp_path / "copy"), num_threads=1)
    try:
        assert model.spec.id == str(tmp_path / "copy")
        assert model.engine.info.max_seq_len == 512
        assert model.tokenizer.template.num_pair_tokens == 3
    finally:
        model.engine.close()


def test_loading_a_folder_of_rubbish_raises_an_engine_error_that_names_it(folder):
    with pytest.raises(EngineError, match=str(folder)):
        load_model(str(folder), num_threads=1)  # its tokenizer.json is {}


def test_digests_of_the_shipped_models_cover_all_that_is_loaded():
    for folder in shipped_models().values():
        settings = json.loads((folder / "twopass.json").read_text(encoding="utf-8"))
        assert settings["sha256"].keys() == {"config.json", "model.safetensors", "tokenizer.json"}


def test_what_orders_passages_is_told_with_the_file_it_comes_from():
    told = {r.setting: (r.value, r.source) for r in open_model("twopass-minilm-l3").readings}
    assert told["max_passage_tokens"] == ("240", "twopass.json")
    assert told["calibration"][0].startswith("score = sigmoid(")
    assert told["blend"][1] == "twopass.json"
