"""Models as a configuration asks for them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import EngineUnavailableError, WrongKindError
from twopass.engines.model.folder import open_model
from twopass.engines.model.locating import locate
from twopass.server.config import ServerConfig
from twopass.server.models import restarting
from twopass.server.models.loading import load_models
from twopass.server.models.restarting import RestartingEngine

from ....waiting import wait_until


@pytest.mark.parametrize(("asked", "read"), [(0, 240), (50, 50), (1_000, 1_000)])
def test_how_much_of_a_passage_is_read_is_the_servers_else_the_models(asked, read):
    models = load_models(ServerConfig(threads=1, max_passage_tokens=asked))
    assert [model.spec.id for model in models] == ["all-MiniLM-L6-v2", "twopass-minilm-l3"]
    assert models[1].spec.max_passage_tokens == read
    for model in models:
        model.engine.close()


def test_weights_replaced_on_disk_are_not_served_under_the_old_revision(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(restarting, "_LONGEST_PAUSE_SECONDS", 0.1)
    folder = Path(shutil.copytree(locate("twopass-minilm-l3"), tmp_path / "reranker"))
    settings = json.loads((folder / "twopass.json").read_text())
    del settings["sha256"]  # as most folders are
    (folder / "twopass.json").write_text(json.dumps(settings))
    encoder, reranker = load_models(ServerConfig(threads=1, reranker=str(folder)))
    encoder.engine.close()
    batch = TokenBatch(
        np.array([101, 2129, 102, 2182, 102], np.int32),
        np.array([0, 5], np.int32),
        np.array([3], np.int32),
    )
    before = reranker.engine.submit(batch).result()

    weights, kept = folder / "model.safetensors", tmp_path / "kept"
    weights.rename(kept)
    tensors = load_file(kept)
    save_file({name: tensor * np.float32(1.01) for name, tensor in tensors.items()}, weights)
    engine = reranker.engine
    assert isinstance(engine, RestartingEngine)
    engine.restart()
    found = open_model(str(folder)).spec.revision
    sentence = f"revision {reranker.spec.revision} is served, {found} was loaded"
    wait_until(lambda: sentence in caplog.text)
    with pytest.raises(EngineUnavailableError):
        engine.submit(batch)

    kept.rename(weights)
    wait_until(lambda: engine._engine is not None)
    np.testing.assert_array_equal(engine.submit(batch).result(), before)
    engine.close()


def refusal(**settings: str) -> str:
    with pytest.raises(WrongKindError) as raised:
        load_models(ServerConfig(threads=1, **settings))
    return str(raised.value)


def test_an_encoder_is_refused_as_the_reranker_and_the_reverse():
    told = refusal(reranker="all-MiniLM-L6-v2")
    assert told.startswith("--reranker: all-MiniLM-L6-v2 is an encoder: ")
    assert "(config.json names BertModel)" in told
    assert "name a cross-encoder such as twopass-minilm" in told
    told = refusal(encoder="twopass-minilm-l3")
    assert told.startswith("--encoder: twopass-minilm-l3 is a reranker: it scores pairs")
    assert "name a bi-encoder such as all-MiniLM-L6-v2" in told


def test_a_masked_language_model_is_refused_as_the_reranker(tmp_path):
    folder = Path(shutil.copytree(locate("all-MiniLM-L6-v2"), tmp_path / "masked"))
    (folder / "twopass.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    masked = config | {"architectures": ["BertForMaskedLM"]}
    (folder / "config.json").write_text(json.dumps(masked))
    told = refusal(reranker=str(folder))
    assert told.startswith(f"--reranker: {folder} is an encoder: it makes an embedding of each")
    assert "(config.json names BertForMaskedLM)" in told


def test_a_model_is_loaded_once_however_often_it_is_named(tmp_path):
    folder = Path(shutil.copytree(locate("twopass-minilm-l3"), tmp_path / "reranker"))
    (tmp_path / "link").symlink_to(folder)
    names = (str(tmp_path / "link"), f"{folder}/", "all-MiniLM-L6-v2")
    models = load_models(ServerConfig(threads=1, reranker=str(folder), more_models=names))
    for model in models:
        model.engine.close()
    assert [model.spec.id for model in models] == ["all-MiniLM-L6-v2", str(folder)]
    assert models[1].spec.other_names == names[:2]
