"""Sums and ranks of keys, against dictionaries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import ranks_in, sum_by_key

_KEYS = st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1)
_SHARES = st.lists(st.tuples(_KEYS, st.floats(-1, 1)), max_size=40)


@given(_SHARES)
def test_shares_of_a_key_are_added_up_and_the_greatest_sum_is_first(shares):
    sums = {}
    for key, share in shares:
        sums[key] = sums.get(key, 0.0) + share
    scores = np.array(list(sums.values()), np.float32)
    order = np.argsort(-scores, kind="stable")
    keys, summed = sum_by_key(
        np.array([key for key, _ in shares], np.int64),
        np.array([share for _, share in shares], np.float64),
    )
    np.testing.assert_array_equal(keys, np.array(list(sums), np.int64)[order])
    np.testing.assert_array_equal(summed, scores[order])


@given(st.lists(_KEYS, unique=True, max_size=40), st.lists(_KEYS, max_size=40))
def test_ranks_count_from_one_and_what_is_missing_is_infinitely_far(found, wanted):
    ranks = {key: rank for rank, key in enumerate(found, 1)}
    np.testing.assert_array_equal(
        ranks_in(np.array(found, np.int64), np.array(wanted, np.int64)),
        [ranks.get(key, np.inf) for key in wanted],
    )


def test_keys_and_shares_are_as_many():
    with pytest.raises(ValueError, match="keys: 2 given, but 1 shares"):
        sum_by_key(np.zeros(2, np.int64), np.zeros(1))
