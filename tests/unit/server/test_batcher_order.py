"""What the engine sees, in which order, and what it never sees."""

import asyncio
import time

import pytest

from twopass.server.batcher import Batcher, Priority
from twopass.server.errors import LateError

from .scripted import MAX_SEQ_LEN, ScriptedEngine, compute, rows_of_lengths, settled


async def test_queries_go_before_reranking_and_that_before_ingest(batcher, held):
    blocker = compute(batcher, held, [[9]])
    await settled()
    rows = {Priority.INGEST: [[1]], Priority.RERANK: [[2]], Priority.QUERY: [[3]]}
    requests = [compute(batcher, held, rows[priority], priority) for priority in rows]
    await settled()
    order = [await held.answer() for _ in range(4)]
    assert order == [[[9]], [[3]], [[2]], [[1]]]
    await asyncio.gather(blocker, *requests)


async def test_a_small_set_waits_for_no_more_than_the_batch_under_way_and_the_next(held):
    batcher = Batcher(max_queued_pairs=3_000)
    compute(batcher, held, rows_of_lengths([8] * 2_000))
    await settled()
    small = compute(batcher, held, rows_of_lengths([8] * 5, first=5_000))
    await settled()
    await held.answer()  # under way when the small set came
    await held.answer()  # the turn of the large one, in which the small one may already share
    await held.answer()
    assert small.done()
    assert (await small).output.tolist() == [8.0 * n for n in range(5_000, 5_005)]


async def test_sets_of_any_size_take_turns(held):
    batcher = Batcher(max_queued_pairs=3_000)
    compute(batcher, held, [[1]])
    await settled()
    for which, size in enumerate([100, 9, 1_000, 8]):
        compute(batcher, held, rows_of_lengths([16] * size, first=1_000 * (which + 1)))
    await settled()
    await held.answer()
    rows = [row[0] // 1_000 - 1 for _ in range(8) for row in await held.answer()]
    assert {which: rows.count(which) for which in range(4)} == dict.fromkeys(range(4), 8)


async def test_requests_share_a_batch(batcher, held):
    blocker = compute(batcher, held, [[9]])
    await settled()
    requests = [compute(batcher, held, [[number] * 8]) for number in range(1, 5)]
    await settled()
    await held.answer()
    assert len(held.held[0][0]) == 4
    await held.answer()
    await asyncio.gather(blocker, *requests)


async def test_engines_of_one_device_take_turns(batcher):
    first, second = ScriptedEngine(is_held=True), ScriptedEngine(is_held=True)
    requests = [compute(batcher, engine, [[1]]) for engine in (first, second)]
    await settled()
    assert (len(first.held), len(second.held)) == (1, 0)
    await first.answer()
    await second.answer()
    await asyncio.gather(*requests)


# --- cancelled and late --------------------------------------------------------------------------


async def test_what_is_cancelled_in_the_queue_never_reaches_the_engine(batcher, held):
    blocker = compute(batcher, held, [[9]])
    await settled()
    waiting = compute(batcher, held, [[1], [2]])
    await settled()
    waiting.cancel()
    await settled()
    await held.answer()
    assert held.batches == [[[9]]]
    await blocker


async def test_what_is_left_of_a_cancelled_request_leaves_the_queue(batcher, held):
    large = compute(batcher, held, rows_of_lengths([MAX_SEQ_LEN] * 5))
    await settled()
    large.cancel()
    await settled()
    await held.answer()
    assert len(held.batches) == 1


async def test_what_becomes_late_in_the_queue_never_reaches_the_engine(batcher, held):
    blocker = compute(batcher, held, [[9]])
    await settled()
    with pytest.raises(LateError, match="deadline"):
        await compute(batcher, held, [[1]], deadline=time.perf_counter() + 0.01)
    await held.answer()
    assert held.batches == [[[9]]]
    await blocker


async def test_what_comes_late_never_reaches_an_idle_engine(batcher, held):
    with pytest.raises(LateError, match="deadline"):
        await compute(batcher, held, [[1]], deadline=time.perf_counter() - 1)
    assert not held.batches


async def test_the_device_is_free_again_after_a_late_request(batcher, held):
    with pytest.raises(LateError):
        await compute(batcher, held, [[1]], deadline=time.perf_counter() + 0.01)
    following = compute(batcher, held, [[2]])
    await settled()
    await held.answer()  # late, and dropped
    await held.answer()
    assert (await following).output.tolist() == [2]
