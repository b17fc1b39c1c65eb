"""Batches of the engines benchmark hold every sequence once, padded as exported models want it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.benchmarks.engines.batching import (
    PADDED_BATCH_SIZE,
    Order,
    packed_plan,
    pad,
    padded_plan,
    select,
)
from twopass.engines.base.sequences import Ragged, TokenBatch

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=100)


def batch(lengths: list[int]) -> TokenBatch:
    """Sequences whose ids tell them apart; about half of each is of type 0."""
    rows = [[100 * i + j + 1 for j in range(length)] for i, length in enumerate(lengths)]
    ragged = Ragged.from_rows(rows)
    return TokenBatch(ragged.token_ids, ragged.offsets, (ragged.lengths + 1) // 2)


@given(lengths, st.sampled_from(Order))
def test_a_padded_plan_holds_every_row_once_in_batches_of_32(lengths, order):
    plan = padded_plan(np.array(lengths, np.int32), order)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    assert all(len(rows) == PADDED_BATCH_SIZE for rows in plan[:-1])


@given(lengths)
def test_sorted_rows_have_falling_lengths(lengths):
    array = np.array(lengths, np.int32)
    in_order = array[np.concatenate(padded_plan(array, Order.LENGTH_SORTED))]
    assert (np.diff(in_order) <= 0).all()


@given(lengths, st.integers(1, 200))
def test_a_packed_plan_keeps_the_order_and_the_budget(lengths, budget):
    array = np.array(lengths, np.int32)
    plan = packed_plan(array, budget)
    assert np.concatenate(plan).tolist() == list(range(len(lengths)))
    assert all(array[rows].sum() <= budget or len(rows) == 1 for rows in plan)


@given(lengths, st.data())
def test_selected_rows_are_those_sequences(lengths, data):
    whole = batch(lengths)
    rows = data.draw(st.permutations(range(len(lengths))))[: len(lengths) // 2 + 1]
    part = select(whole, np.array(rows, np.int32))
    sequences, chosen = (Ragged(b.token_ids, b.offsets) for b in (whole, part))
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(chosen[i], sequences[row])
        assert part.query_lengths[i] == whole.query_lengths[row]


@given(lengths)
def test_padding_is_hidden_by_the_mask_and_the_second_text_has_type_1(lengths):
    ragged = batch(lengths)
    padded = pad(ragged)
    for i, length in enumerate(lengths):
        query = int(ragged.query_lengths[i])
        rest = max(lengths) - length
        ids = ragged.token_ids[ragged.offsets[i] : ragged.offsets[i + 1]]
        assert padded.input_ids[i].tolist() == [*ids.tolist(), *[0] * rest]
        assert padded.attention_mask[i].tolist() == [1] * length + [0] * rest
        assert (
            padded.token_type_ids[i].tolist() == [0] * query + [1] * (length - query) + [0] * rest
        )


@pytest.mark.parametrize("field", ["input_ids", "attention_mask", "token_type_ids"])
def test_padded_arrays_have_the_type_that_exported_graphs_take(field):
    assert pad(batch([3, 1])).named()[field].dtype == np.int64
