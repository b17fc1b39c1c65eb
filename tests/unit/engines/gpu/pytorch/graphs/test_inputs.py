"""The block that a graph reads: a batch in front, padding that touches nobody behind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.gpu.pytorch.graphs.inputs import InputBlock
from twopass.engines.gpu.pytorch.graphs.keys import GraphKey, GraphSteps

from ....small_models import batch_of, random_rows

STEPS = GraphSteps.for_attention(1_024, 64, is_packed=True)


def filled(key, batch, rows):
    block = np.full(InputBlock.largest(STEPS.max_tokens, STEPS.max_sequences), 99, np.int32)
    InputBlock(key).fill(block, batch, np.array(rows, np.int32))
    return block


@given(data=st.data(), lengths=st.lists(st.integers(1, 64), min_size=1, max_size=14))
def test_rows_stand_in_front_and_padding_in_sequences_of_its_own(data, lengths):
    batch = batch_of(random_rows(lengths), [max(1, n // 2) for n in lengths])
    rows = data.draw(st.permutations(range(len(lengths))))
    rows = rows[: data.draw(st.integers(1, len(rows)))]
    chosen = [lengths[row] for row in rows]
    key = STEPS.key(sum(chosen), len(rows), max(chosen))
    layout, block = InputBlock(key), filled(key, batch, rows)
    offsets, ids = block[layout.offsets], block[layout.token_ids]
    for place, row in enumerate(rows):
        expected = batch.token_ids[batch.offsets[row] : batch.offsets[row + 1]]
        np.testing.assert_array_equal(ids[offsets[place] : offsets[place + 1]], expected)
    np.testing.assert_array_equal(
        block[layout.query_lengths],
        [*batch.query_lengths[rows], *[0] * (key.sequences - len(rows))],
    )
    assert offsets[0] == 0
    assert offsets[-1] == key.tokens == len(ids)
    assert 0 <= np.diff(offsets).min() <= np.diff(offsets).max() <= key.longest
    assert not ids[sum(chosen) :].any()


@given(tokens=st.integers(1, 300), sequences=st.integers(1, 200))
def test_parts_do_not_overlap_and_begin_where_memory_does(tokens, sequences):
    layout = InputBlock(GraphKey(tokens, sequences, 64))
    parts = (layout.offsets, layout.query_lengths, layout.token_ids)
    assert [part.stop - part.start for part in parts] == [sequences + 1, sequences, tokens]
    assert all(part.start % 64 == 0 for part in parts)
    assert parts[0].stop <= parts[1].start
    assert parts[1].stop <= parts[2].start
    assert parts[2].stop == layout.size


@pytest.mark.parametrize("lengths", [[64] * 16, [1], [3] * 8], ids=str)
def test_a_batch_that_fills_its_key_has_no_padding(lengths):
    batch = batch_of(random_rows(lengths), [1] * len(lengths))
    key = GraphKey(sum(lengths), len(lengths), max(lengths))
    block = filled(key, batch, range(len(lengths)))
    np.testing.assert_array_equal(block[InputBlock(key).offsets], batch.offsets)


def test_what_an_earlier_batch_left_is_not_read(monkeypatch):
    key = GraphKey(64, 4, 32)
    batch = batch_of(random_rows([5, 7]), [1, 2])
    block = filled(key, batch, [0, 1])
    InputBlock(key).fill(
        block, batch_of(random_rows([32, 32]), [9, 9]), np.arange(2, dtype=np.int32)
    )
    InputBlock(key).fill(block, batch, np.arange(2, dtype=np.int32))
    np.testing.assert_array_equal(block, filled(key, batch, [0, 1]))
