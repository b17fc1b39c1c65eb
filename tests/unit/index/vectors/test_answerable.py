"""Which vectors may be answered, in every form, against sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.vectors import answerable
from twopass.index.vectors.answerable import Answerable, positions_of


@pytest.mark.parametrize("lookup_cost", [0, 10**9], ids=["looked up", "marked"])
@given(
    keys=st.sets(st.integers(1, 300)),
    wanted=st.sets(st.integers(-5, 310)),
    first=st.sampled_from([0, 2**40]),
)
def test_positions_are_those_of_the_keys_that_are_there(lookup_cost, keys, wanted, first):
    ordered = [first + key for key in sorted(keys)]
    expected = [n for n, key in enumerate(ordered) if key - first in wanted]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(answerable, "_LOOKUP_COST", lookup_cost)
        found = positions_of(
            np.array([first + key for key in sorted(wanted)], np.int64), np.array(ordered, np.int64)
        )
    assert found.tolist() == expected


def test_keys_far_apart_are_looked_up_without_an_array_of_all_between():
    keys = np.array([1, 2**60], np.int64)
    assert positions_of(np.array([1, 5, 2**60]), keys).tolist() == [0, 1]


@given(chosen=st.lists(st.booleans(), max_size=40))
def test_every_form_says_the_same(chosen):
    mask = np.array(chosen, np.bool_)
    positions = np.flatnonzero(mask)
    for made in (
        Answerable(len(mask), mask=mask),
        Answerable(len(mask), positions=positions),
        *([Answerable(len(mask))] if mask.all() else []),
    ):
        assert made.count == len(positions)
        assert made.is_everything == mask.all()
        assert made.mask.tolist() == chosen
        assert made.positions.tolist() == positions.tolist()
        bits = made.bits
        if not made.is_everything:
            assert np.unpackbits(bits, bitorder="little")[: len(mask)].tolist() == mask.tolist()
        assert made.share == (len(positions) / len(mask) if chosen else 1)
