import asyncio
import gc
import logging
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.base.sequences import Side
from twopass.engines.errors import DeviceError
from twopass.server.errors import (
    InvalidRequestError,
    LateError,
    OverloadedError,
    TextTooLongError,
    UnknownModelError,
    WouldBeLateError,
)
from twopass.server.models.caches import ByteCache
from twopass.server.models.passages import Overlong, Truncation
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.open_set import RankedSet, SetOptions
from twopass.server.search.reranking import Reranking, WholeSet
from twopass.server.search.second_pass import SecondPass
from twopass.server.telemetry.metrics import Metrics

from ..scripted import MAX_SEQ_LEN, NumberPrompt, ScriptedEngine, scripted_reranker, settled

MANY = 300


class Parts:
    """`Reranking` over scripted parts, whose logit is the sum of query and passage."""

    def __init__(
        self, engine: ScriptedEngine | None = None, *, passages=None, max_queued=100, **model
    ) -> None:
        self.engine = engine or ScriptedEngine()
        self.arbiter = Arbiter(max_queued_pairs=max_queued)
        self.tokenizing = Tokenizing(1, passages)
        models = Models([scripted_reranker(self.engine, **model)])
        self.reranking = Reranking(models, self.arbiter, self.tokenizing, SecondPass(self.arbiter))

    async def rank(self, pieces, first_pass=None, *, deadline=None, **options) -> RankedSet:
        """Ranks a set that comes in these pieces."""
        options = {"query": "0", "num_candidates": sum(map(len, pieces))} | options
        scores = iter(first_pass or [None] * sum(map(len, pieces)))
        with self.reranking.open(SetOptions(**options), Request(deadline=deadline)) as candidates:
            for piece in pieces:
                candidates.add(piece, [next(scores) for _ in piece])
            assert candidates.is_complete == (sum(map(len, pieces)) == options["num_candidates"])
            return await candidates.ranked()


@pytest.fixture
def parts():
    made = Parts()
    yield made
    made.tokenizing.close()


@pytest.fixture
def roomy():
    """Parts with room for `MANY` candidates."""
    made = Parts(max_queued=MANY)
    yield made
    made.tokenizing.close()


@given(
    pieces=st.lists(
        st.lists(st.integers(0, 9).map(str), max_size=5), min_size=1, max_size=5
    ).filter(lambda pieces: any(pieces))
)
def test_pieces_are_ranked_as_the_whole_is(pieces):
    async def scenario() -> None:
        parts = Parts()
        together = [passage for piece in pieces for passage in piece]
        ranked, whole = await parts.rank(pieces), await parts.rank([together])
        assert ranked.order.tolist() == whole.order.tolist()
        assert ranked.logits.tolist() == [float(passage) for passage in together]
        assert ranked.num_tokens == whole.num_tokens == 5 * len(together)
        parts.tokenizing.close()

    asyncio.run(scenario())


async def test_the_best_come_first_and_top_n_cuts(parts):
    ranked = await parts.rank([["1", "3", "2"]], top_n=2)
    assert ranked.order.tolist() == [1, 2]
    assert ranked.logits.tolist() == [1, 3, 2]  # of all, in the order they came
    assert (await parts.rank([["1", "3"]], top_n=9)).order.tolist() == [1, 0]


async def test_scores_below_the_least_are_left_out_and_counted(parts):
    ranked = await parts.rank([["0", "1", "2"]], min_score=0.7)
    assert ranked.order.tolist() == [2, 1]  # sigmoid(1) = 0.73
    assert ranked.num_below_min_score == 1


async def test_without_scores_of_a_first_pass_nothing_is_blended():
    parts = Parts(blend=1.0)
    ranked = await parts.rank([["1", "2"]])
    assert (ranked.blend, ranked.order.tolist()) == (0.0, [1, 0])
    partly = await parts.rank([["1", "2"]], first_pass=[9.0, None])
    assert (partly.blend, partly.order.tolist()) == (0.0, [1, 0])


