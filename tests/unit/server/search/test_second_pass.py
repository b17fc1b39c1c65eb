import asyncio
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twopass.engines.base.sequences import Ragged
from twopass.server.errors import LateError
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import PairQuery
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.second_pass import (
    Policy,
    ScoredPairs,
    SecondPass,
    best_first,
    room_beside,
)

from ..scripted import MAX_SEQ_LEN, NumberTokenizer, ScriptedEngine, scripted_reranker, settled

# Few distinct values, so that there are ties.
scores = st.integers(0, 30).flatmap(
    lambda n: st.tuples(
        *[
            hnp.arrays(np.float32, n, elements=st.sampled_from([-7.5, -1, 0, 0.25, 1, 3, 1e4]))
            for _ in range(2)
        ]
    )
)


def asked(token_ids: list[int]) -> PairQuery:
    return PairQuery(np.array(token_ids, np.int32), NumberTokenizer.template)


def naive_z(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    deviation = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
    return [(v - mean) / deviation if deviation else 0.0 for v in values]


@given(scores, st.integers(0, 40))
def test_without_blend_the_best_logits_come_first_and_ties_keep_their_order(both, count):
    logits, first_pass = both
    naive = sorted(range(len(logits)), key=lambda i: -logits[i])
    order = best_first(logits, first_pass, 0.0, count)
    assert order.tolist() == naive[: count or None]
    assert order.dtype == np.int32


@given(scores, st.floats(0, 1))
def test_blend_orders_by_the_weighted_standard_scores(both, blend):
    logits, first_pass = both
    order = best_first(logits, first_pass, blend, 0).tolist()
    assert sorted(order) == list(range(len(logits)))
    if not order:
        return
    pairs = zip(naive_z(first_pass.tolist()), naive_z(logits.tolist()), strict=True)
    keys = [blend * first + (1 - blend) * second for first, second in pairs]
    for ahead, behind in pairwise(order):
        # Blended keys are compared as float32: those closer than its resolution count as equal.
        assert keys[ahead] >= keys[behind] - 1e-6 * max(1, abs(keys[behind]))
        if logits[ahead] == logits[behind] and first_pass[ahead] == first_pass[behind]:
            assert ahead < behind


@pytest.mark.parametrize(
    ("blend", "expected"), [(0.0, [2, 1, 0]), (1.0, [0, 1, 2]), (0.25, [2, 1, 0])]
)
def test_blend_moves_the_order_from_one_pass_to_the_other(blend, expected):
    logits, first_pass = np.array([[1, 2, 3], [3, 2, 1]], np.float32)
    assert best_first(logits, first_pass, blend, 0).tolist() == expected


def test_equal_weights_of_opposite_orders_cancel_out():
    logits, first_pass = np.array([[10, 20, 30], [3, 2, 1]], np.float32)
    assert best_first(logits, first_pass, 0.5, 0).tolist() == [0, 1, 2]


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e7], ids=repr)
def test_a_constant_pass_has_no_say(constant):
    varied = np.array([2, 3, 1], np.float32)
    flat = np.full(3, constant, np.float32)
    assert best_first(varied, flat, 0.5, 0).tolist() == [1, 0, 2]
    assert best_first(flat, varied, 0.5, 0).tolist() == [1, 0, 2]
    assert best_first(flat, flat, 0.5, 0).tolist() == [0, 1, 2]


def test_blend_without_first_pass_scores_is_the_reranker_alone():
    assert best_first(np.array([1, 2], np.float32), None, 0.5, 0).tolist() == [1, 0]


@pytest.mark.parametrize("excess", [-1, 0, 1, 100], ids="excess={}".format)
async def test_a_passage_is_cut_where_the_sequence_ends_and_marked(excess):
    engine = ScriptedEngine(max_batch_tokens=1_000)
    room = MAX_SEQ_LEN - 3 - 2  # three special tokens, two of the query
    long, short = [1] * (room + excess), [5]
    scored = await SecondPass(Arbiter(max_queued_pairs=9)).score(
        scripted_reranker(engine),
        asked([10, 10]),
        Ragged.from_rows([long, short]),
        Policy(),
    )
    assert scored.truncated.tolist() == [excess > 0, False]
    assert scored.logits.tolist() == [20 + min(room, room + excess), 25]
    assert scored.num_tokens == min(MAX_SEQ_LEN, MAX_SEQ_LEN + excess) + 6
    assert [len(row) for row in engine.batches[0]] == [min(MAX_SEQ_LEN, 64 + excess), 6]


