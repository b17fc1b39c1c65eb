"""What is drawn, what is dropped, and what is summed up, without a server around it."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from twopass.index.documents import StoredDocument
from twopass.index.errors import StorageError
from twopass.index.feedback import FeedbackKind
from twopass.index.lanes import Lane
from twopass.server.feedback.database import FeedbackDatabase
from twopass.server.feedback.in_folder import FeedbackInFolder
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.feedback.types import Event
from twopass.server.request import Request
from twopass.server.search.candidates import Candidates
from twopass.server.search.observing import Answered
from twopass.server.search.ranking import Ranking
from twopass.server.search.types import RerankStatus, RetrieveSettings, SearchHit, SearchQuery
from twopass.server.shadow_spec import ShadowSpec
from twopass.server.shadowing import shadowing
from twopass.server.shadowing.reordering import BusyError
from twopass.server.shadowing.results import Measure, Outcome
from twopass.server.shadowing.shadowing import _MAX_WAITING, Shadowing

from ....waiting import until

LIVE = [f"d{i}" for i in range(12)]
SPEC = ShadowSpec(name="deep", depth=5, share=1.0)
CANDIDATES = Candidates(
    np.arange(12), np.linspace(1, 0, 12, dtype=np.float32), np.arange(12, dtype=np.int32), (*LIVE,)
)
ORDER = np.arange(12, dtype=np.int32)


def query(query_id: str = "", offset: int = 0) -> SearchQuery:
    return SearchQuery(
        collection="docs",
        text="",
        query_id=query_id,
        offset=offset,
        retrieve=RetrieveSettings(),
    )


def hit(name: str, rank: int = 1) -> SearchHit:
    stored = StoredDocument(key=rank, id=name, title=None, text=None, metadata=None, vector=None)
    return SearchHit(
        document=stored, first_pass_rank=rank, dense=None, lexical=None, fused_score=None
    )


class Reversing:
    """Orders every search the other way round, or fails as it is told."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.ordered: list[str] = []

    async def order(self, drawn: Any, spec: ShadowSpec) -> list[str]:
        self.ordered.append(drawn.search_id)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return list(reversed(drawn.live))