@pytest.mark.parametrize(
    ("asked", "applied", "order"), [(None, 1.0, [0, 1]), (0.0, 0.0, [1, 0]), (0.75, 0.75, [0, 1])]
)
async def test_blend_is_the_requests_else_the_models(asked, applied, order):
    parts = Parts(blend=1.0)
    ranked = await parts.rank([["1"], ["2"]], first_pass=[9.0, 3.0], blend=asked)
    assert (ranked.blend, ranked.order.tolist()) == (applied, order)


async def test_blend_asked_for_needs_every_score_and_names_the_first_that_lacks(parts):
    with pytest.raises(InvalidRequestError, match=r"candidates\[2\]\.first_pass_score: unset"):
        await parts.rank([["1"], ["2", "3"]], first_pass=[1.0, 2.0, None], blend=0.5)


async def test_a_passage_too_long_is_named_by_its_place_in_the_set(parts):
    long = " ".join(["1"] * MAX_SEQ_LEN)
    with pytest.raises(InvalidRequestError, match=r"candidates\[2\]: .* the 60 tokens"):
        await parts.rank([["1"], ["2", long]], truncation=Truncation.REJECT)
    ranked = await parts.rank([["1"], ["2", long]])
    assert ranked.truncated.tolist() == [False, False, True]


async def test_a_passage_is_cut_where_the_model_says_though_the_sequence_has_room():
    parts = Parts(max_passage_tokens=10)
    ranked = await parts.rank([[" ".join(["1"] * count) for count in (10, 11, 12)]])
    assert (ranked.logits.tolist(), ranked.truncated.tolist()) == ([10] * 3, [False, True, True])
    with pytest.raises(InvalidRequestError, match=r"candidates\[1\]: .* the 10 tokens"):
        await parts.rank([["1", " ".join(["1"] * 11)]], truncation=Truncation.REJECT)
    parts.tokenizing.close()


async def test_a_long_passage_counts_by_its_best_window_and_names_it(parts):
    # 8 tokens of a pair are special or the query's: a window has 60.
    numbers = ["1"] * 200
    numbers[170:180] = ["9"] * 10
    long = "  ".join(numbers)
    ranked = await parts.rank([["70"], [long]], truncation=Truncation.MAX_WINDOW)
    assert ranked.order.tolist() == [1, 0]
    start, end = ranked.windows[0]
    window = long[start:end].split()
    assert len(window) == 60
    assert window.count("9") == 10
    assert ranked.logits[1] == sum(map(int, window))
    assert ranked.windows[1] == (0, 2)
    assert ranked.truncated.tolist() == [False, False]
    cut = await parts.rank([["70"], [long]])
    assert (cut.windows, cut.truncated.tolist()) == (None, [False, True])


async def test_every_window_takes_a_place(parts):
    long = " ".join(["1"] * 60 * 90)  # about 120 windows, of which each but the first needs a place
    with pytest.raises(OverloadedError):
        await parts.rank([[long]], truncation=Truncation.MAX_WINDOW)
    with parts.arbiter.admitted(100):
        pass  # none is held any more


async def test_one_candidate_more_than_declared_is_an_error(parts):
    with pytest.raises(InvalidRequestError, match=r"3 have come, set\.num_candidates declared 2"):
        await parts.rank([["1", "2"], ["3"]], num_candidates=2)


async def test_a_query_without_words_is_refused(parts):
    with pytest.raises(InvalidRequestError, match="query: it has no words"):
        await parts.rank([["1"], ["2"]], query=" ")


@given(
    num_query_tokens=st.integers(1, 20),
    num_passage_tokens=st.integers(1, 2 * MAX_SEQ_LEN),
    side=st.sampled_from(Side),
)
def test_a_query_and_passages_are_read_to_the_side_that_is_cut(
    num_query_tokens, num_passage_tokens, side
):
    """Beside a plain reference: the first or the last numbers of either."""
    query = list(range(1, num_query_tokens + 1))
    passage = list(range(100, num_passage_tokens + 100))

    def kept(numbers: list[int], most: int) -> list[int]:
        return numbers[:most] if side is Side.END else numbers[-most:]

    async def rank():
        parts = Parts()
        texts = [" ".join(map(str, numbers)) for numbers in (query, passage)]
        ranked = await parts.rank([[texts[1]]], query=texts[0], cut_side=side)
        parts.tokenizing.close()
        return ranked, parts.engine.batches

    ranked, batches = asyncio.run(rank())
    read = kept(query, 8)
    room = MAX_SEQ_LEN - 3 - len(read)
    assert batches == [[[0, *read, 0, *kept(passage, room), 0]]]
    assert ranked.query_truncated == (num_query_tokens > 8)
    assert ranked.truncated[0] == (num_passage_tokens > room)


