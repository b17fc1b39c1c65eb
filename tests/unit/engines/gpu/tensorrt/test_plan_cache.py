import dataclasses
import json
import logging
import os
import stat

import pytest

from twopass.engines.errors import EngineError
from twopass.engines.gpu.tensorrt.build import Profile
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache, PlanKey, default_plan_folder

KEY = PlanKey(
    weights="ab" * 32,
    graph_version=1,
    tensorrt="tensorrt 11.4",
    gpu="NVIDIA H200, compute capability 9.0",
    profiles=(Profile(32, 8, 16), Profile(64, 4, 8)),
    precision="fp16",
)
OTHERS = {
    "weights": "cd" * 32,
    "graph_version": 2,
    "tensorrt": "tensorrt 11.5",
    "gpu": "NVIDIA L4, compute capability 8.9",
    "profiles": (Profile(32, 8, 16),),
    "precision": "f32",
}


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path / "plans")


def test_a_plan_comes_back_as_it_was_kept(cache):
    assert cache.get(KEY) is None
    file = cache.put(KEY, b"plan")
    assert cache.get(KEY) == b"plan"
    assert PlanCache(cache.folder).get(KEY) == b"plan"
    assert file.parent == cache.folder


@pytest.mark.parametrize("field", OTHERS)
def test_a_plan_for_anything_else_is_another_plan(cache, field):
    cache.put(KEY, b"plan")
    other = dataclasses.replace(KEY, **{field: OTHERS[field]})
    assert other.digest != KEY.digest
    assert cache.get(other) is None


def test_folder_and_files_are_ones_own(cache):
    file = cache.put(KEY, b"plan")
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in cache.folder.iterdir()}
    assert modes == {0o600}
    assert file in cache.folder.iterdir()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o702, 0o701], ids=oct)
def test_a_folder_that_others_can_open_is_refused_with_the_way_out(tmp_path, mode):
    folder = tmp_path / "plans"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(EngineError, match=rf"{folder}: .*mode {mode:04o}, .*mode 0700"):
        PlanCache(folder)


def damaged(file):
    file.write_bytes(b"another")


def without_label(file):
    file.with_suffix(".json").unlink()


def with_a_label_of_something_else(file):
    label = json.loads(file.with_suffix(".json").read_text())
    label["key"]["gpu"] = "another"
    file.with_suffix(".json").write_text(json.dumps(label))


def with_a_label_that_is_none(file):
    file.with_suffix(".json").write_text("[1,")


@pytest.mark.parametrize(
    "spoil", [damaged, without_label, with_a_label_of_something_else, with_a_label_that_is_none]
)
def test_what_is_not_whole_is_refused_with_a_log_line(cache, caplog, spoil):
    file = cache.put(KEY, b"plan")
    spoil(file)
    with caplog.at_level(logging.INFO, "twopass.engines"):
        assert cache.get(KEY) is None
    assert len(caplog.records) == 1
    cache.put(KEY, b"anew")
    assert cache.get(KEY) == b"anew"


def test_a_crash_while_writing_leaves_the_earlier_plan_or_none(cache, monkeypatch):
    cache.put(KEY, b"earlier")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(EngineError, match=r"can't be written \(disk full\)"):
        cache.put(KEY, b"later")
    assert cache.get(KEY) == b"earlier"
    assert not list(cache.folder.glob(".writing-*"))


def test_measured_kernels_are_kept_for_each_tensorrt_and_gpu(cache):
    assert cache.timing_cache("tensorrt 11.4", "L4") == b""
    cache.put_timing_cache("tensorrt 11.4", "L4", b"measured")
    assert cache.timing_cache("tensorrt 11.4", "L4") == b"measured"
    assert cache.timing_cache("tensorrt 11.4", "L40") == b""


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_plan_folder() == tmp_path / "twopass" / "plans"
