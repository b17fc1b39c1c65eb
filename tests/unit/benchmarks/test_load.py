"""Closed loops hold a number under way; open loops keep to a schedule that nothing delays."""

import asyncio
import itertools
import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.benchmarks.load import ClosedLoop, OpenLoop, Window, poisson_arrivals, record
from twopass.benchmarks.workload import Answer
from twopass.client import AsyncClient, OverloadedError

from .made import timings

ANSWER = Answer(3, timings())


async def unused(client):
    return ANSWER


@given(st.floats(0.1, 1000), st.floats(0.1, 2), st.integers(0, 2**32))
def test_a_schedule_ascends_within_its_time_and_repeats_for_its_seed(rate, seconds, seed):
    schedule = list(poisson_arrivals(rate, seconds, seed))
    assert schedule == sorted(schedule)
    assert all(0 <= arrival < seconds for arrival in schedule)
    assert schedule == list(poisson_arrivals(rate, seconds, seed))


def test_another_seed_is_another_schedule():
    assert list(poisson_arrivals(10, 10, 1)) != list(poisson_arrivals(10, 10, 2))


def test_arrivals_come_at_the_mean_rate_with_exponential_gaps():
    schedule = list(poisson_arrivals(50, 1000, 1))
    gaps = [later - earlier for earlier, later in itertools.pairwise(schedule)]
    # 50,000 arrivals: the standard error of both is below 0.5 %.
    assert statistics.mean(gaps) == pytest.approx(1 / 50, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1 / 50, rel=0.03)


async def test_an_open_loop_sends_on_though_nothing_is_answered():
    schedule = list(poisson_arrivals(100, 0.2, 7))
    begin = time.perf_counter()
    intended, all_sent = [], asyncio.Event()

    async def send(request, when):
        intended.append(when)
        if len(intended) == len(schedule):
            all_sent.set()
        await all_sent.wait()

    await OpenLoop(100, 7).run(itertools.repeat(unused), send, begin, begin + 0.2)
    assert intended == [begin + arrival for arrival in schedule]


async def test_a_generator_that_was_held_up_counts_from_when_it_should_have_sent():
    async def hold_up(client):
        time.sleep(0.02)  # noqa: ASYNC251  # the whole event loop stands still
        return ANSWER

    now = time.perf_counter()
    window = Window(now, now + 0.2)
    samples = await record(OpenLoop(100, 7), AsyncClient(), itertools.repeat(hold_up), window)
    # Each waits for all before it: the requests can't take less than the time they held the loop.
    begin = samples[0].intended
    for before, sample in enumerate(samples):
        assert sample.ended - begin >= 0.02 * (before + 1)
        assert sample.latency >= 0.02 * (before + 1) - (sample.intended - begin)


async def test_a_closed_loop_always_has_its_number_under_way():
    under_way, seen = 0, []

    async def send(request, when):
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        await asyncio.sleep(0.001)
        under_way -= 1

    begin = time.perf_counter()
    await ClosedLoop(3).run(itertools.repeat(unused), send, begin, begin + 0.2)
    assert seen[:3] == [1, 2, 3]
    assert max(seen) == 3
    assert under_way == 0


async def test_no_request_is_sent_twice():
    taken = []

    async def send(request, when):
        taken.append(request)
        await asyncio.sleep(0)

    begin = time.perf_counter()
    await ClosedLoop(2).run(itertools.count(), send, begin, begin + 0.1)
    assert len(taken) > 1
    assert taken == list(range(len(taken)))


async def test_answers_and_failures_are_recorded_with_their_status():
    async def refused(client):
        raise OverloadedError("queue: full")

    requests = itertools.cycle([unused, refused])
    now = time.perf_counter()
    samples = await record(OpenLoop(200, 1), AsyncClient(), requests, Window(now, now + 0.1))
    assert samples
    outcomes = {(sample.status, sample.answer) for sample in samples}
    assert outcomes == {("OK", ANSWER), ("RESOURCE_EXHAUSTED", None)}
    assert all(sample.intended <= sample.sent <= sample.ended for sample in samples)
