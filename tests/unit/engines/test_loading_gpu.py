"""Where GPU engines stand in the choice of one, on a machine without a driver."""

import ctypes
import logging

import pytest

from twopass.engines import loading
from twopass.engines.base.engine import EngineChoice
from twopass.engines.base.model import LoadedEncoder, LoadedReranker
from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.device_kind import DeviceKind
from twopass.engines.loading import load_model


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(loading, "_told", set())


@pytest.fixture(autouse=True)
def no_driver(monkeypatch):
    def refuse(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)


@pytest.fixture
def load(caplog):
    models = []

    def load(engine, name="twopass-minilm-l6"):
        with caplog.at_level(logging.INFO, "twopass.engines"):
            models.append(load_model(name, num_threads=1, engine=engine))
        return models[-1]

    yield load
    for model in models:
        model.engine.close()


def taken(caplog):
    return [r.getMessage() for r in caplog.records if " taken: " in r.getMessage()]


@pytest.mark.parametrize("engine", [EngineChoice.TENSORRT, EngineChoice.TORCH])
def test_a_gpu_engine_without_a_gpu_says_in_one_sentence_what_is_missing(load, engine):
    with pytest.raises(EngineUnavailableError, match=r"^no NVIDIA driver on this machine: libcuda"):
        load(engine)


def test_auto_says_in_one_line_what_it_took_and_why_nothing_faster(load, caplog, monkeypatch):
    monkeypatch.setattr(loading, "has_fast_kernels", lambda: True)
    assert load(EngineChoice.AUTO).engine.info.engine == "cpu"
    (line,) = taken(caplog)
    missing = "(no NVIDIA driver on this machine: libcuda.so.1 is not there)"
    assert line == f"engine cpu taken: not tensorrt {missing}; not torch {missing}"


def test_auto_takes_onnxruntime_where_the_core_would_be_slow(load, caplog, monkeypatch):
    monkeypatch.setattr(loading, "has_fast_kernels", lambda: False)
    assert load(EngineChoice.AUTO).engine.info.engine == "onnxruntime"
    (line,) = taken(caplog)
    assert line.startswith("engine onnxruntime taken: not tensorrt (")
    assert line.endswith("; not cpu (the core has no kernels for this processor)")


@pytest.fixture
def standing(monkeypatch, reranker):
    """Has an engine of GPUs stand there, which passes batches on to the core."""

    class Standing:
        info = reranker.engine.info
        output_width = 1

        def submit(self, batch):
            return reranker.engine.submit(batch)

        def close(self):
            pass

    def stand(choice, capability):
        name = "TensorRtEngine" if choice is EngineChoice.TENSORRT else "TorchEngine"
        monkeypatch.setattr(loading, name, lambda *_, **__: Standing())
        gpu = DeviceKind("NVIDIA X", capability)
        monkeypatch.setattr(loading, "device_kind", lambda _: gpu)
        return Standing

    return stand


def test_auto_takes_the_engine_that_the_ledger_shows_faster_on_that_kind_of_gpu(
    load, caplog, standing
):
    expected = standing(EngineChoice.TORCH, (9, 0))
    assert isinstance(load(EngineChoice.AUTO).engine, expected)
    assert taken(caplog) == ["engine torch taken: it is the fastest there is"]


def test_auto_keeps_to_the_core_where_nothing_is_shown_and_names_the_flag(
    load, caplog, monkeypatch, standing
):
    monkeypatch.setattr(loading, "has_fast_kernels", lambda: True)
    standing(EngineChoice.TORCH, (8, 9))
    assert load(EngineChoice.AUTO).engine.info.engine == "cpu"
    (line,) = taken(caplog)
    unseen = (
        "(no ledger shows it faster on NVIDIA X, compute capability 8.9; --engine {0} takes it)"
    )
    assert line == "engine cpu taken: " + "; ".join(
        f"not {name} {unseen.format(name)}" for name in ("tensorrt", "torch")
    )


def test_auto_takes_an_unseen_gpu_where_the_core_would_be_slow(load, caplog, monkeypatch, standing):
    monkeypatch.setattr(loading, "has_fast_kernels", lambda: False)
    expected = standing(EngineChoice.TENSORRT, (8, 9))
    assert isinstance(load(EngineChoice.AUTO).engine, expected)
    (line,) = taken(caplog)
    assert line.startswith("engine tensorrt taken: not cpu (")


def test_a_choice_is_told_once_however_many_models_make_it(load, caplog):
    load(EngineChoice.AUTO)
    load(EngineChoice.AUTO)
    assert len(taken(caplog)) == 1


@pytest.mark.parametrize("engine", [EngineChoice.CPU, EngineChoice.ONNXRUNTIME])
def test_an_engine_that_is_asked_for_is_taken_without_a_word(load, caplog, engine):
    assert load(engine).engine.info.engine == engine
    assert not taken(caplog)


def test_an_encoder_is_loaded_as_one(load):
    assert isinstance(load(EngineChoice.CPU, "all-MiniLM-L6-v2"), LoadedEncoder)
    assert isinstance(load(EngineChoice.CPU), LoadedReranker)
