"""A shape with random weights is a model like any other, and the same one for the same seed."""

import numpy as np
import pytest

from twopass.benchmarks.engines.adapters.base import Source
from twopass.benchmarks.engines.adapters.peer_graph import feeds, is_bert_shaped, own_graph
from twopass.benchmarks.engines.shapes import SHAPES, ModernBertShape, open_named, write_reranker
from twopass.engines.base.engine import Precision
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.engines.cpu.engine import CpuEngine
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import open_model

SMALL = ModernBertShape(
    num_layers=4, hidden_size=64, num_heads=2, intermediate_size=96, vocab_size=30_522
)


def opened(folder, seed=1):
    write_reranker(folder, SMALL, seed)
    return open_model(str(folder))


@pytest.fixture
def pairs() -> TokenBatch:
    generator = np.random.default_rng(0)
    ids = Ragged.from_rows(
        [generator.integers(1000, 30_000, n).astype(np.int32) for n in (9, 200, 31)]
    )
    return TokenBatch(ids.token_ids, ids.offsets, np.array([4, 12, 5], np.int32))


def test_the_seed_decides_the_revision(tmp_path):
    one, again, other = (opened(tmp_path / str(n), seed) for n, seed in enumerate((1, 1, 2)))
    assert one.spec.kind is ModelKind.RERANKER
    assert one.spec.revision == again.spec.revision
    assert one.spec.revision != other.spec.revision


def test_modernbert_base_has_its_published_sizes_and_layers(tmp_path):
    # The sizes of the published configuration, of which one layer is enough to be read.
    shape = SHAPES["modernbert-base"]
    assert (shape.num_layers, shape.hidden_size, shape.num_heads) == (22, 768, 12)
    assert (shape.intermediate_size, shape.vocab_size) == (1152, 50_368)
    layers = read_architecture(opened(tmp_path / "small").config).layers
    assert [layer.window for layer in layers] == [None, 64, 64, None]


def test_any_other_name_is_a_model_as_everywhere(tmp_path):
    assert open_named("twopass-minilm-l6", tmp_path, 1).spec.id == "twopass-minilm-l6"
    assert not list(tmp_path.iterdir())


def test_the_graph_that_peers_get_computes_what_our_engine_does(tmp_path, pairs):
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = opened(tmp_path / "small")
    assert not is_bert_shaped(folder)
    graph = own_graph(Source(folder, Precision.F32, tmp_path, ()))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == list(feeds(folder, pairs))
    (logits,) = session.run(None, feeds(folder, pairs))
    engine = CpuEngine(folder, precision=Precision.F32, num_threads=1)
    try:
        np.testing.assert_allclose(logits, engine.submit(pairs).result(), atol=1e-4)
    finally:
        engine.close()


def test_a_model_of_berts_shape_is_fed_as_exporters_name_inputs(pairs):
    folder = open_model("twopass-minilm-l6")
    assert is_bert_shaped(folder)
    assert list(feeds(folder, pairs)) == ["input_ids", "attention_mask", "token_type_ids"]
