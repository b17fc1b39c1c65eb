"""What is told of feedback that came in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from twopass.index.errors import StorageError
from twopass.index.feedback import FeedbackKind
from twopass.index.lanes import Lane
from twopass.server.feedback import records as module
from twopass.server.feedback.database import FeedbackDatabase
from twopass.server.feedback.in_folder import FeedbackInFolder
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.feedback.types import Event, Refusal
from twopass.server.request import Request


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[FeedbackRecords]:
    lane = Lane("feedback", 1)
    kept = FeedbackInFolder(FeedbackDatabase(tmp_path, max_rows=1_000, max_days=0), lane)
    records = FeedbackRecords(kept, kept, shown_bytes=100_000, keeps_texts=False)
    yield records
    await records.close()
    lane.close()


def click(query_id: str = "", search_id: str = "", document_id: str = "a") -> Event:
    return Event(
        search_id=search_id,
        query_id=query_id,
        document_id=document_id,
        kind=FeedbackKind.CLICK,
        grade=1,
        time_us=1,
    )


async def test_what_became_of_each_piece_is_told_and_counted(records):
    search_id = records.shown.add("docs", ["b"], query_id="", text="", offset=0)
    events = [click("q"), click(search_id="unknown"), click(search_id=search_id)]
    refused = await records.record("docs", events, Request())
    assert refused == {1: Refusal.SEARCH_UNKNOWN, 2: Refusal.NOT_SHOWN}
    assert records.counts == {
        (FeedbackKind.CLICK, "recorded"): 1,
        (FeedbackKind.CLICK, "search_unknown"): 1,
        (FeedbackKind.CLICK, "not_shown"): 1,
    }


@pytest.mark.parametrize("page_rows", [1, 2, 100])
async def test_the_feedback_of_queries_is_read_page_by_page(records, monkeypatch, page_rows):
    monkeypatch.setattr(module, "_PAGE_ROWS", page_rows)
    events = [click(query_id, document_id=one) for query_id in "qrs" for one in "abc"]
    await records.record("docs", events, Request())
    found = await records.of_queries("docs", ["q", "s", "none"])
    told = {query_id: [row.document_id for row in rows] for query_id, rows in found.items()}
    assert told == {"q": ["a", "b", "c"], "s": ["a", "b", "c"]}
    assert await records.of_queries("docs", []) == {}


async def test_what_can_not_be_written_is_not_counted_as_recorded(records, monkeypatch):
    def fail(*_: object) -> None:
        raise StorageError("feedback: the disk is full")

    monkeypatch.setattr(FeedbackDatabase, "record", fail)
    with pytest.raises(StorageError):
        await records.record("docs", [click("q")], Request())
    assert records.counts == {}
