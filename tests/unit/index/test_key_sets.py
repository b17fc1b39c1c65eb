"""Sets of keys are those that Python's own sets are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.key_sets import are_in, intersection, union

KEYS = st.lists(st.integers(1, 40) | st.integers(2**62, 2**63 - 1), max_size=20)


def ascending(keys: list[int]) -> np.ndarray:
    return np.array(sorted(set(keys)), np.int64)


@given(one=KEYS, other=KEYS, third=KEYS)
def test_unions_and_intersections_are_those_of_sets(one, other, third):
    sets = [ascending(one), ascending(other), ascending(third)]
    assert union(*sets).tolist() == sorted({*one, *other, *third})
    assert intersection(*sets[:2]).tolist() == sorted({*one} & {*other})


@given(keys=KEYS)
def test_an_array_in_any_order_becomes_its_set(keys):
    assert union(np.array(keys, np.int64)).tolist() == sorted(set(keys))


@given(keys=KEYS, others=KEYS)
def test_each_key_is_looked_up_in_its_own_order(keys, others):
    found = are_in(np.array(keys, np.int64), ascending(others))
    assert found.tolist() == [key in others for key in keys]


def test_there_is_a_set_of_nothing():
    nothing = np.empty(0, np.int64)
    assert union().tolist() == union(nothing).tolist() == intersection(nothing, nothing).tolist()
