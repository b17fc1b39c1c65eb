from concurrent.futures import Future

import numpy as np
import pytest

from twopass.benchmarks.gpu.made_pairs import mixed_lengths, pairs_of
from twopass.benchmarks.gpu.speed import (
    computed_per_second,
    latency,
    padding_share,
    pairs_per_second,
    products_of,
)
from twopass.engines.base.engine import EngineInfo, PackedLayout, PaddedLayout
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import open_model


class Instant:
    """An engine that answers at once, and counts what it holds at a time."""

    def __init__(self, layout):
        self.info = EngineInfo("test", "f32", "none", 512, layout, 1_024, max_in_flight=2)
        self.sizes = []

    def submit(self, batch):
        self.sizes.append(len(batch))
        future = Future()
        future.set_result(np.zeros(len(batch), np.float32))
        return future


def test_pairs_have_the_lengths_asked_for_and_ids_of_words():
    batch = pairs_of([5, 512, 40])
    assert [*batch.lengths] == [5, 512, 40]
    assert [*batch.query_lengths] == [5, 12, 12]
    assert batch.token_ids.min() >= 2_000
    assert batch.token_ids.max() < 30_522


def test_mixed_lengths_are_those_of_web_passages():
    lengths = mixed_lengths(10_000, 256)
    assert lengths.dtype == np.int32
    assert (lengths.min(), lengths.max()) == (16, 256)
    assert 60 < np.median(lengths) < 80
    np.testing.assert_array_equal(lengths, mixed_lengths(10_000, 256))


def test_throughput_counts_the_pairs_that_were_answered():
    engine = Instant(PackedLayout())
    speed = pairs_per_second(engine, pairs_of([8] * 10), 0.05)
    assert speed > 0
    assert set(engine.sizes) == {10}
    assert computed_per_second(lambda _: None, pairs_of([8]), 0.01) > 0


def test_latency_asks_as_often_as_told_after_a_warm_up():
    asked = []
    found = latency(asked.append, pairs_of([8]), 40)
    assert len(asked) == 41
    assert len(found) == 40
    assert found == sorted(found)


def test_latency_ends_with_its_time_once_there_are_two_requests():
    assert len(latency(lambda _: None, pairs_of([8]), 1_000, 0.0)) == 2


def test_padding_counts_buckets_and_surplus_rows():
    engine = Instant(PaddedLayout((32, 64)))
    # Nine rows of 32 in a step of 12, of 24 real tokens each; one row of 64, full.
    batch = pairs_of([24] * 9 + [64])
    assert padding_share(engine, batch) == pytest.approx(1 - (9 * 24 + 64) / (12 * 32 + 64))
    assert padding_share(Instant(PackedLayout()), batch) == 0


def test_products_are_those_of_the_architecture():
    architecture = read_architecture(open_model("twopass-minilm-l6").config)
    one = products_of(architecture, pairs_of([128]))
    # 6 layers of 12 * 384^2 weights, 2 operations each a token; scores and contexts beside.
    assert one == 6 * (128 * 2 * 12 * 384**2 + 4 * 384 * 128**2)
    assert products_of(architecture, pairs_of([128] * 3)) == 3 * one
