"""What the engine sees, in which order, and what it never sees."""

import asyncio
import math
import time

import pytest

from twopass.server.errors import (
    LateError,
    NeverInTimeError,
    OverloadedError,
    WouldBeLateError,
)
from twopass.server.scheduling import service_time
from twopass.server.scheduling.arbiter import Arbiter, Priority

from ..scripted import (
    MAX_SEQ_LEN,
    ScriptedEngine,
    compute,
    compute_first,
    rows_of_lengths,
    settled,
)


async def test_queries_go_before_reranking_and_that_before_ingest(arbiter, held):
    blocker = compute(arbiter, held, [[9]])
    await settled()
    rows = {Priority.INGEST: [[1]], Priority.RERANK: [[2]], Priority.QUERY: [[3]]}
    requests = [compute(arbiter, held, rows[priority], priority) for priority in rows]
    await settled()
    order = [await held.answer() for _ in range(4)]
    assert order == [[[9]], [[3]], [[2]], [[1]]]
    await asyncio.gather(blocker, *requests)


async def test_a_small_set_waits_for_no_more_than_the_batch_under_way_and_the_next(held):
    arbiter = Arbiter(max_queued_pairs=3_000)
    compute(arbiter, held, rows_of_lengths([8] * 2_000))
    await settled()
    small = compute(arbiter, held, rows_of_lengths([8] * 5, first=5_000))
    await settled()
    await held.answer()  # under way when the small set came
    await held.answer()  # the turn of the large one, in which the small one may already share
    await held.answer()
    assert small.done()
    assert (await small).output.tolist() == [8.0 * n for n in range(5_000, 5_005)]


async def test_small_sets_pass_large_ones(held):
    arbiter = Arbiter(max_queued_pairs=3_000)
    compute(arbiter, held, [[1]])
    await settled()
    for which, size in enumerate([100, 9, 1_000, 8]):
        compute(arbiter, held, rows_of_lengths([16] * size, first=1_000 * (which + 1)))
    await settled()
    await held.answer()
    rows = [row[0] // 1_000 - 1 for _ in range(279) for row in await held.answer()]
    last = {which: len(rows) - rows[::-1].index(which) for which in range(4)}
    assert sorted(last, key=last.__getitem__) == [3, 1, 0, 2]


async def test_equal_sets_go_one_after_another_and_not_all_late_together(held):
    arbiter = Arbiter(max_queued_pairs=3_000)
    compute(arbiter, held, [[1]])
    await settled()
    for which in range(3):
        compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * 5, first=100 * (which + 1)))
    await settled()
    await held.answer()
    rows = [row[0] // 100 - 1 for _ in range(15) for row in await held.answer()]
    assert rows == [0] * 5 + [1] * 5 + [2] * 5


async def test_of_sets_whose_turns_are_close_the_more_urgent_goes_first(arbiter, held):
    blocker = compute(arbiter, held, [[9]])
    await settled()
    now = time.perf_counter()
    later = compute(arbiter, held, [[1] * MAX_SEQ_LEN], deadline=now + 200)
    sooner = compute(arbiter, held, [[2] * MAX_SEQ_LEN], deadline=now + 100)
    await settled()
    order = [(await held.answer())[0][0] for _ in range(3)]
    assert order == [9, 2, 1]
    await asyncio.gather(blocker, later, sooner)


async def test_requests_share_a_batch(arbiter, held):
    blocker = compute(arbiter, held, [[9]])
    await settled()
    requests = [compute(arbiter, held, [[number] * 8]) for number in range(1, 5)]
    await settled()
    await held.answer()
    assert len(held.held[0][0]) == 4
    await held.answer()
    await asyncio.gather(blocker, *requests)


async def test_engines_of_one_device_take_turns(arbiter):
    first, second = ScriptedEngine(is_held=True), ScriptedEngine(is_held=True)
    requests = [compute(arbiter, engine, [[1]]) for engine in (first, second)]
    await settled()
    assert (len(first.held), len(second.held)) == (1, 0)
    await first.answer()
    await second.answer()
    await asyncio.gather(*requests)


# --- cancelled and late --------------------------------------------------------------------------


async def test_what_is_cancelled_in_the_queue_never_reaches_the_engine(arbiter, held):
    blocker = compute(arbiter, held, [[9]])
    await settled()
    waiting = compute(arbiter, held, [[1], [2]])
    await settled()
    waiting.cancel()
    await settled()
    await held.answer()
    assert held.batches == [[[9]]]
    await blocker


async def test_what_is_left_of_a_cancelled_request_leaves_the_queue(arbiter, held):
    large = compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * 5))
    await settled()
    large.cancel()
    await settled()
    await held.answer()
    assert len(held.batches) == 1


