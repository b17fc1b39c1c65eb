from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.onnx.bucket_grid import BUCKETS, BucketGrid, Launch

from ..small_models import batch_of


@pytest.mark.parametrize("max_seq_len", [16, 31, 32, 33, 256, 511, 512, 1024, 8192])
def test_buckets_rise_to_the_longest_sequence(max_seq_len):
    buckets = BucketGrid.within(max_seq_len, 16_384).buckets
    assert list(buckets) == sorted(set(buckets))
    assert buckets[-1] == max_seq_len
    assert set(buckets[:-1]) <= set(BUCKETS)


def test_a_bucket_is_at_most_twice_the_one_before_and_half_as_large_again_from_64_tokens_on():
    buckets = BucketGrid.within(8192, 16_384).buckets
    assert all(above <= 2 * below for below, above in pairwise(buckets))
    assert all(above <= 1.5 * below for below, above in pairwise(buckets[1:]))


def test_the_budget_has_room_for_the_longest_sequence_at_least():
    grid = BucketGrid.within(512, 100)
    assert grid.max_batch(512) == 1


@given(st.integers(1, 40_000), st.sampled_from([b for b in BUCKETS if b <= 512]))
def test_steps_rise_to_a_full_batch_and_leave_a_third_surplus_at_most(tokens, seq_len):
    grid = BucketGrid.within(512, tokens)
    steps = grid.steps(seq_len)
    assert list(steps) == sorted(set(steps))
    assert steps[0] == 1
    assert steps[-1] * seq_len <= grid.max_batch_tokens
    sizes = range(1, grid.max_batch(seq_len) + 1)
    assert all(grid.step(seq_len, size) >= size for size in sizes)
    surplus = [1 - size / grid.step(seq_len, size) for size in sizes if size > 4]
    assert max(surplus, default=0) <= 3 / 8  # 5 of 8; one in three from 9 on


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60), st.integers(64, 400))
def test_a_plan_computes_every_sequence_once_within_bucket_and_budget(lengths, tokens):
    grid = BucketGrid((16, 32, 64), tokens)
    batch = batch_of([[5] * length for length in lengths], [1] * len(lengths))
    launches = grid.plan(batch)
    rows = np.concatenate([launch.rows for launch in launches])
    assert sorted(rows) == list(range(len(lengths)))
    for launch in launches:
        longest = max(lengths[row] for row in launch.rows)
        assert launch.seq_len == next(b for b in grid.buckets if b >= longest)
        assert len(launch.rows) <= grid.max_batch(launch.seq_len)


@pytest.mark.parametrize("size", [2, 3, 7, 8])
def test_halves_are_the_whole(size):
    launch = Launch(np.arange(size, dtype=np.int32), 32)
    first, second = launch.halves()
    assert [*first.rows, *second.rows] == [*range(size)]
    assert {first.seq_len, second.seq_len} == {32}
    assert min(len(first.rows), len(second.rows)) >= 1
