"""What comes back of what is asked: every row, an error, or a refusal."""

import asyncio
import time
from concurrent.futures import Future
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.base.engine import PackedLayout, PaddedLayout
from twopass.engines.errors import DeviceError, NonFiniteOutputError
from twopass.server.errors import OverloadedError, WouldBeLateError
from twopass.server.scheduling.arbiter import Arbiter, Priority

from ..scripted import (
    MAX_SEQ_LEN,
    ScriptedEngine,
    ScriptedTokenEngine,
    batch_of,
    compute,
    logits_of,
    rows_of_lengths,
    settled,
)

layouts = st.just(PackedLayout()) | st.lists(
    st.integers(1, MAX_SEQ_LEN), max_size=4, unique=True
).map(lambda buckets: PaddedLayout((*sorted({*buckets, MAX_SEQ_LEN}),)))
submissions = st.tuples(
    st.just("submit"),
    st.lists(st.integers(1, MAX_SEQ_LEN) | st.integers(1, 4), min_size=1, max_size=30),
    st.sampled_from(Priority),
)
answers = st.tuples(st.just("answer"), st.integers(0, 99), st.none())
cancellations = st.tuples(st.just("cancel"), st.integers(0, 99), st.none())


@settings(max_examples=300)
@given(
    layout=layouts,
    max_batch_tokens=st.integers(1, 4 * MAX_SEQ_LEN),
    max_in_flight=st.integers(1, 3),
    events=st.lists(submissions | answers | cancellations, max_size=25),
)
def test_every_row_is_answered_once_and_in_its_place_whatever_happens(
    layout, max_batch_tokens, max_in_flight, events
):
    async def scenario() -> None:
        engine = ScriptedEngine(
            layout=layout,
            max_batch_tokens=max_batch_tokens,
            max_in_flight=max_in_flight,
            is_held=True,
        )
        arbiter = Arbiter(max_queued_pairs=1)
        numbers = count(1)
        requests: list = []
        cancelled: dict[int, int] = {}  # how many batches there were by then
        queries: set[int] = set()
        for kind, value, priority in events:
            if kind == "submit":
                rows = [[next(numbers)] * length for length in value]
                queries.update(row[0] for row in rows if priority is Priority.QUERY)
                requests.append((rows, compute(arbiter, engine, rows, priority)))
            elif kind == "answer" and engine.held:
                await engine.answer(value % len(engine.held))
            elif kind == "cancel" and requests:
                which = value % len(requests)
                if requests[which][1].cancel():
                    cancelled.setdefault(which, len(engine.batches))
            await settled()
            num_queries = sum(rows[0][0] in queries for rows, _ in engine.held)
            assert num_queries <= max_in_flight  # whatever else is under way
            assert len(engine.held) - num_queries <= max_in_flight
        while engine.held:
            await engine.answer()
        for which, (rows, request) in enumerate(requests):
            if which not in cancelled:
                computed = await request
                assert computed.output.tolist() == logits_of(rows)
                assert computed.queue_seconds >= 0
                assert computed.engine_seconds >= 0
        for which, num_batches in cancelled.items():
            later = [row for rows in engine.batches[num_batches:] for row in rows]
            assert not any(row in later for row in requests[which][0])
        computed_rows = [row[0] for rows in engine.batches for row in rows]
        assert len(computed_rows) == len(set(computed_rows))
        for rows in engine.batches:
            assert len(rows) == 1 or cost(layout, rows) <= max_batch_tokens

    asyncio.run(scenario())


def cost(layout, rows) -> int:
    if isinstance(layout, PackedLayout):
        return sum(map(len, rows))
    buckets = [min(b for b in layout.buckets if b >= len(row)) for row in rows]
    assert len(set(buckets)) == 1  # rows of a batch share their bucket
    return len(rows) * buckets[0]


async def test_no_sequences_are_answered_without_an_engine(arbiter, held):
    computed = await arbiter.compute(held, batch_of([]), Priority.RERANK)
    assert len(computed.output) == 0
    assert not held.batches