@pytest.mark.parametrize(
    ("max_passage_tokens", "room"), [(1, 1), (30, 30), (59, 59), (60, 59), (900, 59), (None, 59)]
)
async def test_no_more_of_a_passage_is_read_at_once_than_the_model_says(max_passage_tokens, room):
    reranker = scripted_reranker(ScriptedEngine(), max_passage_tokens=max_passage_tokens)
    query = asked([10, 10])  # beside it and three special tokens, 59 are left of 64
    assert room_beside(reranker, query) == room
    second_pass = SecondPass(Arbiter(max_queued_pairs=99))
    passages = Ragged.from_rows([[1] * room, [1] * (room + 1)])
    cut = await second_pass.score(reranker, query, passages, Policy())
    assert (cut.logits.tolist(), cut.truncated.tolist()) == ([20 + room, 20 + room], [False, True])
    read = await second_pass.score(reranker, query, passages, Policy(Truncation.MAX_WINDOW))
    assert read.windows.tolist() == [[0, room], [0, room]]
    assert not read.truncated.any()


async def test_no_passages_have_no_scores():
    scored = await SecondPass(Arbiter(max_queued_pairs=9)).score(
        scripted_reranker(ScriptedEngine()),
        asked([1]),
        Ragged.from_rows([]),
        Policy(),
    )
    assert len(scored.logits) == len(scored.scores) == len(scored.truncated) == 0


# --- as many passages as there is time for -------------------------------------------------------

ROOM = MAX_SEQ_LEN - 3 - 1  # three special tokens, one of the query


def begin_first(
    engine: ScriptedEngine, lengths: list[int], truncation: Truncation
) -> asyncio.Task[ScoredPairs]:
    """Begins to score passages of these lengths in 100 s, by an engine of one row a batch."""
    return asyncio.create_task(
        SecondPass(Arbiter(max_queued_pairs=99)).score(
            scripted_reranker(engine),
            asked([10]),
            Ragged.from_rows([[i] * length for i, length in enumerate(lengths, 1)]),
            Policy(truncation, time.perf_counter() + 100, first_suffice=True),
        )
    )


@pytest.mark.parametrize(
    ("truncation", "num_computed", "logits"),
    [
        (Truncation.TRUNCATE, 2, [10 + ROOM, 10 + 2 * ROOM]),
        # The first passage has one window, the second and the third have two each.
        (Truncation.MAX_WINDOW, 2, [10 + ROOM]),
        (Truncation.MAX_WINDOW, 4, [10 + ROOM, 10 + 2 * ROOM]),
        (Truncation.MAX_WINDOW, 5, [10 + ROOM, 10 + 2 * ROOM, 10 + 3 * ROOM]),
    ],
)
async def test_passages_read_by_the_deadline_are_scored(truncation, num_computed, logits, clock):
    engine = ScriptedEngine(is_held=True)
    scoring = begin_first(engine, [ROOM, ROOM + 9, ROOM + 9], truncation)
    for _ in range(num_computed):
        await settled()
        await engine.answer()
    await clock.passes(100)
    scored = await scoring
    assert scored.logits.tolist() == logits
    assert len(scored.scores) == len(scored.truncated) == len(logits)
    if truncation is Truncation.MAX_WINDOW:
        assert scored.windows.tolist() == [[0, ROOM]] * len(logits)


async def test_where_no_passage_is_read_in_all_its_windows_it_is_late(clock):
    engine = ScriptedEngine(is_held=True)
    scoring = begin_first(engine, [ROOM + 9], Truncation.MAX_WINDOW)
    await settled()
    await engine.answer()
    await clock.passes(100)
    with pytest.raises(LateError, match="all windows of one passage"):
        await scoring