async def test_what_becomes_late_in_the_queue_never_reaches_the_engine(arbiter, held, clock):
    blocker = compute(arbiter, held, [[9]])
    await settled()
    waiting = compute(arbiter, held, [[1]], deadline=time.perf_counter() + 100)
    await settled()
    await clock.passes(100)
    with pytest.raises(LateError, match="deadline"):
        await waiting
    await held.answer()
    assert held.batches == [[[9]]]
    await blocker


async def test_what_comes_late_never_reaches_an_idle_engine(arbiter, held):
    with pytest.raises(LateError, match="deadline"):
        await compute(arbiter, held, [[1]], deadline=time.perf_counter() - 1)
    assert not held.batches


async def test_the_device_is_free_again_after_a_late_request(arbiter, held, clock):
    late = compute(arbiter, held, [[1]], deadline=time.perf_counter() + 100)
    await settled()
    await clock.passes(100)
    with pytest.raises(LateError):
        await late
    following = compute(arbiter, held, [[2]])
    await settled()
    await held.answer()  # late, and dropped
    await held.answer()
    assert (await following).output.tolist() == [2]


# --- refused for time ----------------------------------------------------------------------------


async def busy_for(arbiter, held, *, seconds: float):
    """Fills the queue with work of about so long, at the speed assumed at first."""
    num_rows = round(seconds * 5_000 / MAX_SEQ_LEN)
    compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * num_rows))
    await settled()


async def test_what_can_not_be_in_time_is_refused_at_once_with_a_time_to_wait(held):
    arbiter = Arbiter(max_queued_pairs=3_000)
    await busy_for(arbiter, held, seconds=10)
    num_batches = len(held.batches)
    rows = rows_of_lengths([MAX_SEQ_LEN] * 1_000)
    with pytest.raises(WouldBeLateError, match="ms are left, about") as raised:
        await compute(arbiter, held, rows, deadline=time.perf_counter() + 5)
    assert 5 < raised.value.retry_after <= 30
    assert len(held.batches) == num_batches


async def test_what_comes_after_its_deadline_is_late_and_not_told_to_try_again(held):
    arbiter = Arbiter(max_queued_pairs=3_000)
    await busy_for(arbiter, held, seconds=10)
    num_batches = len(held.batches)
    with pytest.raises(LateError):
        await compute(arbiter, held, [[1]], deadline=time.perf_counter() - 0.001)
    assert len(held.batches) == num_batches


async def test_what_waits_before_is_enough_to_refuse_a_set_that_is_not_yet_tokenised(held):
    arbiter = Arbiter(max_queued_pairs=3_000)
    await busy_for(arbiter, held, seconds=10)
    await compute_queries(arbiter, held, seconds=10)
    deadline = time.perf_counter() + 5
    with pytest.raises(WouldBeLateError):
        arbiter.admitted(1, engine=held, deadline=deadline)
    with arbiter.admitted(1), arbiter.admitted(1, engine=held, deadline=deadline + 1_000):
        pass