async def test_embeddings_keep_their_rows(arbiter, held):
    request = compute(arbiter, held, rows_of_lengths([2, 1, 3]))
    await settled()
    await held.answer(output=np.array([[3, 3.5], [1, 1.5], [2, 2.5]], np.float32))
    # The batch was longest first; the answer is as it was asked.
    assert (await request).output.tolist() == [[1, 1.5], [2, 2.5], [3, 3.5]]


@settings(max_examples=50)
@given(
    requests=st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(1, 9), min_size=1, max_size=9)), max_size=9
    ),
    max_batch_tokens=st.integers(1, 30),
)
def test_vectors_of_tokens_come_in_their_places_and_share_no_batch_with_other_outputs(
    requests, max_batch_tokens
):
    async def scenario() -> None:
        engine = ScriptedTokenEngine(max_batch_tokens=max_batch_tokens)
        arbiter = Arbiter(max_queued_pairs=1)
        numbers = count(1)
        asked = [
            (of_tokens, [[next(numbers)] * length for length in lengths])
            for of_tokens, lengths in requests
        ]
        answers = await asyncio.gather(
            *(
                arbiter.compute(engine, batch_of(rows), Priority.INGEST, of_tokens=of_tokens)
                for of_tokens, rows in asked
            )
        )
        for (of_tokens, rows), computed in zip(asked, answers, strict=True):
            flat = [token for row in rows for token in row]
            expected = [[x, x + 0.5] for x in flat] if of_tokens else logits_of(rows)
            assert computed.output.tolist() == expected
        kinds = {row[0]: of_tokens for of_tokens, rows in asked for row in rows}
        assert all(len({kinds[row[0]] for row in rows}) == 1 for rows in engine.batches)

    asyncio.run(scenario())


async def test_a_token_without_a_finite_vector_fails_its_request_and_names_its_sequence(arbiter):
    engine = ScriptedTokenEngine()
    nothing = np.full((3, 2), np.nan, np.float32)
    vectors: Future = Future()
    vectors.set_result(np.concatenate([nothing, np.ones((2, 2), np.float32)]))
    engine.submit_tokens = lambda _: vectors
    rows = rows_of_lengths([2, 3])
    with pytest.raises(NonFiniteOutputError, match="sequence 1 of 2"):
        await arbiter.compute(engine, batch_of(rows), Priority.INGEST, of_tokens=True)


# --- failures ------------------------------------------------------------------------------------


async def test_a_failing_batch_fails_its_own_requests_only(arbiter, held):
    rows = [[number] * MAX_SEQ_LEN for number in (1, 2)]  # each fills a batch
    failing, sound = (compute(arbiter, held, [row]) for row in rows)
    await settled()
    await held.answer(output=DeviceError("burnt"))
    await held.answer()
    with pytest.raises(DeviceError, match="burnt"):
        await failing
    assert (await sound).output.tolist() == [2 * MAX_SEQ_LEN]


async def test_a_request_with_a_failed_batch_asks_for_no_more(arbiter, held):
    request = compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * 5))
    await settled()
    await held.answer(output=DeviceError("burnt"))
    with pytest.raises(DeviceError):
        await request
    while held.held:  # the one that was submitted at the same moment, at most
        await held.answer()
    assert len(held.batches) <= 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(2,), (2, 3)], ids=["logits", "embeddings"])
async def test_an_output_that_is_not_finite_fails_the_request_it_belongs_to_alone(
    arbiter, held, value, shape
):
    blocker = compute(arbiter, held, [[9]])
    await settled()
    overflowing, sound = (compute(arbiter, held, [row]) for row in ([1], [2]))
    told: list = []
    arbiter.on_failure = lambda engine, error: told.append((engine, error))
    await settled()
    await held.answer()
    output = np.ones(shape, np.float32)
    output.reshape(2, -1)[0, -1] = value
    await held.answer(output=output)
    with pytest.raises(NonFiniteOutputError, match="not finite for sequence 0 of 1"):
        await overflowing
    assert np.isfinite((await sound).output).all()
    await blocker
    ((engine, error),) = told
    assert engine is held
    assert isinstance(error, NonFiniteOutputError)


