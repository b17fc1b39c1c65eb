"""Which sentences stay, and what is answered where there is no time or no room."""

import asyncio
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.base.model import PairQuery
from twopass.server.errors import LateError, OverloadedError
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.second_pass import SecondPass
from twopass.server.search.spans.scoring import SpanQuery, SpanScoring
from twopass.server.search.spans.settings import SpanSettings, SpansStatus
from twopass.server.search.spans.units import SpanText

from ...scripted import ScriptedEngine, scripted_reranker, settled


class Parts:
    """Span scoring over scripted parts: the logit of a line is the sum of its numbers."""

    def __init__(self, *, max_queued=100, is_held=False, **model) -> None:
        self.engine = ScriptedEngine(is_held=is_held)
        self.reranker = scripted_reranker(self.engine, **model)
        self.arbiter = Arbiter(max_queued_pairs=max_queued)
        self.tokenizing = Tokenizing(1)
        self.scoring = SpanScoring(self.arbiter, self.tokenizing, SecondPass(self.arbiter))

    async def is_held(self):
        """Waits until a batch is in the engine."""
        async with asyncio.timeout(60):
            while not self.engine.held:  # noqa: ASYNC110  # an engine has no event
                await asyncio.sleep(0.001)

    async def find(self, *texts, request=None, required=False, **settings):
        query = PairQuery(np.array([0], np.int32), self.reranker.tokenizer.template)
        asked = SpanQuery(SpanSettings(**settings), self.reranker, query, required)
        return await self.scoring.find(
            asked, [SpanText(text) for text in texts], request or Request()
        )


@pytest.fixture
def parts():
    made = Parts()
    yield made
    made.tokenizing.close()


def found(spans):
    return [(span.start, span.end, span.logit) for span in spans.spans]


async def test_the_best_come_first_and_ties_in_the_texts_order(parts):
    spans = await parts.find("1\n3\n2\n3", min_score=0.0, max_spans=64)
    assert found(spans.of(0)) == [(2, 3, 3.0), (6, 7, 3.0), (4, 5, 2.0), (0, 1, 1.0)]
    assert spans.status is SpansStatus.COMPLETE
    assert (await parts.find("1\n3\n2", max_spans=1, min_score=0.0)).of(0).spans[0].logit == 3


async def test_unless_told_otherwise_a_span_stays_that_is_not_far_below_the_best(parts):
    # An eighth of the odds of e ** 5 are those of e ** 2.92.
    spans = await parts.find("5\n3\n2\n4", max_spans=64, pruned_text=True)
    assert [span.logit for span in spans.of(0).spans] == [5, 4, 3]
    assert spans.of(0).pruned_text == "5\n3 … 4"


@given(
    logits=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    min_score=st.none() | st.floats(0, 1),
    max_spans=st.integers(1, 5),
)
def test_spans_and_pruned_text_are_those_of_a_plain_reference(logits, min_score, max_spans):
    def scores(logit):
        return 1 / (1 + math.exp(-logit))

    least = max(logits) - math.log(8)
    kept = [
        place
        for place, logit in enumerate(logits)
        if (logit >= least if min_score is None else np.float32(scores(logit)) >= min_score)
    ]
    best_first = sorted(kept, key=lambda place: (-logits[place], place))

    async def scenario():
        parts = Parts()
        text = "\n".join(map(str, logits))
        spans = await parts.find(text, min_score=min_score, max_spans=max_spans, pruned_text=True)
        parts.tokenizing.close()
        return spans.of(0)

    spans = asyncio.run(scenario())
    assert [span.start // 2 for span in spans.spans] == best_first[:max_spans]
    stay = kept or [logits.index(max(logits))]
    assert [int(c) for c in spans.pruned_text if c.isdigit()] == [logits[place] for place in stay]


async def test_a_text_without_a_sentence_has_no_span(parts):
    spans = await parts.find(" ", "1", pruned_text=True)
    assert spans.status is SpansStatus.COMPLETE
    assert (spans.of(0).spans, spans.of(0).pruned_text) == ((), "")
    assert spans.of(1).pruned_text == "1"
    assert (await parts.find()).status is SpansStatus.NONE


async def test_without_room_there_are_none_and_no_place_is_held():
    parts = Parts(max_queued=2)
    assert (await parts.find("1\n2\n3")).status is SpansStatus.SKIPPED_OVERLOAD
    assert (await parts.find("1\n2")).status is SpansStatus.COMPLETE
    with pytest.raises(OverloadedError):
        await parts.find("1\n2\n3", required=True)
    assert parts.arbiter.num_admitted == 0
    parts.tokenizing.close()


async def test_at_the_end_of_a_budget_the_first_hits_have_theirs(clock):
    parts = Parts(is_held=True)
    request = Request()
    request.budget_end = time.perf_counter() + 100
    # A pair of 21 tokens: three fit into a batch of 64.
    line = " ".join(["1"] * 17)
    finding = asyncio.create_task(parts.find(*[f"{line}\n{line}"] * 2, request=request))
    await parts.is_held()
    assert len(await parts.engine.answer()) == 3
    await clock.passes(100)
    spans = await finding
    assert spans.status is SpansStatus.PARTIAL
    assert (len(spans.of(0).spans), len(spans.of(1).spans)) == (2, 0)
    assert parts.arbiter.num_admitted == 0
    parts.tokenizing.close()


async def test_without_any_time_there_are_none(parts):
    request = Request()
    request.budget_end = time.perf_counter()
    assert (await parts.find("1", request=request)).status is SpansStatus.SKIPPED_DEADLINE
    with pytest.raises(LateError):
        await parts.find("1", request=request, required=True)


async def test_time_is_left_before_a_deadline_to_answer_without_them(clock):
    parts = Parts(is_held=True)
    request = Request(deadline=time.perf_counter() + 1_000)
    finding = asyncio.create_task(parts.find("1", request=request))
    await parts.is_held()
    await clock.passes(850)
    assert not finding.done()
    await clock.passes(55)  # a tenth of the time is left
    spans = await finding
    assert spans.status is SpansStatus.SKIPPED_DEADLINE
    assert not request.is_past_deadline()
    parts.tokenizing.close()


async def test_a_request_that_ends_ends_the_work():
    parts = Parts(is_held=True)
    request = Request()
    finding = asyncio.create_task(parts.find("1\n2", request=request))
    await parts.is_held()
    finding.cancel()
    await settled()
    assert finding.cancelled()
    assert parts.arbiter.num_admitted == 0
    parts.tokenizing.close()