async def compute_queries(arbiter, held, *, seconds: float):
    rows = rows_of_lengths([MAX_SEQ_LEN] * round(seconds * 5_000 / MAX_SEQ_LEN))
    compute(arbiter, held, rows, Priority.QUERY)
    await settled()


async def test_a_small_set_passes_what_would_make_it_late(held):
    arbiter = Arbiter(max_queued_pairs=3_000)
    await busy_for(arbiter, held, seconds=10)
    small = compute(arbiter, held, [[7]], deadline=time.perf_counter() + 5)
    await settled()
    await held.answer()
    await held.answer()
    assert (await small).output.tolist() == [7]


async def test_an_idle_engine_takes_on_anything_however_slow_it_is_believed_to_be(
    arbiter, held, clock
):
    clock.stand_still()
    rows = rows_of_lengths([MAX_SEQ_LEN] * 90)
    request = compute(arbiter, held, rows, deadline=time.perf_counter() + 0.9)  # 1.15 s expected
    await settled()
    while held.held:
        await clock.passes(0.005)
        await held.answer()
    assert len((await request).output) == 90


# --- never in time -------------------------------------------------------------------------------


def measured(arbiter, engine, *, tokens_per_second: int) -> None:
    """Lets an engine have computed full batches at such a speed just now."""
    for _ in range(5):
        arbiter.backlog.service_times[engine].measured(tokens_per_second, 1.0, is_full=True)


async def test_what_an_idle_engine_is_known_to_be_too_slow_for_is_refused_at_once(arbiter, held):
    measured(arbiter, held, tokens_per_second=MAX_SEQ_LEN)
    rows = rows_of_lengths([MAX_SEQ_LEN] * 50)
    with pytest.raises(
        NeverInTimeError, match=r"are left, about 4\d,\d+ ms are needed on an idle .* about 10% of"
    ):
        await compute(arbiter, held, rows, deadline=time.perf_counter() + 5)
    with pytest.raises(NeverInTimeError):
        arbiter.admitted(
            50, engine=held, num_tokens=50 * MAX_SEQ_LEN, deadline=time.perf_counter() + 5
        )
    assert not held.batches
    assert arbiter.num_admitted == 0


async def test_what_only_a_little_doubt_makes_late_is_taken_on(arbiter, held, clock):
    clock.stand_still()
    measured(arbiter, held, tokens_per_second=MAX_SEQ_LEN)
    rows = rows_of_lengths([MAX_SEQ_LEN] * 8)
    request = compute(arbiter, held, rows, deadline=time.perf_counter() + 5)
    await settled()
    while held.held:
        await held.answer()
    assert len((await request).output) == 8


async def test_what_could_never_be_in_time_is_not_told_to_try_again_on_a_busy_device(arbiter, held):
    measured(arbiter, held, tokens_per_second=MAX_SEQ_LEN)
    compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * 20))
    await settled()
    rows = rows_of_lengths([MAX_SEQ_LEN] * 50)
    with pytest.raises(NeverInTimeError):
        await compute(arbiter, held, rows, deadline=time.perf_counter() + 5)
    with pytest.raises(WouldBeLateError, match="deadline: "):  # alone it would be done
        await compute(arbiter, held, rows[:5], deadline=time.perf_counter() + 6)


