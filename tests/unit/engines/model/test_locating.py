"""What is fetched from a hub: what is read, of one revision, and never a pickle."""

import sys
import types
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from twopass.engines.errors import ModelError
from twopass.engines.model.locating import locate

_SETTINGS = ["config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json"]


class _Hub:
    """Stands in for huggingface_hub; keeps what was asked for."""

    def __init__(self, names: list[str], folder: Path) -> None:
        self.names, self.folder = names, folder
        self.revisions: list[str | None] = []
        self.fetched: list[str] = []
        self.reachable, self.cached = True, False

    def list_repo_files(self, hub_id: str, revision: str | None = None) -> list[str]:
        if not self.reachable:
            raise ConnectionError("no route")
        self.revisions.append(revision)
        return self.names

    def snapshot_download(self, hub_id: str, **options: Any) -> str:
        if options.get("local_files_only"):
            if not self.cached:
                raise FileNotFoundError("not cached")
            return str(self.folder)
        self.revisions.append(options["revision"])
        patterns = options["allow_patterns"]
        self.fetched = [name for name in self.names if any(fnmatch(name, p) for p in patterns)]
        return str(self.folder)


@pytest.fixture
def hub_of(monkeypatch, tmp_path: Path):
    def make(names: list[str]) -> _Hub:
        hub = _Hub(names, tmp_path)
        module = types.ModuleType("huggingface_hub")
        module.HfApi = lambda: hub  # type: ignore[attr-defined]
        module.snapshot_download = hub.snapshot_download  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "huggingface_hub", module)
        return hub

    return make


@pytest.mark.parametrize(
    ("offered", "fetched"),
    [
        (
            ["model.safetensors", "pytorch_model.bin", "onnx/model.onnx", "onnx/model_O4.onnx"],
            ["model.safetensors"],
        ),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "x.gguf"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (
            ["model.safetensors", "2_Dense/config.json", "2_Dense/model.safetensors", "a/b.bin"],
            ["model.safetensors", "2_Dense/config.json", "2_Dense/model.safetensors"],
        ),
        (
            [
                "pytorch_model.bin",
                "onnx/model.onnx",
                "onnx/model.onnx_data",
                "onnx/Constant_7_attr__value",
                "onnx/model_fp16.onnx",
            ],
            ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/Constant_7_attr__value"],
        ),
        (["0_Transformer/model.safetensors"], ["0_Transformer/model.safetensors"]),
    ],
    ids=["safetensors", "shards", "modules", "a graph alone", "a transformer's folder"],
)
def test_only_what_is_read_is_fetched(hub_of, offered: list[str], fetched: list[str]) -> None:
    hub = hub_of([*_SETTINGS, "README.md", *offered])
    assert locate("org/model") == hub.folder
    assert sorted(hub.fetched) == sorted([*_SETTINGS, *fetched])


def test_a_revision_stands_after_the_name(hub_of) -> None:
    hub = hub_of([*_SETTINGS, "model.safetensors"])
    locate("org/model@v1.5")
    assert hub.revisions == ["v1.5", "v1.5"]
    locate("org/model")
    assert hub.revisions[2:] == [None, None]


def test_a_model_of_pickles_alone_is_not_fetched(hub_of) -> None:
    hub = hub_of([*_SETTINGS, "pytorch_model.bin"])
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is a pickle.*never read"):
        locate("org/model")
    assert hub.fetched == []


def test_without_the_hub_its_cache_is_read(hub_of) -> None:
    hub = hub_of([])
    hub.reachable, hub.cached = False, True
    assert locate("org/model") == hub.folder


def test_without_both_the_revision_and_the_way_out_are_told(hub_of) -> None:
    hub_of([]).reachable = False
    with pytest.raises(ModelError, match=r"'org/model' at revision 'v1'.*no route.*give its path"):
        locate("org/model@v1")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="a file; give the folder it lies in"):
        locate(str(tmp_path / "model.safetensors"))
