"""What filters say of themselves: the texts that begin with a prefix, as an interval."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.filters import InRange, Moment, OneOf, StartsWith, has_moments

LAST = chr(sys.maxunicode)
TEXTS = st.text(
    st.sampled_from("aé\ud7ff\ue000\U00010000" + LAST) | st.characters(exclude_categories=["Cs"]),
    max_size=4,
)


@given(TEXTS, TEXTS)
def test_a_text_begins_with_a_prefix_where_it_lies_from_it_to_before_the_text_beyond(prefix, text):
    beyond = StartsWith(prefix).beyond
    lies_within = prefix <= text and (beyond is None or text < beyond)
    assert lies_within == text.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "beyond"),
    [("", None), (LAST, None), ("a" + LAST, "b"), ("a\ud7ff", "a\ue000"), ("ab", "ac")],
)
def test_the_text_beyond_holds_no_surrogate_and_is_the_least(prefix, beyond):
    assert StartsWith(prefix).beyond == beyond


@pytest.mark.parametrize(
    ("test", "has"),
    [
        (OneOf(("a", Moment(0))), True),
        (OneOf(("a", None)), False),
        (InRange(lt=Moment(0)), True),
        (InRange(gt=1), False),
        (StartsWith("a"), False),
    ],
)
def test_a_test_tells_whether_it_compares_with_moments(test, has):
    assert has_moments(test) is has
