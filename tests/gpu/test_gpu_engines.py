"""Both GPU engines against the golden numbers and against themselves."""

from functools import cache

import numpy as np
import pytest

from twopass.benchmarks.gpu.names import of_paths
from twopass.engines.base.engine import Precision
from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.engines.gpu.launch_paths import LaunchPath
from twopass.engines.gpu.pytorch.engine import TorchEngine
from twopass.engines.gpu.tensorrt.engine import TensorRtEngine
from twopass.engines.model.folder import open_model

pytestmark = pytest.mark.gpu

# float16 through six layers: what the engines promise of a logit.
LOGITS = {"rtol": 0, "atol": 2e-2}
EMBEDDINGS = {"rtol": 0, "atol": 2e-3}
# Other shapes run other kernels, which add up in another order.
BATCH_MATES = {"rtol": 0, "atol": 1e-2}

ENGINES = [TensorRtEngine, TorchEngine]


def names(value):
    return value.__name__


@pytest.mark.parametrize("kind", ENGINES, ids=names)
def test_logits_are_the_golden_ones(open_engine, golden, golden_pairs, kind):
    engine = open_engine(kind, open_model("twopass-minilm-l6"))
    np.testing.assert_allclose(engine.submit(golden_pairs).result(), golden.logits, **LOGITS)
    assert engine.info.precision == "fp16"


@pytest.mark.parametrize("kind", ENGINES, ids=names)
def test_embeddings_are_the_golden_ones(open_engine, golden, golden_texts, kind):
    engine = open_engine(kind, open_model("all-MiniLM-L6-v2"))
    embeddings = engine.submit(golden_texts).result()
    np.testing.assert_allclose(embeddings, golden.embeddings, **EMBEDDINGS)


@pytest.mark.parametrize("kind", ENGINES, ids=names)
def test_a_pair_scores_alike_alone_and_among_others(open_engine, golden_pairs, kind):
    engine = open_engine(kind, open_model("twopass-minilm-l6"))
    together = engine.submit(golden_pairs).result()
    ragged = Ragged(golden_pairs.token_ids, golden_pairs.offsets)
    singles = []
    for row in range(len(golden_pairs)):
        alone = Ragged.from_rows([ragged[row]])
        batch = TokenBatch(
            alone.token_ids, alone.offsets, golden_pairs.query_lengths[row : row + 1]
        )
        singles.append(engine.submit(batch))
    alone = np.concatenate([future.result() for future in singles])
    np.testing.assert_allclose(alone, together, **BATCH_MATES)


@pytest.mark.parametrize("kind", ENGINES, ids=names)
@pytest.mark.parametrize("size", [1, 3, 8, 9, 127, 128, 129, 600])
def test_batches_of_every_size_agree_with_single_pairs(open_engine, golden_pairs, kind, size):
    engine = open_engine(kind, open_model("twopass-minilm-l6"))
    whole = engine.submit(golden_pairs).result()
    rows = np.arange(size) % len(golden_pairs)
    ragged = Ragged(golden_pairs.token_ids, golden_pairs.offsets)
    repeated = Ragged.from_rows([ragged[row] for row in rows])
    batch = TokenBatch(repeated.token_ids, repeated.offsets, golden_pairs.query_lengths[rows])
    np.testing.assert_allclose(engine.submit(batch).result(), whole[rows], **BATCH_MATES)


# Each path and those before it.
LAUNCH_PATHS = [frozenset([*LaunchPath][:count]) for count in range(1, len(LaunchPath) + 1)]


@pytest.fixture(scope="session")
def engine_by(open_engine_once):
    """The engine of a model and a launch path, opened once: capturing takes seconds."""
    return cache(
        lambda name, paths: open_engine_once(TorchEngine, open_model(name), launch_paths=paths)
    )


@pytest.mark.parametrize("paths", LAUNCH_PATHS, ids=of_paths)  # the ledger reads them
@pytest.mark.parametrize("name", ["twopass-minilm-l6", "all-MiniLM-L6-v2"])
@pytest.mark.parametrize("size", [1, 3, 9, 40, 100, 129, 600])
def test_pytorchs_graphs_compute_what_its_launches_do(
    engine_by, caplog, golden_pairs, golden_texts, name, size, paths
):
    given = golden_pairs if name == "twopass-minilm-l6" else golden_texts
    with_graphs, without = engine_by(name, paths), engine_by(name, frozenset())
    assert with_graphs.info.has_graphs
    assert not without.info.has_graphs
    rows = np.arange(size) % len(given)
    ragged = Ragged(given.token_ids, given.offsets)
    repeated = Ragged.from_rows([ragged[row] for row in rows])
    batch = TokenBatch(repeated.token_ids, repeated.offsets, given.query_lengths[rows])
    expected = without.submit(batch).result()
    # Missed, missed, captured, replayed; several under way.
    for future in [with_graphs.submit(batch) for _ in range(20)]:
        np.testing.assert_allclose(future.result(), expected, **BATCH_MATES)
    assert with_graphs.info.has_graphs
    assert "are off for this engine" not in caplog.text  # neither graphs nor fused kernels


def test_a_replayed_graph_computes_what_single_launches_compute(open_engine, golden_pairs):
    folder = open_model("twopass-minilm-l6")
    with_graphs = open_engine(TensorRtEngine, folder, max_batch_tokens=2_048)
    without = open_engine(TensorRtEngine, folder, max_batch_tokens=2_048, use_graphs=False)
    np.testing.assert_array_equal(
        with_graphs.submit(golden_pairs).result(), without.submit(golden_pairs).result()
    )


def test_many_batches_in_flight_do_not_mix_up_their_results(open_engine, golden_pairs):
    engine = open_engine(TensorRtEngine, open_model("twopass-minilm-l6"))
    expected = engine.submit(golden_pairs).result()
    futures = [engine.submit(golden_pairs) for _ in range(200)]
    for future in futures:
        np.testing.assert_array_equal(future.result(), expected)


def test_bfloat16_is_near_enough_to_order_by(open_engine, golden, golden_pairs):
    engine = open_engine(TorchEngine, open_model("twopass-minilm-l6"), precision=Precision.BF16)
    np.testing.assert_allclose(engine.submit(golden_pairs).result(), golden.logits, atol=0.15)
