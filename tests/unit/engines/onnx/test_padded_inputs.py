import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.onnx.bucket_grid import BucketGrid
from twopass.engines.onnx.padded_inputs import PaddedInputs

from ..small_models import batch_of, random_rows

GRID = BucketGrid((8, 16, 24), 96)
PAD_ID = 1


@given(st.lists(st.lists(st.integers(1, 24), min_size=1, max_size=12), min_size=1, max_size=5))
def test_every_row_is_its_sequence_then_padding_whatever_was_there_before(batches):
    inputs = PaddedInputs(GRID, PAD_ID)
    for lengths in batches:
        rows = random_rows(lengths)
        batch = batch_of(rows, [max(1, n // 2) for n in lengths])
        for launch in GRID.plan(batch):
            inputs.pack(batch, launch)
            count, seq_len = len(launch.rows), launch.seq_len
            packed = inputs.input_ids[: count * seq_len].reshape(count, seq_len)
            for written, row in zip(packed, launch.rows, strict=True):
                ids = rows[row]
                assert [*written] == [*ids, *[PAD_ID] * (seq_len - len(ids))]
            assert [*inputs.lengths[:count]] == [lengths[row] for row in launch.rows]
            assert [*inputs.query_lengths[:count]] == [
                max(1, lengths[row] // 2) for row in launch.rows
            ]


@given(st.lists(st.lists(st.integers(1, 24), min_size=1, max_size=12), max_size=5))
def test_surplus_rows_always_hold_what_a_model_can_compute(batches):
    inputs = PaddedInputs(GRID, PAD_ID)
    for lengths in batches:
        batch = batch_of(random_rows(lengths), [1] * len(lengths))
        for launch in GRID.plan(batch):
            inputs.pack(batch, launch)
        assert inputs.lengths.min() >= 1
        assert inputs.input_ids.min() >= 0
        assert inputs.input_ids.max() < 40


def test_buffers_come_from_the_allocator_given():
    sizes = []

    def allocate(size, dtype):
        sizes.append((size, np.dtype(dtype)))
        return np.empty(size, dtype)

    PaddedInputs(GRID, PAD_ID, allocate)
    assert sizes == [(96, np.int32), (12, np.int32), (12, np.int32)]
