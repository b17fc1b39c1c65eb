import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.benchmarks.scale.simulation.clock import Clock, all_of
from twopass.benchmarks.scale.simulation.run_queues import RunQueues


def ended_at(clock, signal):
    times = []
    signal.then(lambda _: times.append(clock.now))
    clock.run()
    return times[0]


def test_a_thread_on_an_idle_core_does_not_wait():
    clock = Clock()
    assert ended_at(clock, RunQueues(clock, 2, turn=1.0).work(0.3)) == pytest.approx(0.3)


def test_a_thread_that_wakes_on_a_busy_core_waits_until_the_turn_ends():
    clock = Clock()
    cores = RunQueues(clock, 1, turn=1.0)
    cores.work(10.0)
    ended = []
    clock.at(4.25, lambda: cores.work(0.1).then(lambda _: ended.append(clock.now)))
    clock.run()
    assert ended == [pytest.approx(5.1)]


@pytest.mark.parametrize("num", [1, 2, 4], ids="cores={}".format)
def test_a_thread_that_wakes_while_all_are_busy_waits_for_half_a_turn_in_the_mean(num):
    clock = Clock()
    cores = RunQueues(clock, num, turn=0.004)
    for _ in range(num):
        cores.work(100.0)
    late = []

    def wake() -> None:
        woken = clock.now
        cores.work(1e-6).then(lambda _: late.append(clock.now - woken))

    for n in range(1_000):
        clock.at(0.01 + 0.0537 * n, wake)
    clock.run()
    assert sum(late) / len(late) == pytest.approx(0.002, rel=0.1)


def test_threads_on_one_core_take_turns():
    clock = Clock()
    cores = RunQueues(clock, 1, turn=0.1)
    end = ended_at(clock, all_of([cores.work(1.0), cores.work(1.0)]))
    assert end == pytest.approx(2.0)


def test_a_core_with_nothing_to_do_takes_what_waits_for_another():
    clock = Clock()
    cores = RunQueues(clock, 2, turn=1e6)
    for seconds in (5.0, 1.0):
        cores.work(seconds)
    assert ended_at(clock, all_of([cores.work(1.0), cores.work(1.0)])) == pytest.approx(3.0)


@pytest.mark.parametrize(("packing", "end"), [(0.0, 0.1), (1.0, 1.1)])
def test_a_thread_may_wait_although_a_core_is_idle(packing, end):
    clock = Clock()
    cores = RunQueues(clock, 2, turn=1.0, packing=packing)
    cores.work(10.0)
    assert ended_at(clock, cores.work(0.1)) == pytest.approx(end, abs=0.51)


def test_cores_are_faster_while_the_others_are_idle():
    clock = Clock()
    cores = RunQueues(clock, 2, turn=1.0, alone_speed=2.0)
    ended = []
    for seconds in (3.0, 1.0):
        cores.work(seconds).then(lambda _: ended.append(clock.now))
    clock.run()
    # One second beside each other; what is left of the long one goes twice as fast.
    assert ended == [pytest.approx(1.0), pytest.approx(2.0)]


def test_a_thread_that_goes_on_keeps_its_core():
    clock = Clock()
    cores = RunQueues(clock, 1, turn=10.0)
    order = []

    def again(_: object) -> None:
        cores.work(1.0, continues=True).then(lambda _: order.append("again"))

    cores.work(1.0).then(again)
    cores.work(1.0).then(lambda _: order.append("other"))
    clock.run()
    assert order == ["again", "other"]


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.001, 5.0)), min_size=1, max_size=20),
    st.integers(1, 4),
    st.floats(0.01, 10.0),
    st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=100)
def test_no_work_is_lost_and_none_is_done_twice(works, num, turn, packing):
    clock = Clock()
    cores = RunQueues(clock, num, turn=turn, packing=packing)
    ended = []
    for time, seconds in works:
        clock.at(time, lambda s=seconds: cores.work(s).then(lambda _: ended.append(clock.now)))
    clock.run()
    assert len(ended) == len(works)
    assert cores.busy_seconds == pytest.approx(sum(seconds for _, seconds in works))
    assert clock.now <= 5.0 + sum(seconds for _, seconds in works) + 1e-6
