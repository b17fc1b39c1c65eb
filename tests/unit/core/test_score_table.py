import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import ScoreTable, sequence_digests, siphash128
from twopass.engines.base.sequences import Ragged

KEY = bytes(range(16))
SET_BYTES = 336  # of 16 places of 21 bytes

sequences = st.lists(
    st.tuples(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9), st.integers(0, 9)),
    max_size=9,
)


def digests_of(rows, key=KEY):
    ragged = Ragged.from_rows([row for row, _ in rows])
    lengths = np.array([length for _, length in rows], np.int32)
    return sequence_digests(key, ragged.token_ids, ragged.offsets, lengths)


def numbered(*numbers):
    return digests_of([([], number) for number in numbers])


@given(sequences)
def test_a_digest_is_that_of_all_that_is_read(rows):
    digests = digests_of(rows)
    assert digests.dtype == np.uint64
    expected = [siphash128(KEY, np.array([n, *row], np.int32).tobytes()) for row, n in rows]
    assert digests.tobytes() == b"".join(expected)


@pytest.mark.parametrize(
    ("num_bytes", "digest"),
    [
        (0, "a3817f04ba25a8e66df67214c7550293"),
        (1, "da87c1d86b99af44347659119b22fc45"),
        (2, "8177228da4a45dc7fca38bdef60affe4"),
    ],
)
def test_digests_are_those_of_siphash_itself(num_bytes, digest):
    """From vectors_sip128 of https://github.com/veorq/SipHash, key 00 … 0f, message 00 01 …."""
    assert siphash128(KEY, bytes(range(num_bytes))).hex() == digest


def test_another_key_gives_other_digests():
    assert not np.isin(
        numbered(*range(99)), digests_of([([], n) for n in range(99)], b"x" * 16)
    ).any()


@given(
    st.integers(0, 9 * SET_BYTES),
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 300), max_size=20)), max_size=60),
)
def test_what_is_found_is_what_was_kept_whatever_else_was(max_bytes, steps):
    table, kept = ScoreTable(max_bytes), {}
    for is_write, numbers in steps:
        digests = numbered(*numbers)
        if is_write:
            table.insert(digests, np.array(numbers, np.float32) + 0.5)
            kept |= {number: number + 0.5 for number in numbers}
        logits, found = table.find(digests)
        for number, logit, is_found in zip(numbers, logits, found, strict=True):
            assert logit == (kept[number] if is_found else 0)
    assert table.num_entries <= table.capacity == max_bytes // SET_BYTES * 16
    assert table.num_bytes <= max_bytes
    if table.num_evictions == 0:
        found = table.find(numbered(*kept))[1]
        assert found.all() or not table.capacity
        assert table.num_entries == (len(kept) if table.capacity else 0)


def test_what_is_kept_already_is_counted_and_stays():
    table = ScoreTable(SET_BYTES)
    assert table.insert(numbered(1, 2), np.array([1, 2], np.float32)) == 0
    assert table.insert(numbered(2, 3, 3), np.array([9, 3, 4], np.float32)) == 2
    assert table.find(numbered(1, 2, 3))[0].tolist() == [1, 2, 3]


def test_arguments_that_do_not_fit_are_refused():
    table = ScoreTable(SET_BYTES)
    with pytest.raises(ValueError, match="two halves a logit"):
        table.insert(numbered(1), np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="16 bytes"):
        siphash128(b"short", b"")
    with pytest.raises(ValueError, match="query_lengths: 1 given, there are 0 sequences"):
        sequence_digests(KEY, np.zeros(0, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32))
