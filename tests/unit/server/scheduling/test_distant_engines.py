"""An engine that others ask too learns until when a batch is wanted, for what, and when not."""

import asyncio
import time

import numpy as np
import pytest

from twopass.engines.base.engine import Urgency
from twopass.engines.errors import NonFiniteOutputError
from twopass.server.scheduling.arbiter import Arbiter, Priority

from ..scripted import (
    MAX_SEQ_LEN,
    ScriptedDistantEngine,
    ScriptedEngine,
    batch_of,
    compute,
    logits_of,
    rows_of_lengths,
    settled,
)


async def test_a_batch_is_wanted_until_the_last_of_its_requests_is_late():
    arbiter, engine = Arbiter(max_queued_pairs=9), ScriptedDistantEngine()
    rows = rows_of_lengths([MAX_SEQ_LEN, 8, 8])
    first = compute(arbiter, engine, rows[:1], Priority.INGEST)
    await settled()
    sooner, later = time.perf_counter() + 50, time.perf_counter() + 90
    others = [
        compute(arbiter, engine, [row], deadline=end)
        for row, end in zip(rows[1:], (later, sooner), strict=True)
    ]
    await settled()
    await engine.answer()
    assert [terms.end for terms in engine.terms] == [None, later]
    assert [terms.urgency for terms in engine.terms] == [Urgency.INGEST, Urgency.RERANK]
    await engine.answer()
    await asyncio.gather(first, *others)


async def test_a_batch_with_a_request_that_never_is_late_is_wanted_for_ever():
    arbiter, engine = Arbiter(max_queued_pairs=9), ScriptedDistantEngine()
    rows = rows_of_lengths([MAX_SEQ_LEN, 8, 8])
    tasks = [compute(arbiter, engine, rows[:1])]
    await settled()
    tasks += [compute(arbiter, engine, [rows[1]], deadline=time.perf_counter() + 50)]
    tasks += [compute(arbiter, engine, [rows[2]])]
    await settled()
    await engine.answer()
    assert engine.terms[1].end is None
    await engine.answer()
    await asyncio.gather(*tasks)


async def test_a_batch_is_given_up_when_nobody_waits_for_any_of_it():
    arbiter, engine = Arbiter(max_queued_pairs=9), ScriptedDistantEngine()
    rows = rows_of_lengths([MAX_SEQ_LEN, 8, 8])
    holding = compute(arbiter, engine, rows[:1])
    await settled()
    shared = [compute(arbiter, engine, [row]) for row in rows[1:]]
    await settled()
    await engine.answer()
    await holding
    ((_, future),) = engine.held
    shared[0].cancel()
    await settled()
    assert not future.cancelled()  # the other still waits
    shared[1].cancel()
    await settled()
    assert future.cancelled()
    assert arbiter.backlog.num_in_flight == 0


async def test_a_batch_that_was_given_up_says_nothing_of_the_engines_speed():
    arbiter, engine = Arbiter(max_queued_pairs=9), ScriptedDistantEngine()
    before = arbiter.backlog.service_times[engine].tokens_per_second
    task = compute(arbiter, engine, rows_of_lengths([8]))
    await settled()
    task.cancel()
    await settled()
    assert arbiter.backlog.service_times[engine].tokens_per_second == before


async def test_an_engine_that_knows_its_speed_is_believed():
    arbiter, engine = Arbiter(max_queued_pairs=9), ScriptedDistantEngine()
    engine.tokens_per_second = 1e6
    for _ in range(20):
        task = compute(arbiter, engine, rows_of_lengths([64]))
        await settled()
        await engine.answer()
        await task
    speed = arbiter.backlog.service_times[engine].tokens_per_second
    without_what_was_assumed_at_first = 20 * 64 / (20 * 64 / 1e6 + 1e-3)
    assert speed == pytest.approx(without_what_was_assumed_at_first, rel=0.05)


async def test_an_engine_of_this_process_finishes_what_nobody_waits_for():
    arbiter, engine = Arbiter(max_queued_pairs=9), ScriptedEngine(is_held=True)
    task = compute(arbiter, engine, rows_of_lengths([8]))
    await settled()
    task.cancel()
    await settled()
    ((_, future),) = engine.held
    assert not future.cancelled()
    assert arbiter.backlog.num_in_flight == 1


async def test_values_that_are_no_numbers_are_an_error_unless_any_are_taken():
    arbiter, engine = Arbiter(max_queued_pairs=9), ScriptedEngine(is_held=True)
    rows = rows_of_lengths([4, 4])
    failures = []
    arbiter.on_failure = lambda _engine, error: failures.append(type(error))
    output = np.array([logits_of(rows[:1])[0], np.nan], np.float32)
    task = asyncio.create_task(
        arbiter.compute(engine, batch_of(rows), Priority.RERANK, takes_any=True)
    )
    await settled()
    await engine.answer(output=output)
    np.testing.assert_array_equal((await task).output, output)
    assert failures == [NonFiniteOutputError]  # so that the engine is probed
    task = compute(arbiter, engine, rows)
    await settled()
    await engine.answer(output=output)
    with pytest.raises(NonFiniteOutputError):
        await task