@pytest.mark.parametrize(
    ("waited", "error"),
    [(0.0, "on an idle device"), (10_000.0, "deadline, given up: .* others were served before")],
    ids=["too slow", "served too late"],
)
async def test_after_a_pause_the_speed_is_found_out_and_then_the_request_given_up(
    arbiter, held, monkeypatch, waited, error
):
    """The engine is ten thousand times as fast as it was before the pause, and still too slow."""
    measured(arbiter, held, tokens_per_second=1)
    monkeypatch.setattr(service_time, "_FRESH_SECONDS", 0.0)
    rows = rows_of_lengths([MAX_SEQ_LEN] * 90)
    request = compute(arbiter, held, rows, deadline=time.perf_counter() + 60)
    await settled()
    (job,) = (job for jobs in arbiter.backlog.queues.values() for job in jobs)
    job.submitted -= waited
    monkeypatch.setattr(service_time, "_FRESH_SECONDS", 60.0)
    arbiter.backlog.service_times[held]._measured_full_at = -math.inf
    slow = arbiter.backlog.service_times[held].measured
    monkeypatch.setattr(
        arbiter.backlog.service_times[held],
        "measured",
        lambda num_tokens, _, *, is_full: slow(num_tokens, 10.0, is_full=is_full),
    )
    for _ in range(2):
        await held.answer()
    assert not request.done()
    await held.answer()
    with pytest.raises(NeverInTimeError if not waited else WouldBeLateError, match=error):
        await request
    assert not held.held
    assert len(held.batches) == 3


async def test_a_wrong_estimate_is_found_out_after_a_pause(arbiter, held, monkeypatch):
    measured(arbiter, held, tokens_per_second=1)
    monkeypatch.setattr(service_time, "_FRESH_SECONDS", 0.0)
    rows = rows_of_lengths([MAX_SEQ_LEN] * 9)  # 576 s at the speed before
    request = compute(arbiter, held, rows, deadline=time.perf_counter() + 60)
    await settled()
    while held.held:
        await held.answer()
    assert len((await request).output) == 9
    assert arbiter.backlog.service_times[held].tokens_per_second > 100


def test_nobody_is_told_to_wait_longer_than_half_a_minute():
    assert OverloadedError("", retry_after=268.0).retry_after == 30.0


async def test_more_tokens_than_may_wait_are_refused(held):
    arbiter = Arbiter(max_queued_pairs=100, max_queued_tokens=2 * MAX_SEQ_LEN)
    compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * 2))  # one of them is under way
    await settled()
    with pytest.raises(OverloadedError, match="128 tokens asked for, 64 of 128 are free"):
        await compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * 2))
    compute(arbiter, held, [[1]])
    await settled()


# --- as many as fit ------------------------------------------------------------------------------


async def test_what_is_done_by_the_deadline_is_answered(arbiter, held, clock):
    rows = rows_of_lengths([MAX_SEQ_LEN] * 3)
    request = compute_first(arbiter, held, rows, deadline=time.perf_counter() + 100)
    await settled()
    await held.answer()
    await held.answer()
    await clock.passes(100)
    computed = await request
    assert computed.output.tolist() == [1 * MAX_SEQ_LEN, 2 * MAX_SEQ_LEN]


async def test_no_more_is_begun_than_is_expected_to_fit(held, clock):
    clock.stand_still()
    arbiter = Arbiter(max_queued_pairs=3_000)
    rows = rows_of_lengths([MAX_SEQ_LEN] * 1_000)  # 12.8 s of work
    request = compute_first(arbiter, held, rows, deadline=time.perf_counter() + 5)
    await settled()
    while held.held:
        await held.answer()
    assert 300 < len((await request).output) < 391


async def test_the_first_are_computed_whatever_their_lengths(arbiter, held, clock):
    rows = rows_of_lengths([1, MAX_SEQ_LEN, 1, MAX_SEQ_LEN])
    request = compute_first(arbiter, held, rows, deadline=time.perf_counter() + 100)
    await settled()
    await held.answer()
    await held.answer()
    await clock.passes(100)
    assert len((await request).output) in (2, 3)


async def test_where_not_one_fits_the_request_is_refused_or_late(arbiter, held, clock):
    request = compute_first(arbiter, held, [[1] * 9], deadline=time.perf_counter() + 100)
    await settled()
    await clock.passes(100)
    with pytest.raises(LateError):
        await request
    await compute_queries(arbiter, held, seconds=10)
    with pytest.raises(WouldBeLateError):
        await compute_first(arbiter, held, [[1] * 9], deadline=time.perf_counter() + 5)
