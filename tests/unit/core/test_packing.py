import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import gather_packed, pack_padded

PAD = -1
UNTOUCHED = -7

TOKEN_IDS = np.array([1, 2, 3, 4, 5, 6], np.int32)
OFFSETS = np.array([0, 3, 3, 6], np.int32)
QUERY_LENGTHS = np.array([2, 0, 1], np.int32)


@st.composite
def sequences_and_rows(draw):
    sequences = draw(st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=1, max_size=9))
    rows = draw(st.lists(st.integers(0, len(sequences) - 1), max_size=12))
    return sequences, rows


def ints(values):
    return np.array(values, np.int32)


def ragged(sequences):
    return ints([token for sequence in sequences for token in sequence]), ints(
        np.cumsum([0, *map(len, sequences)])
    )


@given(sequences_and_rows())
def test_a_packed_batch_holds_the_rows_asked_for(case):
    sequences, rows = case
    query_lengths = np.arange(len(sequences), dtype=np.int32)
    token_ids, offsets, gathered = gather_packed(*ragged(sequences), query_lengths, ints(rows))
    expected_ids, expected_offsets = ragged([sequences[row] for row in rows])
    np.testing.assert_array_equal(token_ids, expected_ids)
    np.testing.assert_array_equal(offsets, expected_offsets)
    assert gathered.tolist() == rows


@given(sequences_and_rows(), st.integers(9, 12), st.integers(0, 3))
def test_a_padded_batch_holds_the_rows_asked_for_and_keeps_the_rest(case, seq_len, spare):
    sequences, rows = case
    out_token_ids = np.full(len(rows) * seq_len + spare, UNTOUCHED, np.int32)
    out_lengths = np.full(len(rows) + spare, UNTOUCHED, np.int32)
    pack_padded(*ragged(sequences), ints(rows), seq_len, PAD, out_token_ids, out_lengths)
    batch, rest = np.split(out_token_ids, [len(rows) * seq_len])
    assert batch.reshape(len(rows), seq_len).tolist() == [
        sequences[row] + [PAD] * (seq_len - len(sequences[row])) for row in rows
    ]
    assert rest.tolist() == [UNTOUCHED] * spare
    assert out_lengths.tolist() == [len(sequences[row]) for row in rows] + [UNTOUCHED] * spare


@pytest.mark.parametrize(
    ("rows", "seq_len", "ids_size", "lengths_size", "message"),
    [
        ([0, 2], 3, 5, 2, "out_token_ids: 5 elements given, at least 2 x 3"),
        ([0, 2], 3, 6, 1, "out_lengths: 1 elements given, at least 2"),
        ([1, 2], 2, 4, 2, "row 2: 3 tokens given, at most seq_len, 2"),
        ([1, 3], 3, 6, 2, r"rows\[1\]: 3 given, at least 0 and below 3"),
        ([-1, 0], 3, 6, 2, r"rows\[0\]: -1 given, at least 0 and below 3"),
        ([], 0, 6, 2, "seq_len: 0 given, at least 1"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_and_writes_nothing(
    rows, seq_len, ids_size, lengths_size, message
):
    out_token_ids = np.full(ids_size, UNTOUCHED, np.int32)
    out_lengths = np.full(lengths_size, UNTOUCHED, np.int32)
    with pytest.raises(ValueError, match=message):
        pack_padded(TOKEN_IDS, OFFSETS, ints(rows), seq_len, PAD, out_token_ids, out_lengths)
    assert (out_token_ids == UNTOUCHED).all()
    assert (out_lengths == UNTOUCHED).all()


@pytest.mark.parametrize("buffer", [np.zeros(6, np.int64), np.zeros(12, np.int32)[::2]])
def test_a_buffer_that_would_need_a_copy_is_refused(buffer):
    with pytest.raises(TypeError):
        pack_padded(TOKEN_IDS, OFFSETS, ints([0]), 3, PAD, buffer, np.zeros(1, np.int32))


def test_a_read_only_buffer_is_refused():
    buffer = np.zeros(3, np.int32)
    buffer.flags.writeable = False
    with pytest.raises(TypeError):
        pack_padded(TOKEN_IDS, OFFSETS, ints([0]), 3, PAD, buffer, np.zeros(1, np.int32))


def test_read_only_inputs_are_accepted():
    rows = ints([2])
    rows.flags.writeable = False
    token_ids, _, _ = gather_packed(TOKEN_IDS, OFFSETS, QUERY_LENGTHS, rows)
    assert token_ids.tolist() == [4, 5, 6]


def test_query_lengths_belong_to_the_sequences():
    with pytest.raises(ValueError, match="query_lengths: 2 given, one for each of 3 sequences"):
        gather_packed(TOKEN_IDS, OFFSETS, QUERY_LENGTHS[:2], ints([0]))


def test_more_tokens_than_int32_counts_are_refused():
    sequence = np.zeros(70_000, np.int32)
    rows = np.zeros(40_000, np.int32)  # 2.8e9 tokens
    with pytest.raises(ValueError, match="at most 2147483647"):
        gather_packed(sequence, ints([0, len(sequence)]), ints([1]), rows)
