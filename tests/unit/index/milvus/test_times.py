"""Times as sortable texts: what tells a time, and in which order."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.filters import Moment
from twopass.index.milvus.times import moment_of, sortable, sortable_of_text

from ..naive_filters import seconds_of
from ..random_filters import MOMENTS, TEXTS, TIMES

TOLD = st.builds(
    lambda at, digits, zone: f"{at.isoformat(timespec='seconds')}{digits}{zone}",
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.sampled_from(["", ".0", ".5", ".25", ".000000001", ".99999999999"]),
    st.sampled_from(["", "Z", "z", "+01:00", "-12:30", "+14:59"]),
)


@pytest.mark.parametrize("text", TEXTS + TIMES)
def test_a_text_tells_a_time_where_rfc_3339_says_so(text):
    assert (sortable_of_text(text) is not None) == (seconds_of(text) is not None)


@given(TOLD | st.sampled_from(TIMES), TOLD | st.sampled_from(TIMES))
def test_texts_are_in_the_order_of_the_moments(one, other):
    exact = seconds_of(one), seconds_of(other)
    if None not in exact:
        texts = sortable_of_text(one), sortable_of_text(other)
        assert (texts[0] < texts[1], texts[0] == texts[1]) == (
            exact[0] < exact[1],
            exact[0] == exact[1],
        )


@given(
    st.sampled_from(MOMENTS)
    | st.builds(Moment, st.integers(-(10**10), 10**11), st.integers(0, 10**9 - 1))
)
def test_a_moment_comes_back(moment):
    assert moment_of(sortable(moment)) == moment


def test_a_moment_and_a_text_that_tells_it_are_one():
    at = datetime(2024, 1, 31, 12) - datetime(1970, 1, 1)
    moment = Moment(at // timedelta(seconds=1), 500_000_000)
    assert sortable(moment) == sortable_of_text("2024-01-31T13:00:00.50+01:00")
