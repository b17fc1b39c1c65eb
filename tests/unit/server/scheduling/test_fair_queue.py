"""The order of requests, against a device that really is shared out equally."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.server.scheduling.fair_queue import FairQueue
from twopass.server.scheduling.jobs import Job

from ..scripted import ScriptedEngine, batch_of

SECONDS_PER_TOKEN = 0.01


def job_of(num_tokens: int, deadline: float | None = None) -> Job:
    batch = batch_of([[1]] * num_tokens)
    return Job(
        engine=ScriptedEngine(),
        batch=batch,
        lengths=batch.lengths,
        done=asyncio.Future(loop=asyncio.new_event_loop()),
        waiting=np.arange(num_tokens, dtype=np.int32),
        submitted=0.0,
        deadline=deadline,
        seconds_per_token=SECONDS_PER_TOKEN,
    )


def serve_one(queue: FairQueue) -> Job:
    """Serves a token of the first request."""
    job = queue.first
    job.take(job.waiting[:1])
    queue.served(SECONDS_PER_TOKEN)
    if not len(job.waiting):
        queue.remove(job)
    return job


def shared_equally(arrivals: list[tuple[int, int]]) -> list[float]:
    """When each request ends on a device that all share, in tokens served.

    Args:
        arrivals: When each comes, in tokens served so far, and how many tokens it has.
    """
    left = {i: float(size) for i, (_, size) in enumerate(arrivals)}
    ends, now = [0.0] * len(arrivals), 0.0
    while left:
        present = [i for i in left if arrivals[i][0] <= now]
        coming = [arrivals[i][0] for i in left if arrivals[i][0] > now]
        if not present:
            now = float(min(coming))
            continue
        step = min(left[i] for i in present) * len(present)
        if coming:
            step = min(step, min(coming) - now)
        now += step
        for i in present:
            left[i] -= step / len(present)
            if left[i] < 1e-9:
                ends[i] = now
                del left[i]
    return ends


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=8))
def test_nobody_ends_later_than_if_the_device_were_shared_equally(arrivals):
    queue, now = FairQueue(), 0
    ends: dict[int, int] = {}
    jobs = {}
    waiting = sorted(range(len(arrivals)), key=lambda i: arrivals[i][0])
    while waiting or len(queue):
        while waiting and (arrivals[waiting[0]][0] <= now or not len(queue)):
            i = waiting.pop(0)
            now = max(now, arrivals[i][0])
            job = job_of(arrivals[i][1])
            jobs[id(job)] = (i, job)
            queue.add(job)
        job = serve_one(queue)
        now += 1
        if not len(job.waiting):
            ends[jobs[id(job)][0]] = now
    for i, end in enumerate(shared_equally(arrivals)):
        assert ends[i] <= end + 1  # a token is not parted


def test_what_is_withdrawn_leaves_its_share_to_the_others():
    queue = FairQueue()
    large, gone = job_of(100), job_of(90)
    queue.add(large)
    queue.add(gone)
    queue.withdraw(gone)
    for _ in range(50):
        assert serve_one(queue) is large
    small = job_of(40)  # its turn ends before the large one's, which is half served
    queue.add(small)
    assert queue.first is small


def test_a_large_request_is_passed_by_no_more_than_its_share():
    queue = FairQueue()
    large = job_of(50)
    queue.add(large)
    served = 0
    while len(large.waiting):
        if queue.first is large:
            queue.add(job_of(5))
        serve_one(queue)
        served += 1
        assert served < 1_000


@pytest.mark.parametrize(("deadlines", "order"), [((9.0, 3.0, 6.0), [1, 2, 0])], ids=["by time"])
def test_within_a_round_the_earliest_deadline_goes_first(deadlines, order):
    queue = FairQueue()
    jobs = [job_of(5, deadline) for deadline in deadlines]
    for job in jobs:
        queue.add(job)
    assert [jobs.index(job) for job in queue] == order


def test_a_deadline_does_not_buy_the_turns_of_others():
    queue = FairQueue()
    urgent, small = job_of(1_000, deadline=1.0), job_of(5)
    queue.add(urgent)
    queue.add(small)
    assert queue.first is small


def test_work_before_a_request_is_what_is_served_before_it():
    queue = FairQueue()
    for size in (5, 300):
        queue.add(job_of(size))
    assert queue.seconds == pytest.approx(3.05)
    assert queue.seconds_before(0.0, None) == 0
    assert queue.seconds_before(0.5, None) == pytest.approx(0.05)
    assert queue.seconds_before(9.0, None) == pytest.approx(3.05)


def test_the_work_that_waits_is_counted_through_everything_that_happens():
    queue = FairQueue()
    jobs = [job_of(size) for size in (5, 30, 8)]
    for job in jobs:
        queue.add(job)
    serve_one(queue)
    queue.withdraw(jobs[1])
    assert queue.seconds == pytest.approx(sum(job.waiting_seconds for job in queue))
    while len(queue):
        serve_one(queue)
    assert queue.seconds == 0
