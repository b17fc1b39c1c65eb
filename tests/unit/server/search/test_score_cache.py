"""Scores that were computed before are those that would be computed, and are computed once."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.base.sequences import PairTemplate, Ragged
from twopass.engines.errors import DeviceError
from twopass.server.errors import LateError
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import PairQuery
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.score_cache import ScoreCache
from twopass.server.search.second_pass import Policy, SecondPass
from twopass.server.telemetry.metrics import Metrics

from ..scripted import MAX_SEQ_LEN, NumberTokenizer, ScriptedEngine, scripted_reranker, settled

ROOMY = 1 << 20


def asked(*token_ids, template=NumberTokenizer.template):
    return PairQuery(np.array(token_ids, np.int32), template)


class Parts:
    """A second pass with a cache, over an engine that tells what it computed."""

    def __init__(self, max_bytes=ROOMY, max_places=10_000, **engine):
        self.engine = ScriptedEngine(**{"max_batch_tokens": 100_000} | engine)
        self.reranker = scripted_reranker(self.engine)
        self.arbiter = Arbiter(max_queued_pairs=max_places)
        self.metrics = Metrics()
        self.cache = ScoreCache(max_bytes, self.metrics)
        self.second_pass = SecondPass(self.arbiter, self.cache)

    async def score(self, query, passages, policy=None, reranker=None, admission=None):
        return await self.second_pass.score(
            reranker or self.reranker,
            asked(*query),
            Ragged.from_rows(passages),
            policy or Policy(),
            admission,
        )

    def num_computed(self):
        """Pairs computed since this was asked last."""
        count = sum(map(len, self.engine.batches))
        self.engine.batches.clear()
        return count


async def test_a_pair_is_computed_once():
    parts = Parts()
    first = await parts.score([1], [[2], [3, 4]])
    assert (first.num_cached, parts.num_computed()) == (0, 2)
    second = await parts.score([1], [[3, 4], [5], [2]])
    assert second.logits.tolist() == [1 + 7, 1 + 5, 1 + 2]
    assert second.is_cached.tolist() == [True, False, True]
    assert (second.num_cached, parts.num_computed()) == (2, 1)
    third = await parts.score([1], [[2], [5]])
    assert (third.num_cached, parts.num_computed()) == (2, 0)
    assert (third.queue_seconds, third.engine_seconds) == (0, 0)


async def test_tokens_count_whether_computed_or_not():
    parts = Parts()
    counts = [(await parts.score([1], [[2], [3, 4]])).num_tokens for _ in range(2)]
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize(
    "other",
    [
        {"query": [7, 8], "passage": [9]},  # the same tokens, parted elsewhere
        {"query": [7], "passage": [8, 9, 0]},
        {"query": [7], "passage": [9, 8]},
        {"template": PairTemplate((0,), (0,), (0,), passage_type=0)},  # other token types
        {"revision": "f" * 64},
        {"engine": "another"},
        {"precision": "int8"},
        {"device": "another"},
    ],
    ids=repr,
)
async def test_whatever_decides_a_logit_is_in_its_key(other):
    parts = Parts()
    await parts.score([7], [[8, 9]])
    parts.num_computed()
    reranker = parts.reranker
    if "revision" in other:
        reranker = replace(reranker, spec=replace(reranker.spec, revision=other["revision"]))
    for name in ("engine", "precision", "device"):
        if name in other:
            engine = ScriptedEngine(max_batch_tokens=100_000)
            engine.info = replace(engine.info, **{name: other[name]})
            engine.batches = parts.engine.batches
            reranker = replace(reranker, engine=engine)
    query = asked(
        *other.get("query", [7]), template=other.get("template", NumberTokenizer.template)
    )
    passages = Ragged.from_rows([other.get("passage", [8, 9])])
    scored = await parts.second_pass.score(reranker, query, passages, Policy())
    assert (scored.num_cached, parts.num_computed()) == (0, 1)


async def test_what_is_beyond_the_cut_does_not_matter():
    parts = Parts()
    room = MAX_SEQ_LEN - 4
    await parts.score([1], [[2] * room])
    scored = await parts.score([1], [[2] * room + [3]])
    assert (scored.num_cached, scored.truncated.tolist()) == (1, [True])


async def test_pools_are_apart_and_none_keeps_nothing():
    parts = Parts()
    for pool, num_computed in [("", 1), ("", 0), ("own", 1), ("own", 0), (None, 1), (None, 1)]:
        scored = await parts.score([1], [[2]], Policy(pool=pool))
        assert (scored.num_cached, parts.num_computed()) == (1 - num_computed, num_computed)


async def test_without_memory_nothing_is_kept():
    parts = Parts(max_bytes=0)
    for _ in range(2):
        assert (await parts.score([1], [[2]])).num_cached == 0
        assert parts.num_computed() == 1


async def test_an_engine_that_fails_leaves_nothing_behind():
    parts = Parts(is_held=True)
    for output in (DeviceError("it broke"), np.array([np.nan, 1], np.float32)):
        scoring = asyncio.create_task(parts.score([1], [[2], [3]]))
        await settled()
        await parts.engine.answer(output=output)
        with pytest.raises(Exception, match=r"it broke|not finite"):
            await scoring
    assert len(parts.cache) == 0


async def test_who_asked_for_a_pair_and_left_leaves_it_to_others():
    parts = Parts(is_held=True)
    first = asyncio.create_task(parts.score([1], [[2]]))
    second = asyncio.create_task(parts.score([1], [[2]]))
    await settled()
    first.cancel()
    await settled()
    while parts.engine.held:
        await parts.engine.answer()
    assert (await second).logits.tolist() == [1 + 2]
    assert first.cancelled()
    assert len(parts.cache) == 1


async def test_a_fleet_that_changed_meanwhile_keeps_nothing():
    parts = Parts(is_held=True)
    scoring = asyncio.create_task(parts.score([1], [[2]]))
    await settled()
    parts.engine.info = replace(parts.engine.info, device="joined since")
    await parts.engine.answer()
    assert (await scoring).logits.tolist() == [3]
    assert len(parts.cache) == 0


@pytest.mark.parametrize("truncation", [Truncation.TRUNCATE, Truncation.MAX_WINDOW])
async def test_places_of_what_need_not_be_computed_are_free_at_once(truncation):
    parts = Parts(max_places=4)
    policy = Policy(truncation)
    with parts.arbiter.admitted(2) as admission:
        await parts.score([1], [[2], [3]], policy, admission=admission)
    parts.engine.is_held = True
    with parts.arbiter.admitted(3) as admission:
        passages = [[2], [3], [4]]
        scoring = asyncio.create_task(parts.score([1], passages, policy, admission=admission))
        await settled()
        assert parts.arbiter.num_admitted == 1
        await parts.engine.answer()
        assert (await scoring).is_cached.tolist() == [True, True, False]
    assert parts.arbiter.num_admitted == 0


async def test_windows_that_are_known_need_no_places():
    parts = Parts(max_places=9)
    long = [[i] * 250 for i in range(1, 3)]
    policy = Policy(Truncation.MAX_WINDOW)
    with parts.arbiter.admitted(1) as admission:
        one = await parts.score([1], long[:1], policy, admission=admission)
    num_windows = parts.num_computed()
    assert num_windows > 4
    # Both have more windows than there are places; half of them are known.
    with parts.arbiter.admitted(2) as admission:
        both = await parts.score([1], long, policy, admission=admission)
    assert (both.is_cached.tolist(), parts.num_computed()) == ([True, False], num_windows)
    assert both.logits[0] == one.logits[0]
    assert both.windows[0].tolist() == one.windows[0].tolist()


async def test_a_passage_of_which_a_window_is_new_is_not_cached():
    parts = Parts()
    policy = Policy(Truncation.MAX_WINDOW)
    await parts.score([1], [[2] * 60], policy)
    scored = await parts.score([1], [[2] * 60 + [3] * 30], policy)
    assert scored.is_cached.tolist() == [False]
    assert parts.num_computed() < 1 + 2 + 2


# --- as many as there is time for ----------------------------------------------------------------


def soon():
    return Policy(deadline=time.perf_counter() + 100, first_suffice=True)


async def late(clock, scoring):
    """What a call that waits for the engine has at its deadline."""
    task = asyncio.create_task(scoring)
    await settled()
    await clock.passes(100)
    return await task


async def test_known_pairs_extend_what_there_was_time_for(clock):
    parts = Parts()
    await parts.score([1], [[2], [4], [6]])
    parts.engine.is_held, parts.engine.info = True, replace(parts.engine.info, max_batch_tokens=1)
    scoring = asyncio.create_task(parts.score([1], [[2], [3], [4], [5], [6]], soon()))
    await settled()
    await parts.engine.answer()
    await clock.passes(100)
    scored = await scoring
    assert scored.logits.tolist() == [3, 4, 5]  # up to the first that is missing
    assert scored.is_cached.tolist() == [True, False, True]


async def test_leading_known_pairs_suffice_where_there_is_no_time_for_more(clock):
    parts = Parts()
    await parts.score([1], [[2], [3]])
    parts.engine.is_held = True
    scored = await late(clock, parts.score([1], [[2], [3], [4]], soon()))
    assert scored.logits.tolist() == [3, 4]
    with pytest.raises(LateError):
        await late(clock, parts.score([1], [[4], [2], [3]], soon()))


# --- against the plain one -----------------------------------------------------------------------

calls = st.tuples(
    st.integers(1, 3),  # the query
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 150)), max_size=8),  # token and length
    st.sampled_from([Truncation.TRUNCATE, Truncation.MAX_WINDOW]),
    st.sampled_from(["", "own", None]),
    st.sampled_from(["a", "b"]),  # the reranker's revision
)


@settings(deadline=None)
@given(
    st.lists(st.lists(calls, min_size=1, max_size=4), max_size=8), st.sampled_from([0, 700, ROOMY])
)
def test_scores_are_those_of_a_second_pass_without_a_cache(rounds, max_bytes):
    """Calls of a round run side by side."""

    async def scenario():
        parts, plain = Parts(max_bytes), Parts(0)

        async def score(parts, call):
            token, passages, truncation, pool, revision = call
            reranker = replace(parts.reranker, spec=replace(parts.reranker.spec, revision=revision))
            rows = [[token] * length for token, length in passages]
            return await parts.score([token], rows, Policy(truncation, pool=pool), reranker)

        for calls in rounds:
            found = await asyncio.gather(*(score(parts, call) for call in calls))
            for call, scored in zip(calls, found, strict=True):
                expected = await score(plain, call)
                assert scored.logits.tobytes() == expected.logits.tobytes()
                assert scored.scores.tobytes() == expected.scores.tobytes()
                assert scored.truncated.tolist() == expected.truncated.tolist()
                assert scored.num_tokens == expected.num_tokens
                if expected.windows is not None:
                    assert scored.windows.tolist() == expected.windows.tolist()
        assert parts.cache.num_bytes <= max_bytes
        assert parts.arbiter.num_admitted == 0

    asyncio.run(scenario())


async def test_look_ups_are_counted():
    parts = Parts()
    await parts.score([1], [[2], [3]])
    await parts.score([1], [[2], [3], [4]])
    counted = {
        sample.labels["result"]: sample.value
        for metric in parts.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "twopass_cache_lookups_total" and sample.labels["cache"] == "scores"
    }
    assert counted == {"hit": 2, "miss": 3}
