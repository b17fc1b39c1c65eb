import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import assemble_pairs, assemble_singles

BERT = ([101], [102], [102])
ROBERTA = ([0], [2, 2], [2])

token_rows = st.lists(st.integers(1000, 1010), max_size=12)
templates = st.sampled_from([BERT, ROBERTA, ([], [], [])])


def ints(values):
    return np.array(values, np.int32)


def ragged(rows):
    return ints([token for row in rows for token in row]), ints(
        np.cumsum([0, *(len(row) for row in rows)])
    )


def rows_of(token_ids, offsets):
    return [row.tolist() for row in np.split(token_ids, offsets[1:])[:-1]]


def pairs_of(query, passages, template, max_seq_len):
    return assemble_pairs(ints(query), *ragged(passages), *map(ints, template), max_seq_len)


@given(token_rows, st.lists(token_rows, max_size=8), templates, st.integers(1, 40))
def test_each_pair_is_its_template_filled_and_cut_in_the_passage(
    query, passages, template, max_seq_len
):
    prefix, separator, suffix = template
    room = max_seq_len - len(prefix + query + separator + suffix)
    if any(room < min(1, len(passage)) for passage in passages):
        with pytest.raises(ValueError, match=f"max_seq_len: {max_seq_len} given"):
            pairs_of(query, passages, template, max_seq_len)
        return

    token_ids, offsets, query_lengths, truncated = pairs_of(query, passages, template, max_seq_len)
    assert rows_of(token_ids, offsets) == [
        prefix + query + separator + passage[:room] + suffix for passage in passages
    ]
    assert query_lengths.tolist() == [len(prefix + query + separator[:1])] * len(passages)
    assert truncated.tolist() == [len(passage) > room for passage in passages]


@given(st.lists(token_rows, max_size=8), templates, st.integers(1, 16))
def test_each_single_is_its_text_cut_between_special_tokens(texts, template, max_seq_len):
    prefix, _, suffix = template
    room = max_seq_len - len(prefix + suffix)
    if any(room < min(1, len(text)) for text in texts):
        with pytest.raises(ValueError, match=f"max_seq_len: {max_seq_len} given"):
            assemble_singles(*ragged(texts), ints(prefix), ints(suffix), max_seq_len)
        return

    token_ids, offsets, query_lengths, truncated = assemble_singles(
        *ragged(texts), ints(prefix), ints(suffix), max_seq_len
    )
    assert rows_of(token_ids, offsets) == [prefix + text[:room] + suffix for text in texts]
    np.testing.assert_array_equal(query_lengths, np.diff(offsets))
    assert truncated.tolist() == [len(text) > room for text in texts]


@pytest.mark.parametrize(("passage_tokens", "is_truncated"), [(9, False), (10, False), (11, True)])
def test_a_passage_is_cut_one_token_above_the_room_left(passage_tokens, is_truncated):
    # 16 tokens less [CLS], three of the query, and two [SEP] leave 10.
    _, offsets, _, truncated = pairs_of([7, 7, 7], [[8] * passage_tokens], BERT, 16)
    assert truncated.tolist() == [is_truncated]
    assert offsets.tolist() == [0, min(16, passage_tokens + 6)]


def test_a_query_that_leaves_no_room_is_refused_with_its_numbers():
    with pytest.raises(ValueError, match="max_seq_len: 16 given, at least 17 for row 1 and the 16"):
        pairs_of([7] * 13, [[], [8]], BERT, 16)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([], "offsets: none given"),
        ([1, 3], r"offsets\[0\]: 1 given"),
        ([0, 2, 1, 3], r"offsets\[2\]: 1 given, at least 2"),
        ([0, 2], r"offsets\[1\]: 2 given, but there are 3 token ids"),
        ([0, 4], r"offsets\[1\]: 4 given, but there are 3 token ids"),
    ],
)
def test_unsound_offsets_are_refused(offsets, message):
    with pytest.raises(ValueError, match=message):
        assemble_singles(ints([7, 8, 9]), ints(offsets), ints([101]), ints([102]), 16)


def test_outputs_own_their_memory_and_have_the_stated_dtypes():
    outputs = pairs_of([7], [[8], [9]], BERT, 16)
    assert [array.dtype for array in outputs] == [np.int32, np.int32, np.int32, np.bool_]
    assert all(array.flags.writeable and array.flags.c_contiguous for array in outputs)
