"""Tokens put into rows, against rows of Python lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import splice
from twopass.engines.base.sequences import Ragged


def int32s(values):
    return np.array(values, np.int32)


@st.composite
def splicings(draw):
    ids = st.lists(st.integers(0, 9), max_size=5)
    rows = draw(st.lists(ids, max_size=5))
    parts = sorted(
        (row, draw(st.integers(0, len(rows[row]))))
        for row in draw(st.lists(st.integers(0, max(0, len(rows) - 1)), max_size=6))
        if rows
    )
    return rows, [(*part, draw(ids)) for part in parts], draw(st.integers(0, 12))


@given(splicings())
def test_parts_stand_before_the_tokens_they_name_and_rows_are_cut(splicing):
    rows, parts, max_tokens = splicing
    expected = [list(row) for row in rows]
    for row, position, ids in reversed(parts):
        expected[row][position:position] = ids
    spliced = Ragged.from_rows(rows).with_parts(
        int32s([row for row, _, _ in parts]),
        int32s([position for _, position, _ in parts]),
        Ragged.from_rows([ids for _, _, ids in parts]),
        max_tokens,
    )
    assert [spliced[i].tolist() for i in range(len(spliced))] == [
        row[:max_tokens] for row in expected
    ]


@pytest.mark.parametrize(
    ("into", "positions", "fault"),
    [
        ([2], [0], r"into\[0\]: out of order, or no row"),
        ([1, 0], [0, 0], r"into\[1\]: out of order"),
        ([-1], [0], r"into\[0\]"),
        ([0], [3], r"positions\[0\]: 3 given, from 0 to 2"),
        ([0], [-1], r"positions\[0\]: -1 given"),
        ([0, 0], [1, 0], r"positions\[1\]: 0 given, from 1 to 2"),
        ([0], [0, 0], "parts: 1 given, but 1 rows and 2 positions"),
    ],
)
def test_parts_that_fit_no_row_are_refused(into, positions, fault):
    rows, parts = Ragged.from_rows([[1, 2], [3]]), Ragged.from_rows([[9]] * len(into))
    with pytest.raises(ValueError, match=fault):
        rows.with_parts(int32s(into), int32s(positions), parts, 5)


def test_a_negative_limit_is_refused():
    none = int32s([])
    with pytest.raises(ValueError, match="max_tokens: -1 given"):
        splice(none, int32s([0]), none, none, none, int32s([0]), -1)
