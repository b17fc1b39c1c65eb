"""A GPU that TensorRT does not run on: one sentence, before anything is built, and once."""

from enum import Enum
from types import SimpleNamespace

import pytest

from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.device_kind import DeviceKind
from twopass.engines.gpu.tensorrt import engine as engine_module
from twopass.engines.gpu.tensorrt import support as support_module
from twopass.engines.gpu.tensorrt.api import TensorRT
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache
from twopass.engines.gpu.tensorrt.support import ensure_runs, refused, supported_capabilities
from twopass.engines.model.folder import open_model

# As TensorRT-RTX 1.7.1 lists them.
NAMED = ("NONE", "CURRENT", "SM75", "SM80", "SM86", "SM89", "SM120", "SM121")
H200 = DeviceKind("NVIDIA H200", (9, 0))


def rtx(names=NAMED):
    listed = Enum("ComputeCapability", names) if names else None
    return TensorRT("tensorrt_rtx", "1.7.1", SimpleNamespace(ComputeCapability=listed))


FULL = TensorRT("tensorrt", "11.4", SimpleNamespace())


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(support_module, "_refused", {})


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path / "plans")


def test_what_is_named_is_read_as_compute_capabilities():
    assert supported_capabilities(rtx()) == ((7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1))
    assert supported_capabilities(FULL) == ()


def test_a_gpu_between_those_that_are_named_is_refused_in_one_sentence(cache):
    with pytest.raises(EngineUnavailableError) as refusal:
        ensure_runs(rtx(), H200, cache)
    assert str(refusal.value) == (
        "tensorrt_rtx 1.7.1 does not run on NVIDIA H200, compute capability 9.0: "
        "it names 7.5, 8.0, 8.6, 8.9, 12.0, 12.1"
    )


@pytest.mark.parametrize("capability", [(8, 9), (12, 1), (13, 0)], ids=str)
def test_gpus_that_are_named_or_newer_than_all_are_let_through(cache, capability):
    ensure_runs(rtx(), DeviceKind("a GPU", capability), cache)


def test_a_tensorrt_that_names_none_is_asked_by_building(cache):
    ensure_runs(FULL, H200, cache)
    ensure_runs(rtx(None), H200, cache)


def test_a_refusal_is_remembered_by_later_engines_of_the_process(cache, tmp_path):
    error = refused(FULL, str(H200), "the driver is too old", cache)
    with pytest.raises(EngineUnavailableError) as again:
        ensure_runs(FULL, H200, PlanCache(tmp_path / "another"))
    assert str(again.value) == str(error)


def test_a_refusal_for_what_the_gpu_is_outlives_the_process(cache, monkeypatch):
    refused(FULL, str(H200), "this compute capability is not supported", cache)
    monkeypatch.setattr(support_module, "_refused", {})
    with pytest.raises(EngineUnavailableError, match=r"not supported \(remembered in .*delete it"):
        ensure_runs(FULL, H200, PlanCache(cache.folder))
    other = TensorRT("tensorrt", "11.5", SimpleNamespace())
    ensure_runs(other, H200, cache)


def test_a_refusal_for_anything_else_ends_with_the_process(cache, monkeypatch):
    refused(FULL, str(H200), "the driver is too old", cache)
    monkeypatch.setattr(support_module, "_refused", {})
    ensure_runs(FULL, H200, cache)


def test_an_engine_on_such_a_gpu_builds_no_plan_and_needs_no_pycuda(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engine_module, "require_driver", lambda: None)
    monkeypatch.setattr(engine_module, "find_tensorrt", rtx)
    monkeypatch.setattr(engine_module, "device_kind", lambda _: H200)
    monkeypatch.setattr(engine_module, "opened_device", lambda _: pytest.fail("asked pycuda"))
    monkeypatch.setattr(engine_module, "build_into", lambda *_: pytest.fail("built a plan"))
    for _ in range(2):
        with pytest.raises(EngineUnavailableError, match="does not run on NVIDIA H200"):
            engine_module.TensorRtEngine(open_model("twopass-minilm-l6"))


def test_a_plan_that_was_built_and_does_not_open_is_built_once(monkeypatch, tmp_path):
    class Runtime:
        def __init__(self, logger):
            self.logger = logger

        def deserialize_cuda_engine(self, plan):
            self.logger.log(SimpleNamespace(), f"no such compute capability for {plan}")

    class Logger:
        class Severity:
            ERROR = INTERNAL_ERROR = None

    built = []

    def build_into(cache, request):
        built.append(request)
        return SimpleNamespace(data=b"plan"), None

    module = SimpleNamespace(Runtime=Runtime, ILogger=Logger)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engine_module, "require_driver", lambda: None)
    monkeypatch.setattr(
        engine_module, "find_tensorrt", lambda: TensorRT("tensorrt", "11.4", module)
    )
    monkeypatch.setattr(engine_module, "device_kind", lambda _: H200)
    monkeypatch.setattr(engine_module, "build_into", build_into)
    monkeypatch.setattr(engine_module, "opened_device", lambda _: _NoDevice())
    for _ in range(2):
        with pytest.raises(EngineUnavailableError, match=r"tensorrt 11\.4 does not run on"):
            engine_module.TensorRtEngine(open_model("twopass-minilm-l6"))
    assert len(built) == 1


class _NoDevice:
    def __enter__(self):
        return self

    def __exit__(self, *raised):
        pass