async def test_of_many_sequences_that_are_not_finite_the_first_are_named(arbiter, held):
    request = compute(arbiter, held, [[1]] * 9)
    await settled()
    await held.answer(output=np.array([1, *[np.nan] * 8], np.float32))
    with pytest.raises(NonFiniteOutputError, match="sequence 1, 2, 3, 4, 5 and 3 more of 9"):
        await request


@pytest.mark.parametrize("num_outputs", [0, 1, 3])
async def test_another_number_of_outputs_is_a_failure_of_the_device(arbiter, held, num_outputs):
    request = compute(arbiter, held, [[1], [2]])
    await settled()
    await held.answer(output=np.ones(num_outputs, np.float32))
    with pytest.raises(DeviceError, match=f"{num_outputs} outputs, not 2"):
        await request


async def test_an_engine_that_refuses_at_once_fails_like_any_other(arbiter, monkeypatch):
    engine = ScriptedEngine()

    def refuse(batch: object) -> Future:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(engine, "submit", refuse)
    with pytest.raises(RuntimeError, match="after shutdown"):
        await arbiter.compute(engine, batch_of([[1]]), Priority.RERANK)
    monkeypatch.undo()
    computed = await arbiter.compute(engine, batch_of([[1]]), Priority.RERANK)
    assert computed.output.tolist() == [1]


# --- admission -----------------------------------------------------------------------------------


def test_admission_is_whole_or_not_at_all(arbiter):
    with arbiter.admitted(60):
        with pytest.raises(OverloadedError, match="queue: 41 places asked for, 40 of 100 are free"):
            arbiter.admitted(41).__enter__()
        with arbiter.admitted(40), pytest.raises(OverloadedError):
            arbiter.admitted(1).__enter__()


async def test_work_that_is_on_its_way_counts_until_it_has_arrived(arbiter, held):
    compute(arbiter, held, [[1]])  # an idle device would take it on
    await settled()
    six_seconds = {"engine": held, "num_tokens": 30_000}
    deadline = time.perf_counter() + 10.0
    with arbiter.admitted(1, **six_seconds, deadline=deadline) as admission:
        with pytest.raises(WouldBeLateError):
            arbiter.admitted(1, **six_seconds, deadline=deadline)
        admission.arrived()
        with arbiter.admitted(1, **six_seconds, deadline=deadline):
            pass


def test_places_are_free_again_whatever_became_of_the_request(arbiter):
    with pytest.raises(ZeroDivisionError), arbiter.admitted(100):
        raise ZeroDivisionError
    with arbiter.admitted(100):
        pass


async def test_a_full_queue_says_when_there_may_be_room(arbiter, held):
    compute(arbiter, held, rows_of_lengths([MAX_SEQ_LEN] * 100))
    await settled()
    with arbiter.admitted(60), pytest.raises(OverloadedError) as raised:
        arbiter.admitted(41)
    assert 0 < raised.value.retry_after <= 30


def test_places_held_by_sets_that_are_still_coming_are_worth_a_pause(arbiter):
    with arbiter.admitted(60), pytest.raises(OverloadedError) as raised:
        arbiter.admitted(41)
    assert raised.value.retry_after >= 0.1


def test_what_the_queue_is_too_small_for_is_not_told_to_try_again(arbiter):
    with pytest.raises(OverloadedError, match="101 places asked for, it has 100 in all") as raised:
        arbiter.admitted(101)
    assert raised.value.retry_after is None


async def test_more_tokens_than_the_queue_ever_holds_are_not_told_to_try_again(held):
    arbiter = Arbiter(max_queued_pairs=100, max_queued_tokens=9)
    with pytest.raises(OverloadedError, match="10 tokens asked for, it has 9 in all") as raised:
        await compute(arbiter, held, rows_of_lengths([10]))
    assert raised.value.retry_after is None
