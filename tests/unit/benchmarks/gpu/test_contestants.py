"""Engines have their turns there and back; one that fails is lost, the others are measured."""

import pytest

from twopass.benchmarks.gpu import contestants as module
from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.contestants import Contestant, Field, contestants
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.variants import AFTER, BEFORE, VARIANTS, environment_of
from twopass.engines.errors import DeviceError, EngineUnavailableError

DRY = Scale.dry()


class Engine:
    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def close(self):
        self.seen.append(f"close {self.name}")


@pytest.fixture
def field(monkeypatch):
    """Makes a field of named engines, and the list of what happens."""
    seen = []

    def make(*known, failing=None, without=()):
        def opened(name):
            if failing and name in failing:
                raise failing[name]
            return Engine(name, seen)

        found = [Contestant(name, lambda name=name: opened(name)) for name in known]
        monkeypatch.setattr(module, "contestants", lambda _: found)
        return Field(DRY, frozenset(without), seen.append), seen

    return make


def test_turns_go_there_and_back_and_each_is_opened_once(field):
    made, _ = field("a", "b", "c")
    order = []
    found = made.in_turns(lambda engine: order.append(engine.name) or len(order), 3)
    assert order == ["a", "b", "c", "c", "b", "a", "a", "b", "c"]
    assert found == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_it_says_whose_turn_it_is_before_it_begins(field):
    made, seen = field("a")
    made.in_turns(lambda engine: seen.append(f"measure {engine.name}"), 1)
    assert seen == ["a, opening", "a", "measure a"]


def test_only_those_wanted_have_a_turn(field):
    made, _ = field("a", "b")
    assert made.in_turns(lambda engine: engine.name, 1, lambda name: name == "b") == {"b": ["b"]}


def test_what_is_missing_is_no_failure_and_is_told(field):
    missing = {"b": EngineUnavailableError("no TensorRT"), "c": ImportError("no transformers")}
    made, _ = field("a", "b", "c", failing=missing)
    assert made.in_turns(lambda engine: engine.name, 2) == {"a": ["a", "a"]}
    assert made.missing == {
        "b": "EngineUnavailableError: no TensorRT",
        "c": "ImportError: no transformers",
    }
    assert made.broken == []


def test_one_that_fails_in_its_turn_is_closed_and_has_no_further_one(field):
    made, seen = field("a", "b")

    def measure(engine):
        if engine.name == "a":
            raise DeviceError("an illegal address")
        return 1

    assert made.in_turns(measure, 2) == {"b": [1, 1]}
    assert made.broken == ["a"]
    assert "close a" in seen
    made.missing.clear()
    assert made.in_turns(lambda _: 2, 1) == {"b": [2]}
    assert made.missing == {"a": "DeviceError: an illegal address"}


def test_those_left_out_are_not_opened(field):
    made, seen = field("a", "b", without=["a"])
    assert made.in_turns(lambda engine: engine.name, 1) == {"b": ["b"]}
    assert "a, opening" not in seen


def test_closing_closes_what_is_open(field):
    made, seen = field("a", "b")
    made.in_turns(lambda _: 1, 1)
    made.close()
    assert seen[-2:] == ["close a", "close b"]


def test_on_a_gpu_every_way_to_launch_is_measured_beside_plain_pytorch_and_the_core():
    found = [each.name for each in contestants(Scale(None, on_gpu=True))]
    assert found[: len(VARIANTS)] == [each.name for each in VARIANTS]
    assert {f"{names.PLAIN}, batches of {n}" for n in (32, 128)} < {*found}
    assert found[-1] == names.CORE
    assert all(names.is_ours(each.name) for each in VARIANTS)
    assert not names.is_ours(names.CORE)


def test_on_a_cpu_no_engine_of_a_gpu_is_measured():
    found = [each.name for each in contestants(DRY)]
    assert found == ["torch f32 on the CPU", f"{names.PLAIN}, batches of 32", names.CORE]


def test_before_is_every_kernel_by_itself_and_after_all_there_is(monkeypatch):
    assert set(BEFORE.environment.values()) == {"0"}
    assert set(AFTER.environment.values()) == {"1"}
    assert AFTER.environment["TWOPASS_CUDA_GRAPHS"] == "1"


def test_variables_are_set_for_the_block_and_no_longer(monkeypatch):
    monkeypatch.setenv("TWOPASS_CUDA_GRAPHS", "1")
    monkeypatch.delenv("TWOPASS_FUSED_KERNELS", raising=False)
    import os

    with environment_of({"TWOPASS_CUDA_GRAPHS": "0", "TWOPASS_FUSED_KERNELS": "1"}):
        assert os.environ["TWOPASS_CUDA_GRAPHS"] == "0"
        assert os.environ["TWOPASS_FUSED_KERNELS"] == "1"
    assert os.environ["TWOPASS_CUDA_GRAPHS"] == "1"
    assert "TWOPASS_FUSED_KERNELS" not in os.environ
