"""The engine of a fixed speed that stands for a machine of its own."""

import time

import numpy as np

from twopass.benchmarks.fleet.slowed import SlowedEngine
from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.base.sequences import Ragged, TokenBatch


def spec(kind: ModelKind) -> ModelSpec:
    return ModelSpec(id="m", kind=kind, revision="0", max_seq_len=64, max_query_tokens=8)


def batch(lengths: list[int]) -> TokenBatch:
    ragged = Ragged.from_rows([[7] * length for length in lengths])
    return TokenBatch(ragged.token_ids, ragged.offsets, np.ones(len(lengths), np.int32))


def test_batches_take_no_less_than_their_tokens_do_one_after_another():
    engine = SlowedEngine(spec(ModelKind.RERANKER), tokens_per_second=10_000)
    began = time.perf_counter()
    for future in [engine.submit(batch([50, 50])) for _ in range(5)]:
        future.result()
    assert time.perf_counter() - began >= 5 * 100 / 10_000 * 0.99
    engine.close()


def test_what_it_computes_depends_on_the_sequence_alone():
    engine = SlowedEngine(spec(ModelKind.RERANKER), tokens_per_second=1e9)
    together = engine.submit(batch([3, 4, 5])).result()
    alone = [engine.submit(batch([length])).result()[0] for length in (3, 4, 5)]
    np.testing.assert_array_equal(together, np.array(alone, np.float32))
    engine.close()


def test_an_encoders_place_is_taken_by_embeddings_of_norm_one():
    engine = SlowedEngine(spec(ModelKind.ENCODER), tokens_per_second=1e9)
    vectors = engine.submit(batch([3, 4])).result()
    assert vectors.shape == (2, engine.output_width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    engine.close()