async def test_the_same_passage_is_remembered_for_each_side_by_itself():
    cache = ByteCache("passages", 1 << 20, Metrics())
    parts = Parts(passages=cache)
    passage = " ".join(map(str, range(MAX_SEQ_LEN + 9)))
    for _ in range(2):
        for side, first in ((Side.END, 0), (Side.START, 13)):
            await parts.rank([[passage]], cut_side=side)
            assert parts.engine.batches[-1][0][3] == first
    assert len(cache) == 2
    parts.tokenizing.close()


async def test_a_query_that_is_not_to_be_cut_is_refused_with_both_numbers_and_the_way_out(parts):
    with pytest.raises(TextTooLongError) as raised:
        await parts.rank(
            [["1"]], query="1 " * 11, query_truncation=Overlong.REFUSE, to_cut="set truncate"
        )
    assert str(raised.value) == (
        "query: 11 tokens of scripted given, at most 8 are read; shorten it, or set truncate"
    )
    assert (raised.value.num_tokens, raised.value.max_tokens) == (11, 8)
    assert parts.engine.batches == []
    ranked = await parts.rank([["1"]], query="1 " * 8, query_truncation=Overlong.REFUSE)
    assert not ranked.query_truncated


async def test_an_unknown_model_is_named_with_those_there_are(parts):
    with pytest.raises(UnknownModelError, match="no reranker 'other', there are scripted"):
        await parts.rank([["1"]], model="other")


async def test_places_are_held_until_the_set_ends(parts):
    whole_queue = SetOptions(query="0", num_candidates=100)
    with parts.reranking.open(whole_queue, Request()), pytest.raises(OverloadedError):
        await parts.rank([["1"]])
    assert (await parts.rank([["1"]])).order.tolist() == [0]


async def test_a_set_too_long_for_its_deadline_is_refused_before_it_is_tokenised(monkeypatch):
    parts = Parts(ScriptedEngine(is_held=True))
    other = asyncio.create_task(parts.rank([["1"]]))
    while not parts.engine.held:  # an idle device would take on anything
        await settled()
    monkeypatch.setattr(parts.tokenizing, "encode", None)
    with pytest.raises(WouldBeLateError):
        await parts.rank(
            [["1"]], passage_chars=[1_000] * 10**6, deadline=time.perf_counter() + 10.0
        )
    other.cancel()


async def test_of_a_long_passage_only_what_the_model_reads_counts_against_a_deadline():
    parts = Parts(ScriptedEngine(is_held=True))
    other = asyncio.create_task(parts.rank([["1"]]))
    while not parts.engine.held:
        await settled()
    options = SetOptions(query="0", num_candidates=1, passage_chars=[10**9])
    with parts.reranking.open(options, Request(deadline=time.perf_counter() + 10.0)):
        pass
    other.cancel()


async def test_a_set_that_is_left_takes_its_pairs_with_it():
    engine = ScriptedEngine(is_held=True)
    parts = Parts(engine)
    long = " ".join(["1"] * MAX_SEQ_LEN)
    with parts.reranking.open(SetOptions(query="0", num_candidates=9), Request()) as candidates:
        candidates.add([long] * 5, [None] * 5)
        while not engine.held:
            await settled()
    await settled()
    await engine.answer()
    assert len(engine.batches) == 1


class FirstPieceLate(SecondPass):
    """Holds the piece of two passages until it is told."""

    def __init__(self, arbiter: Arbiter) -> None:
        super().__init__(arbiter)
        self.told = asyncio.Event()

    async def score(self, reranker, query_ids, passages, policy, admission=None):
        if len(passages) == 2:
            await self.told.wait()
        return await super().score(reranker, query_ids, passages, policy, admission)


