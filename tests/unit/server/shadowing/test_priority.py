"""Pairs of shadows are never in a caller's way."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.server.scheduling.arbiter import Arbiter, Priority

from ..scripted import ScriptedEngine, compute, rows_of_lengths, settled

CALLS = st.lists(
    st.tuples(
        st.sampled_from([Priority.QUERY, Priority.RERANK, Priority.INGEST]),
        st.integers(1, 6),
        st.integers(1, 24),
    ),
    min_size=1,
    max_size=8,
)
SHADOW_ROWS = rows_of_lengths([10] * 3, first=9_000)


async def _order(calls, shadow_at: int | None) -> list[list[list[int]]]:
    """The batches of callers in the order in which an engine gets them, one at a time."""
    engine = ScriptedEngine(is_held=True)
    arbiter = Arbiter(max_queued_pairs=1_000)
    tasks = [compute(arbiter, engine, [[1]])]  # under way when the others come
    await settled()
    for i, (priority, count, length) in enumerate(calls):
        if i == shadow_at:
            tasks.append(compute(arbiter, engine, SHADOW_ROWS, Priority.SHADOW))
            await settled()
        rows = rows_of_lengths([length] * count, first=100 * (i + 1))
        tasks.append(compute(arbiter, engine, rows, priority))
        await settled()
    batches = []
    while engine.held:
        batches.append(await engine.answer())
    await asyncio.gather(*tasks)
    return batches


@settings(max_examples=60, deadline=None)
@given(calls=CALLS, where=st.integers(0, 7))
def test_callers_are_served_in_the_same_batches_and_order_with_a_shadow_and_without(calls, where):
    async def both() -> tuple[list[list[list[int]]], list[list[list[int]]]]:
        at = where % len(calls)
        return await _order(calls, None), await _order(calls, at)

    without, with_shadow = asyncio.run(both())
    of_shadow = [batch for batch in with_shadow if batch[0][0] >= 9_000]
    assert [batch for batch in with_shadow if batch not in of_shadow] == without
    assert with_shadow[len(without) :] == of_shadow  # after all that callers wait for
    assert [row for batch in of_shadow for row in batch] == SHADOW_ROWS


async def test_an_arbiter_is_idle_where_nobody_waits_is_computed_or_admitted():
    engine = ScriptedEngine(is_held=True)
    arbiter = Arbiter(max_queued_pairs=10)
    assert arbiter.is_idle
    with arbiter.admitted(1):
        assert not arbiter.is_idle
    assert arbiter.is_idle
    task = compute(arbiter, engine, [[1]])
    await settled()
    assert not arbiter.is_idle
    await engine.answer()
    await task
    assert arbiter.is_idle
