"""Which engine a model gets on a machine without a GPU."""

import logging

import pytest

from twopass.engines import loading
from twopass.engines.base.engine import EngineChoice, Precision
from twopass.engines.base.model import LoadedEncoder, LoadedReranker, ModelKind
from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.loading import load_model

from .small_models import batch_of, core_config, core_tensors, random_rows, write_model
from .small_tokenizers import metaspace

ON_CPU = (EngineChoice.AUTO, EngineChoice.CPU, EngineChoice.ONNXRUNTIME)


def write_loadable(folder, *, kind=ModelKind.RERANKER, **changes):
    """A model whose tokenizer can be opened; unchanged, of a shape that the core computes."""
    config = core_config(**changes)
    write_model(folder, config, core_tensors(config), settings={"kind": kind.value})
    metaspace(folder / "tokenizer.json")
    return str(folder)


@pytest.fixture
def supported(tmp_path):
    return write_loadable(tmp_path)


@pytest.fixture
def unsupported(tmp_path):
    """Heads of 16 components."""
    return write_loadable(tmp_path, num_attention_heads=4)


@pytest.fixture
def load():
    """`load_model` on one thread, whose engines are closed in the end."""
    models = []

    def load(name, **options):
        models.append(load_model(name, num_threads=1, **options))
        return models[-1]

    yield load
    for model in models:
        model.engine.close()


def reasons(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if "onnxruntime taken" in r.getMessage()]


def test_auto_takes_the_core_and_int8(load, supported, caplog):
    caplog.set_level(logging.INFO, "twopass.engines")
    info = load(supported).engine.info
    assert (info.engine, info.precision) == ("cpu", "int8")
    assert reasons(caplog) == []


def test_auto_falls_to_onnxruntime_and_logs_why(load, unsupported, caplog):
    caplog.set_level(logging.INFO, "twopass.engines")
    model = load(unsupported)
    assert model.engine.info.engine == "onnxruntime"
    (reason,) = reasons(caplog)
    assert "num_heads: 4 given for a hidden_size of 64" in reason
    assert model.engine.submit(batch_of(random_rows([5]), [2])).result().shape == (1,)


def test_auto_falls_to_onnxruntime_where_the_core_has_no_kernels(
    load, supported, caplog, monkeypatch
):
    monkeypatch.setattr(loading, "has_fast_kernels", lambda: False)
    caplog.set_level(logging.INFO, "twopass.engines")
    assert load(supported).engine.info.engine == "onnxruntime"
    (reason,) = reasons(caplog)
    assert "no kernels for this processor" in reason


def test_the_core_where_it_is_asked_for_is_never_replaced(unsupported):
    with pytest.raises(UnsupportedModelError, match="onnxruntime runs it"):
        load_model(unsupported, num_threads=1, engine=EngineChoice.CPU)


def test_the_core_where_it_is_asked_for_does_without_fast_kernels(load, supported, monkeypatch):
    monkeypatch.setattr(loading, "has_fast_kernels", lambda: False)
    assert load(supported, engine=EngineChoice.CPU).engine.info.engine == "cpu"


@pytest.mark.parametrize("choice", ON_CPU)
def test_damage_is_an_error_on_every_engine(tmp_path, supported, choice):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_model(supported, num_threads=1, engine=choice)


def test_onnxruntime_is_taken_where_it_is_asked_for(load, supported):
    info = load(supported, engine=EngineChoice.ONNXRUNTIME).engine.info
    assert (info.engine, info.precision) == ("onnxruntime", "f32")


@pytest.mark.parametrize("choice", [EngineChoice.AUTO, EngineChoice.CPU])
@pytest.mark.parametrize("precision", Precision)
def test_the_core_computes_in_the_precision_asked_for(load, supported, choice, precision):
    info = load(supported, engine=choice, precision=precision).engine.info
    assert (info.engine, info.precision) == ("cpu", precision.value)


@pytest.mark.parametrize("choice", ON_CPU)
@pytest.mark.parametrize(
    ("kind", "loaded"), [(ModelKind.ENCODER, LoadedEncoder), (ModelKind.RERANKER, LoadedReranker)]
)
def test_a_model_is_loaded_as_what_it_is(load, tmp_path, kind, loaded, choice):
    model = load(write_loadable(tmp_path, kind=kind), engine=choice)
    assert isinstance(model, loaded)
    assert model.spec.kind is kind