async def test_what_is_scored_first_is_told_first_wherever_it_stands(parts):
    second_pass = FirstPieceLate(parts.arbiter)
    models = Models([scripted_reranker(parts.engine)])
    reranking = Reranking(models, parts.arbiter, parts.tokenizing, second_pass)
    options = SetOptions(query="0", num_candidates=6, blend=0.5)
    with reranking.open(options, Request()) as candidates:
        so_far = candidates.so_far()
        candidates.add(["8", "9"], [2.0, 1.0])
        candidates.add(["3", "5", "4"], [1.0, 1.0, 1.0])
        first = await anext(so_far)
        assert first.order.tolist() == [3, 4, 2]
        assert first.logits.tolist() == [0, 0, 3, 5, 4]
        second_pass.told.set()
        second = await anext(so_far)
        assert sorted(second.order.tolist()) == [0, 1, 2, 3, 4]
        candidates.add(["1"], [0.0])
        with pytest.raises(StopAsyncIteration):
            await anext(so_far)
        assert (await candidates.ranked()).logits.tolist() == [8, 9, 3, 5, 4, 1]


async def test_many_pieces_are_not_told_of_one_by_one(parts):
    async def sizes(candidates):
        return [len(ranked.order) async for ranked in candidates.so_far()]

    with parts.reranking.open(SetOptions(query="0", num_candidates=100), Request()) as candidates:
        listening = asyncio.create_task(sizes(candidates))
        for number in range(100):
            candidates.add(["1"], [None])
            while len(parts.engine.batches) <= number:
                await settled()
            await settled()
        await candidates.ranked()
        told = await listening
    assert told[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(more >= less + max(1, less // 8) for less, more in pairwise(told))
    assert 20 < len(told) < 35


async def test_a_deadline_and_a_failed_device_reach_the_caller():
    engine = ScriptedEngine(is_held=True)
    parts = Parts(engine)
    with pytest.raises(LateError):
        await parts.rank([["1"]], deadline=0.0)
    ranking = asyncio.create_task(parts.rank([["1"]]))
    while not engine.held:
        await settled()
    await engine.answer(output=DeviceError("burnt"))
    with pytest.raises(DeviceError):
        await ranking


async def test_errors_of_pieces_that_nobody_waits_for_are_not_logged_as_lost(parts, caplog):
    caplog.set_level(logging.ERROR, logger="asyncio")

    async def leave_early() -> None:
        with parts.reranking.open(SetOptions(query=" ", num_candidates=2), Request()) as candidates:
            candidates.add(["1"], [None])
            while len(asyncio.all_tasks()) > 1:  # the query has failed, and so has the piece
                await settled()

    await leave_early()
    gc.collect()
    assert not caplog.records


async def test_a_set_is_not_tokenised_further_when_its_block_ends(parts, monkeypatch):
    stops = []
    encode = parts.tokenizing.lane.run

    async def run(*arguments, stop):
        stops.append(stop)
        return await encode(*arguments, stop=stop)

    monkeypatch.setattr(parts.tokenizing.lane, "run", run)
    request = Request()
    with parts.reranking.open(SetOptions(query="0", num_candidates=2), request) as candidates:
        candidates.add(["1"], [None])
        await settled()
    assert stops
    assert all(stop.is_set for stop in stops)
    assert not request.stop.is_set  # other sets of the call go on


async def test_a_passage_too_long_is_named_where_it_stands_though_others_are_scored_later(parts):
    second_pass = FirstPieceLate(parts.arbiter)
    models = Models([scripted_reranker(parts.engine)])
    reranking = Reranking(models, parts.arbiter, parts.tokenizing, second_pass)
    options = SetOptions(query="0", num_candidates=4, truncation=Truncation.REJECT)
    with reranking.open(options, Request()) as candidates:
        candidates.add(["1", "2"], [None, None])
        candidates.add([" ".join(["1"] * MAX_SEQ_LEN)], [None])
        while not all(piece.scoring.done() for piece in candidates._pieces[1:]):
            await settled()
        with pytest.raises(InvalidRequestError, match=r"candidates\[2\]: longer than"):
            await candidates._ordered(candidates._pieces[1:])


async def test_an_instruction_is_read_before_the_query():
    parts = Parts(prompt=NumberPrompt())
    plain = await parts.rank([["1"]], query="2")
    instructed = await parts.rank([["1"]], query="2", instruction="30 40")
    assert plain.logits.tolist() == [3]
    assert instructed.logits.tolist() == [73]
    assert parts.engine.batches[-1] == [[30, 40, 2, 0, 1, 0]]
    parts.tokenizing.close()


async def test_an_instruction_leaves_less_room_for_passages():
    parts = Parts(prompt=NumberPrompt())
    passage = " ".join(["1"] * (MAX_SEQ_LEN - 4))
    assert not (await parts.rank([[passage]], query="2")).truncated.any()
    assert (await parts.rank([[passage]], query="2", instruction="3 4")).truncated.all()
    parts.tokenizing.close()


async def test_a_model_without_instructions_refuses_one_before_any_work(parts):
    with pytest.raises(InvalidRequestError, match="instruction: given, but scripted takes no"):
        await parts.rank([["1"]], instruction="3")
    assert parts.arbiter.num_admitted == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"instruction": " ".join(["3"] * 9)}, "instruction: 9 tokens of scripted given, at most"),
        ({"query": " "}, "query: it has no words"),
    ],
    ids=["long instruction", "no query"],
)
async def test_an_instruction_is_never_cut_and_a_query_never_empty(options, problem):
    parts = Parts(prompt=NumberPrompt())
    with pytest.raises(InvalidRequestError, match=problem):
        await parts.rank([["1"]], **options)
    parts.tokenizing.close()


