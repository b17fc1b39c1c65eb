"""Steps prepared ahead."""

import threading

import pytest

from twopass.training.examples.ahead import prepared


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
def test_steps_come_in_order_and_each_once(ahead):
    asked = []

    def prepare(step):
        asked.append(step)
        return step * step

    assert list(prepared(prepare, range(4, 12), ahead)) == [step * step for step in range(4, 12)]
    assert asked == list(range(4, 12))
    assert list(prepared(prepare, range(3, 3), ahead)) == []


def test_so_many_are_prepared_before_they_are_asked_for_and_no_more():
    asked, third = [], threading.Event()

    def prepare(step):
        asked.append(step)
        if step == 2:
            third.set()
        return step

    steps = prepared(prepare, range(100), 2)
    assert next(steps) == 0
    assert third.wait(10)  # 1 and 2 are made while the caller computes 0
    steps.close()
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("ahead", [0, 2])
def test_a_failure_is_raised_at_its_step(ahead):
    def prepare(step):
        if step == 2:
            raise ValueError("a damaged example")
        return step

    steps = prepared(prepare, range(9), ahead)
    assert [next(steps), next(steps)] == [0, 1]
    with pytest.raises(ValueError, match="damaged"):
        next(steps)
