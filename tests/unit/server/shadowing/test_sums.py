"""What sums of comparisons say, and how they are written down."""

import pytest

from twopass.server.shadowing.results import Difference, Measure
from twopass.server.shadowing.sums import Sums

LIVE = [f"d{i}" for i in range(10)]
WORSE, BETTER = [*LIVE[1:], LIVE[0]], [LIVE[3], *LIVE[:3], *LIVE[4:]]


def clicks(sums: Sums) -> Difference:
    (difference,) = sums.comparison("docs").differences
    assert difference.measure is Measure.CLICKED_RR
    return difference


def test_clicks_speak_for_a_shadow_and_never_against_it():
    sums = Sums(start_us=0)
    for _ in range(60):
        sums.clicked(LIVE, BETTER, ["d3"])
    assert clicks(sums).p_value < 0.01
    for _ in range(200):  # of what stands first everybody clicks
        sums.clicked(LIVE, WORSE, ["d0"])
    assert clicks(sums).mean < 0
    assert clicks(sums).p_value == 1.0


def test_clicks_on_what_one_order_lacks_say_nothing():
    sums = Sums(start_us=0)
    sums.clicked(LIVE, [*LIVE[:9], "other"], ["d9"])
    sums.clicked(LIVE, LIVE, [])
    assert sums.comparison("docs").differences == ()


def test_sums_are_read_as_they_were_written():
    sums = Sums(start_us=17)
    sums.compared(LIVE, BETTER)
    sums.judged(LIVE, BETTER, {"d3": 2, "d1": 0})
    sums.clicked(LIVE, WORSE, ["d1"])
    assert Sums.from_json(sums.to_json()) == sums


@pytest.mark.parametrize("text", ["", "[]", '{"start_us": 1}', '{"evidence": {"other": {}}}'])
def test_what_is_something_else_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        Sums.from_json(text)
