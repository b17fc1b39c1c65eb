"""Counts over the last day, beside a plain list of when each was counted."""

from hypothesis import given
from hypothesis import strategies as st

from twopass.server.telemetry.rolling import MAX_SECONDS, Rolling

MINUTE, QUARTER, HOUR = 60.0, 900.0, 3_600.0


def add(rolling: Rolling, now: float) -> None:
    rolling.begin(now)[0] += 1


def test_what_was_counted_in_the_time_is_told_and_nothing_before_it():
    rolling = Rolling(2, 0.0)
    for now in (10.0, 70.0, 130.0):
        add(rolling, now)
    assert rolling.growth(130.0, MINUTE).counts.tolist() == [2, 0]
    assert rolling.growth(130.0, HOUR).counts.tolist() == [3, 0]
    assert rolling.counts.tolist() == [3, 0]


def test_nothing_was_counted_in_a_time_after_the_last_count():
    rolling = Rolling(1, 0.0)
    add(rolling, 10.0)
    assert rolling.growth(500.0, MINUTE).counts.tolist() == [0]
    assert rolling.growth(HOUR * 30, MAX_SECONDS).counts.tolist() == [0]


def test_the_time_begins_where_counting_did():
    rolling = Rolling(1, 1_000.0)
    add(rolling, 1_010.0)
    assert rolling.growth(1_200.0, HOUR).seconds == 200.0


@given(
    st.lists(st.floats(0.1, 4_000), max_size=200),
    st.floats(0, 4_000),
    st.floats(MINUTE, MAX_SECONDS),
)
def test_it_agrees_with_a_list_of_all_moments(gaps, pause, window):
    rolling, moments, now = Rolling(1, 0.0), [], 0.0
    for gap in gaps:
        now += gap
        moments.append(now)
        add(rolling, now)
    now += pause
    growth = rolling.growth(now, window)
    begin = now - growth.seconds
    assert growth.counts[0] == sum(moment >= begin - 1e-6 for moment in moments)
    late = MINUTE if window <= HOUR else QUARTER
    assert min(now, window) - 1e-6 <= growth.seconds <= window + late + 1e-6


def test_a_busy_day_is_kept_in_few_copies():
    rolling = Rolling(1, 0.0)
    for minute in range(3 * 24 * 60):
        add(rolling, minute * MINUTE)
    assert len(rolling._earlier) <= 158
