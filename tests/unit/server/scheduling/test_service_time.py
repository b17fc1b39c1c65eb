import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.scheduling.service_time import ServiceTime, TokenDensity


def test_the_first_batches_replace_what_was_assumed():
    speed = ServiceTime()
    for _ in range(5):
        speed.measured(600, 0.02)
    assert speed.tokens_per_second == pytest.approx(30_000, rel=0.05)
    assert speed.seconds(30_000) == pytest.approx(1, rel=0.05)


def test_a_single_query_does_not_speak_for_full_batches():
    speed = ServiceTime()
    for _ in range(20):
        speed.measured(600, 0.02)
        speed.measured(10, 0.002)
    assert speed.tokens_per_second > 25_000


def test_a_change_of_speed_is_learned_within_seconds_of_computing():
    speed = ServiceTime()
    for _ in range(100):
        speed.measured(600, 0.02)
    for _ in range(100):
        speed.measured(200, 0.02)
    assert speed.tokens_per_second == pytest.approx(10_000, rel=0.6)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1e4)), max_size=50))
def test_the_speed_is_always_a_number_above_zero(batches):
    speed = ServiceTime()
    speed.measured(1, 0.001)
    for num_tokens, seconds in batches:
        speed.measured(max(1, num_tokens), seconds)
    assert 0 < speed.tokens_per_second < float("inf")


def test_the_tokens_of_a_text_are_expected_as_the_last_texts_had_them():
    density = TokenDensity()
    assert density.tokens([], 512) == 0
    for _ in range(3):
        density.measured([500] * 200, [300] * 200, 512)
    assert density.tokens([600, 400], 512) == pytest.approx(600, rel=0.05)
    density.measured([], [], 512)
    assert density.tokens([600, 400], 512) == pytest.approx(600, rel=0.05)


def test_no_text_is_expected_to_have_more_tokens_than_are_read_of_it():
    assert TokenDensity().tokens([10**9, 10**9, 10], 512) == 2 * 512 + 2


def test_nothing_is_learned_from_a_text_that_was_cut():
    density, expected = TokenDensity(), TokenDensity()
    density.measured([10**6, 1_000], [512, 200], 512)
    expected.measured([1_000], [200], 512)
    assert density.tokens([1_000], 512) == expected.tokens([1_000], 512)