class Trial:
    """A `Shadowing` over a real file, and searches for it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.lane = Lane("feedback", 1)
        database = FeedbackDatabase(folder, max_rows=1_000, max_days=0)
        self.kept = FeedbackInFolder(database, self.lane)
        self.records = FeedbackRecords(
            self.kept, self.kept, shown_bytes=1_000_000, keeps_texts=False
        )
        self.reordering = Reversing()
        self.shadowing = Shadowing(
            settings.pop("specs", [SPEC]),
            settings.pop("definitions", ["v1"]),
            self.reordering,  # type: ignore[arg-type]
            self.records,
            settle_seconds=0.0,
            seed=1,
        )
        self.records.on_feedback = self.shadowing.feedback_came

    async def __aenter__(self) -> "Trial":
        await self.shadowing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shadowing.close()
        await self.records.close()
        self.lane.close()

    def answer(self, query_id: str = "", *, is_sent: bool = True, **changes: Any) -> str:
        """A search that is answered; returns its id."""
        request = Request()
        fields: dict[str, Any] = {
            "query": query(query_id),
            "collection": SimpleNamespace(name="docs", schema=None),
            "candidates": CANDIDATES,
            "ranking": Ranking(ORDER, RerankStatus.COMPLETE, scored=object()),
            "hits": [hit(each, rank) for rank, each in enumerate(LIVE[:5], 1)],
            "reranker": object(),
            "pair_query": object(),
            "blend": 0.0,
            "request": request,
        }
        answered = Answered(**fields | changes)
        search_id = self.records.answered(answered)
        self.shadowing.draw(answered, search_id)
        if is_sent:
            request.close()
        return search_id

    async def judge(self, query_id: str, document: str, grade: int, search_id: str = "") -> None:
        kind = FeedbackKind.JUDGEMENT if grade else FeedbackKind.CLICK
        event = Event(
            search_id=search_id,
            query_id=query_id,
            document_id=document,
            kind=kind,
            grade=grade or 1,
            time_us=time.time_ns() // 1_000,
        )
        await self.records.record("docs", [event], Request())

    def count(self, outcome: Outcome) -> int:
        return self.shadowing.counts["deep", outcome]

    def searches(self, measure: Measure) -> int:
        """How many searches were judged by a measure."""
        return sum(
            each.num_searches
            for result in self.shadowing.results()
            for one in result.comparisons
            for each in one.differences
            if each.measure is measure
        )


async def test_a_search_is_compared_when_its_answer_has_gone_and_not_before(tmp_path):
    async with Trial(tmp_path) as trial:
        request = Request()
        first = trial.answer(is_sent=False, request=request)
        second = trial.answer()
        await until(lambda: trial.count(Outcome.COMPARED) == 1)
        assert trial.reordering.ordered == [second]
        request.close()
        await until(lambda: trial.count(Outcome.COMPARED) == 2)
        assert trial.reordering.ordered == [second, first]
        (result,) = trial.shadowing.results()
        (comparison,) = result.comparisons
        assert (comparison.num_compared, comparison.equal_first) == (2, 0.0)
        assert comparison.overlap == 1.0
        assert 0 < comparison.rank_biased_overlap < 1


@pytest.mark.parametrize("share", [0.1, 0.5])
async def test_as_many_are_drawn_as_the_share_says(tmp_path, share):
    spec = ShadowSpec(name="deep", depth=5, share=share)
    async with Trial(tmp_path, specs=[spec]) as trial:
        for _ in range(1_000):
            trial.answer(ranking=Ranking(ORDER, RerankStatus.PARTIAL))
        spread = (1_000 * share * (1 - share)) ** 0.5
        assert abs(trial.count(Outcome.UNFIT) - 1_000 * share) < 5 * spread


async def test_other_collections_are_left_alone(tmp_path):
    spec = ShadowSpec(name="deep", depth=5, share=1.0, collections="other*")
    async with Trial(tmp_path, specs=[spec]) as trial:
        trial.answer()
        trial.answer(collection=SimpleNamespace(name="other-1", schema=None))
        await until(lambda: trial.count(Outcome.COMPARED) == 1)
        (result,) = trial.shadowing.results()
        assert [one.collection for one in result.comparisons] == ["other-1"]
        assert sum(trial.shadowing.counts.values()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"ranking": Ranking(ORDER, RerankStatus.SKIPPED_OVERLOAD)},
        {"hits": []},
        {"reranker": None},
        {"query": query(offset=5)},
        {"hits": [hit("d3")]},
    ],
    ids=["no second pass", "no hit", "no reranker", "a later page", "another order"],
)
async def test_what_is_no_first_page_of_a_whole_second_pass_is_not_compared(tmp_path, changes):
    async with Trial(tmp_path) as trial:
        trial.answer(**changes)
        assert trial.count(Outcome.UNFIT) == 1


async def test_what_waits_is_bounded_and_the_rest_is_dropped_and_counted(tmp_path):
    async with Trial(tmp_path) as trial:
        trial.reordering.gate.clear()
        trial.answer()
        await until(lambda: trial.shadowing.num_waiting == 0)  # it is being ordered
        for _ in range(_MAX_WAITING + 7):
            trial.answer()
        assert trial.shadowing.num_waiting == _MAX_WAITING
        assert trial.count(Outcome.DROPPED_FULL) == 7
        trial.reordering.gate.set()
        await until(lambda: trial.count(Outcome.COMPARED) == _MAX_WAITING + 1)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(BusyError(), Outcome.DROPPED_BUSY), (RuntimeError("lost"), Outcome.FAILED)],
)
async def test_a_search_that_can_not_be_ordered_is_counted_and_the_next_one_is(
    tmp_path, failure, outcome
):
    async with Trial(tmp_path) as trial:
        trial.reordering.failure = failure
        trial.answer()
        await until(lambda: trial.count(outcome) == 1)
        trial.reordering.failure = None
        trial.answer()
        await until(lambda: trial.count(Outcome.COMPARED) == 1)


async def test_judgements_count_whether_they_come_before_or_after_the_shadow(tmp_path):
    async with Trial(tmp_path) as trial:
        await trial.judge("before", "d0", 2)
        trial.answer("before")
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) == 1)
        trial.answer("after")
        await until(lambda: trial.count(Outcome.COMPARED) == 2)
        await trial.judge("after", "d9", 1)
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) == 2)
        (comparison,) = trial.shadowing.results()[0].comparisons
        by = {each.measure: each for each in comparison.differences}
        # d0 is first of the live order and last of the reversed one; d9 the other way round.
        assert by[Measure.JUDGED_RR].mean == pytest.approx(0.0)
        assert (by[Measure.JUDGED_RR].num_better, by[Measure.JUDGED_RR].num_worse) == (1, 1)


async def test_a_query_counts_once_however_often_it_is_searched_and_judged(tmp_path):
    async with Trial(tmp_path) as trial:
        for _ in range(3):
            search_id = trial.answer("q")
            await trial.judge("q", "d0", 1, search_id)
        await until(lambda: trial.count(Outcome.COMPARED) == 3)
        await trial.judge("r", "d0", 1, trial.answer("r"))
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) >= 2)
        assert trial.searches(Measure.JUDGED_NDCG) == 2  # of q one, which was judged before


async def test_clicks_count_where_both_orders_have_all_of_them(tmp_path):
    async with Trial(tmp_path) as trial:
        first = trial.answer()
        await until(lambda: trial.count(Outcome.COMPARED) == 1)
        await trial.judge("", "d1", 0, first)
        await until(lambda: trial.searches(Measure.CLICKED_RR) == 1)
        assert trial.searches(Measure.JUDGED_NDCG) == 0


async def test_sums_stay_over_a_restart_until_the_shadow_is_another_one(tmp_path):
    async with Trial(tmp_path) as trial:
        trial.answer("q")
        await trial.judge("q", "d0", 1)
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) == 1)
        before = trial.shadowing.results()[0].comparisons
    async with Trial(tmp_path) as trial:
        assert trial.shadowing.results()[0].comparisons == before
        trial.answer("q")
        await trial.judge("q", "d0", 1)
        await trial.judge("r", "d0", 1, trial.answer("r"))
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) >= 2)
        assert trial.searches(Measure.JUDGED_NDCG) == 2  # q was counted before the restart
    async with Trial(tmp_path, definitions=["v2"]) as trial:
        assert trial.shadowing.results()[0].comparisons == ()
        trial.answer("q")
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) == 1)


async def test_feedback_that_has_come_is_counted_at_the_end(tmp_path):
    async with Trial(tmp_path) as trial:
        trial.shadowing._settle_seconds = 3_600
        trial.answer("q")
        await until(lambda: trial.count(Outcome.COMPARED) == 1)
        await trial.judge("q", "d0", 1)
        assert trial.searches(Measure.JUDGED_NDCG) == 0
        await trial.shadowing.close()
        assert trial.searches(Measure.JUDGED_NDCG) == 1


async def test_sums_follow_their_collection(tmp_path):
    async with Trial(tmp_path) as trial:
        trial.answer()
        await until(lambda: trial.count(Outcome.COMPARED) == 1)
        trial.shadowing.collection_renamed("docs", "docs-1")
        names = [one.collection for one in trial.shadowing.results()[0].comparisons]
        assert names == ["docs-1"]
        trial.shadowing.collection_gone("docs-1")
        assert trial.shadowing.results()[0].comparisons == ()


async def test_what_is_being_compared_follows_its_collection(tmp_path):
    async with Trial(tmp_path) as trial:
        trial.reordering.gate.clear()
        trial.answer()
        await until(lambda: trial.shadowing.num_waiting == 0)  # it is being ordered
        trial.answer()
        trial.shadowing.collection_renamed("docs", "docs-1")
        trial.reordering.gate.set()
        await until(lambda: trial.count(Outcome.COMPARED) == 2)
        assert [one.collection for one in trial.shadowing.results()[0].comparisons] == ["docs-1"]


async def test_a_collection_that_is_gone_does_not_come_back_by_what_was_being_compared(tmp_path):
    async with Trial(tmp_path) as trial:
        trial.reordering.gate.clear()
        trial.answer()
        await until(lambda: trial.shadowing.num_waiting == 0)
        trial.answer()
        trial.shadowing.collection_gone("docs")
        assert trial.shadowing.num_waiting == 0
        trial.reordering.gate.set()
        await until(lambda: trial.count(Outcome.UNFIT) == 2)
        assert trial.shadowing.results()[0].comparisons == ()


async def test_feedback_that_can_not_be_read_now_is_counted_later(tmp_path, monkeypatch):
    monkeypatch.setattr(shadowing, "_SAVE_SECONDS", 0.01)
    async with Trial(tmp_path) as trial:
        trial.answer("q")
        await until(lambda: trial.count(Outcome.COMPARED) == 1)
        whole, failures = trial.records.of_queries, iter([1, 2])

        async def failing(collection: str, query_ids: Sequence[str]) -> Any:
            if next(failures, None) is not None:
                raise StorageError("the disk hums")
            return await whole(collection, query_ids)

        monkeypatch.setattr(trial.records, "of_queries", failing)
        await trial.judge("q", "d0", 1)
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) == 1)


async def test_sums_that_can_not_be_read_begin_anew(tmp_path, caplog):
    async with Trial(tmp_path) as trial:
        await trial.kept.write_sums({("deep", "docs"): ("v1", '{"of": "a later version"}')}, [])
    async with Trial(tmp_path) as trial:
        assert "sums of a shadow can't be read" in caplog.text
        assert trial.shadowing.results()[0].comparisons == ()
        assert await trial.kept.read_sums() == {}
        trial.answer("q")
        await trial.judge("q", "d0", 1)
        await until(lambda: trial.searches(Measure.JUDGED_NDCG) == 1)