def whole_sets(count, *, passages=("1", "2")):
    """Sets whose queries are 0, 1, 2 and so on."""
    return [
        WholeSet(SetOptions(query=str(i), num_candidates=len(passages)), passages)
        for i in range(count)
    ]


async def test_many_sets_of_a_request_are_ranked_in_their_order_as_each_alone(roomy):
    ranked = await roomy.reranking.ranked_each(whole_sets(MANY // 2), Request())
    assert [each.logits.tolist() for each in ranked] == [
        [i + 1.0, i + 2.0] for i in range(MANY // 2)
    ]
    assert roomy.arbiter.num_admitted == 0


async def test_all_other_work_has_its_turns_while_many_sets_are_opened_and_scored(
    roomy, monkeypatch
):
    turns, opened_in, scoring, most_scoring = 0, [], 0, 0
    opening, score = roomy.reranking.open, SecondPass.score

    def counted_open(*arguments):
        opened_in.append(turns)
        return opening(*arguments)

    async def counted_score(*arguments):
        nonlocal scoring, most_scoring
        scoring += 1
        most_scoring = max(most_scoring, scoring)
        try:
            return await score(*arguments)
        finally:
            scoring -= 1

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(roomy.reranking, "open", counted_open)
    monkeypatch.setattr(SecondPass, "score", counted_score)
    working = asyncio.create_task(others())
    await roomy.reranking.ranked_each(whole_sets(MANY, passages=("1",)), Request())
    working.cancel()
    assert max(map(opened_in.count, opened_in)) <= 32
    assert most_scoring <= 64


async def test_of_many_sets_all_are_admitted_or_none(roomy):
    with pytest.raises(OverloadedError, match="302 places asked for") as refused:
        await roomy.reranking.ranked_each(whole_sets(MANY // 2 + 1), Request())
    assert refused.value.retry_after is None
    assert not roomy.engine.batches


async def test_a_wrong_query_among_many_is_named_and_all_places_are_free_again(roomy):
    sets = whole_sets(100)
    sets[70] = WholeSet(SetOptions(query=" ", num_candidates=1), ["1"])
    with pytest.raises(InvalidRequestError, match=r"^pairs\[70\]: it has no words") as refused:
        await roomy.reranking.ranked_each(sets, Request(), "pairs[{}]".format)
    assert refused.value.facts["field"] == "pairs[70]"
    await settled()
    assert roomy.arbiter.num_admitted == 0
