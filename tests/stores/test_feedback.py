"""Clicks and judgements, wherever they are kept: in the data folder, or beside collections."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from twopass.index.base.store import FeedbackStoreMaker
from twopass.index.errors import CollectionNotFoundError
from twopass.index.feedback import Feedback, FeedbackKind, FeedbackStore, FeedbackTally, Selection
from twopass.index.lanes import Lane
from twopass.server.feedback.database import FeedbackDatabase
from twopass.server.feedback.in_folder import FeedbackInFolder

from ..waiting import until

NOW = time.time_ns() // 1_000
DAY = 24 * 3600 * 1_000_000
EVERYTHING = Selection()

Open = Callable[..., Awaitable[FeedbackStore]]


def judgement(query: str, document: str, grade: int = 1, time_us: int = NOW) -> Feedback:
    return Feedback(
        query_id=query,
        document_id=document,
        kind=FeedbackKind.JUDGEMENT,
        grade=grade,
        time_us=time_us,
    )


def click(query: str, document: str, rank: int = 1, time_us: int = NOW) -> Feedback:
    return Feedback(
        query_id=query,
        document_id=document,
        kind=FeedbackKind.CLICK,
        grade=1,
        time_us=time_us,
        rank=rank,
    )


async def rows_of(kept: FeedbackStore, collection: str = "docs") -> list[Feedback]:
    return (await kept.page(collection, EVERYTHING, None, 10_000)).rows


@pytest.fixture
async def open_feedback(kind, connect, schema, tmp_path) -> AsyncIterator[Open]:
    """Opens what keeps the feedback of `docs` and `others`, each time as a server of its own."""
    store = await connect()
    if kind.server and not isinstance(store, FeedbackStoreMaker):
        pytest.skip(f"{kind.title} keeps no feedback")
    for name in ("docs", "others"):
        await store.create(name, schema)
    async with AsyncExitStack() as stack:

        async def opened(**limits: int) -> FeedbackStore:
            limits = {"max_rows": 1_000, "max_days": 365} | limits
            if isinstance(store, FeedbackStoreMaker):
                kept: FeedbackStore = (await connect()).feedback(**limits)
            else:
                lane = Lane("feedback", 1)
                stack.callback(lane.close)
                kept = FeedbackInFolder(FeedbackDatabase(tmp_path, **limits), lane)
            await kept.open()
            stack.push_async_callback(kept.close)
            return kept

        yield opened


@pytest.fixture
async def kept(open_feedback) -> FeedbackStore:
    return await open_feedback()


async def test_a_store_keeps_it_or_says_by_its_type_that_it_does_not(kind, store):
    in_the_folder = not kind.server
    assert (in_the_folder or isinstance(store, FeedbackStoreMaker)) == kind.has("feedback")


async def test_it_is_there_for_another_server_and_of_its_collection_alone(open_feedback):
    kept = await open_feedback()
    assert await rows_of(kept) == []
    rows = [click("q", "a"), judgement("q", "a", 2), judgement("q", "b", 0)]
    await kept.record("docs", rows, {})
    await kept.record("others", [judgement("q", "a")], {})
    await kept.close()
    again = await open_feedback()
    assert await rows_of(again) == rows
    assert again.num_rows == 4


async def test_of_the_same_query_document_and_kind_the_last_one_counts(kept):
    await kept.record("docs", [judgement("q", "a", 1), judgement("q", "a", 3)], {})
    await kept.record("docs", [judgement("q", "a", 2), click("q", "a", 4)], {})
    await kept.record("docs", [click("q", "a", 0), click("q", "b", 3), click("q", "b", 0)], {})
    assert await rows_of(kept) == [click("q", "a", 4), judgement("q", "a", 2), click("q", "b", 3)]
    assert kept.num_rows == 3


async def test_pages_hold_every_row_once_in_one_order(kept):
    names = ["é", "Z", "a", "a b", "\U0001f41d", "zz", "'"]
    rows = [judgement(q, d) for q in names for d in names] + [click("Z", d) for d in names]
    await kept.record("docs", random.Random(1).sample(rows, len(rows)), {})
    read: list[Feedback] = []
    after, has_more = None, True
    while has_more:
        page = await kept.page("docs", EVERYTHING, after, 5)
        read += page.rows
        after, has_more = (
            (read[-1].query_id, read[-1].document_id, int(read[-1].kind)),
            page.has_more,
        )
        assert len(page.rows) == 5 or not has_more
    assert read == await rows_of(kept)
    keys = [(row.query_id.encode(), row.document_id.encode(), row.kind) for row in read]
    assert keys == sorted(keys), "by bytes, wherever it is kept"
    assert len(read) == len(rows)


async def test_a_selection_is_all_that_it_says(kept):
    rows = [
        judgement("q", "a", time_us=NOW - 3 * DAY),
        judgement("q", "b", time_us=NOW - 2 * DAY),
        click("q", "c", time_us=NOW - DAY),
        click("r", "d"),
    ]
    await kept.record("docs", rows, {})
    for selection, expected in (
        (Selection(query_ids=("q", "nobody's")), "abc"),
        (Selection(kind=FeedbackKind.CLICK), "cd"),
        (Selection(start_us=NOW - 2 * DAY), "bcd"),
        (Selection(end_us=NOW - 2 * DAY), "a"),
        (Selection(query_ids=("q",), start_us=NOW - 2 * DAY, end_us=NOW), "bc"),
    ):
        page = await kept.page("docs", selection, None, 10)
        assert [row.document_id for row in page.rows] == list(expected)
        assert not page.has_more


async def test_texts_come_with_their_queries_and_go_with_the_last_feedback(kept):
    await kept.record("docs", [click("q", "a"), judgement("q", "b")], {"q": "a question's text"})
    await kept.record("docs", [click("q", "c")], {})
    assert {row.query for row in await rows_of(kept)} == {"a question's text"}
    await kept.record("docs", [click("q", "c")], {"q": "another"})
    assert {row.query for row in await rows_of(kept)} == {"another"}
    assert await kept.delete("docs", Selection(query_ids=("q",))) == 3
    await kept.record("docs", [click("q", "a")], {})
    assert [row.query for row in await rows_of(kept)] == [""]


async def test_what_is_deleted_is_named_counted_and_gone(open_feedback):
    kept = await open_feedback(max_rows=10_000)
    rows = [judgement(f"q{number:04d}", "a") for number in range(1_200)]
    await kept.record("docs", rows, {})
    await kept.record("others", rows[:3], {})
    named = tuple(row.query_id for row in rows[:1_000])
    assert await kept.delete("docs", Selection(query_ids=named)) == 1_000
    assert await rows_of(kept) == rows[1_000:]
    assert await kept.delete("docs", EVERYTHING) == 200
    assert await kept.delete("docs", EVERYTHING) == 0
    assert await rows_of(kept) == []
    assert len(await rows_of(kept, "others")) == 3


async def test_it_is_counted_as_a_loop_would(kept):
    drawn = random.Random(7)
    rows = {
        (query, document, kind): Feedback(
            query_id=query,
            document_id=document,
            kind=kind,
            grade=drawn.randint(0, 2),
            time_us=NOW - drawn.randint(0, 9),
            rank=drawn.randint(0, 3) if kind is FeedbackKind.CLICK else 0,
        )
        for query in "pqrs"
        for document in "abcde"
        for kind in FeedbackKind
        if drawn.random() < 0.7
    }
    await kept.record("docs", list(rows.values()), {})
    assert await kept.tally("others", EVERYTHING) == FeedbackTally()
    for start in (None, NOW - 4):
        wanted = [row for row in rows.values() if start is None or row.time_us >= start]
        clicks = [row for row in wanted if row.kind is FeedbackKind.CLICK]
        judged = [row for row in wanted if row.kind is FeedbackKind.JUDGEMENT]
        tally = await kept.tally("docs", Selection(start_us=start))
        assert tally == FeedbackTally(
            num_clicks=len(clicks),
            num_clicked_queries=len({row.query_id for row in clicks}),
            num_ranked_clicks=sum(row.rank > 0 for row in clicks),
            num_first_clicks=sum(row.rank == 1 for row in clicks),
            sum_reciprocal_ranks=pytest.approx(sum(1 / row.rank for row in clicks if row.rank)),
            num_judgements=len(judged),
            num_judged_queries=len({row.query_id for row in judged}),
            num_relevant=sum(row.grade > 0 for row in judged),
        )


async def test_it_holds_what_a_plain_table_would(kept):
    drawn, plain = random.Random(11), {}
    for _ in range(40):
        if drawn.random() < 0.7:
            rows = [
                judgement(drawn.choice("pqr"), drawn.choice("abc"), drawn.randint(0, 3))
                for _ in range(drawn.randint(1, 4))
            ]
            await kept.record("docs", rows, {})
            plain |= {(row.query_id, row.document_id): row.grade for row in rows}
        else:
            query = drawn.choice("pqr")
            gone = [key for key in plain if key[0] == query]
            assert await kept.delete("docs", Selection(query_ids=(query,))) == len(gone)
            for key in gone:
                del plain[key]
        assert kept.num_rows == len(plain)
    found = {(row.query_id, row.document_id): row.grade for row in await rows_of(kept)}
    assert found == plain


@pytest.mark.parametrize("num_over", [1, 37])
async def test_the_oldest_leave_when_there_are_too_many(open_feedback, num_over):
    kept = await open_feedback(max_rows=100)
    rows = [judgement(f"q{n:03d}", "a", time_us=NOW - n) for n in range(100 + num_over)]
    await kept.record("docs", rows, {rows[-1].query_id: "the oldest"})
    await until(lambda: kept.num_rows <= 100)
    left = await rows_of(kept)
    assert left == rows[: len(left)], "the newest stay"
    assert 80 <= len(left) <= 100
    assert kept.num_rows == len(left)


async def test_what_is_too_old_leaves(open_feedback):
    kept = await open_feedback(max_days=0)
    await kept.record("docs", [judgement("old", "a", time_us=NOW - 40 * DAY)], {"old": "text"})
    await kept.record("docs", [judgement("new", "a", time_us=NOW - 20 * DAY)], {})
    await kept.close()
    again = await open_feedback(max_days=30)
    await until(lambda: again.num_rows == 1)
    assert [row.query_id for row in await rows_of(again)] == ["new"]


# --- beside the collections of a store ------------------------------------------------------------


@pytest.fixture
async def beside(kind, connect, schema):
    """A store that keeps feedback, and two servers' use of it."""
    store = await connect()
    if not isinstance(store, FeedbackStoreMaker):
        pytest.skip(f"{kind.title} keeps none beside its collections")
    await store.create("docs", schema)
    limits = {"max_rows": 1_000, "max_days": 0}
    return store, store.feedback(**limits), (await connect()).feedback(**limits)


async def test_it_goes_and_moves_with_its_collection_for_all_servers(beside, schema):
    store, here, there = beside
    await here.record("docs", [click("q", "a")], {"q": "text"})
    await store.rename("docs", "papers")
    assert [row.query for row in await rows_of(there, "papers")] == ["text"]
    with pytest.raises(CollectionNotFoundError):
        await there.record("docs", [click("q", "b")], {})
    await store.create("docs", schema)
    assert await rows_of(there, "docs") == [], "of another life of that name"
    await store.delete("papers")
    await store.create("papers", schema)
    assert await rows_of(here, "papers") == []
    await here.collection_gone("papers")  # told late, when there is a new one
    await here.record("papers", [click("q", "a")], {})
    assert [row.query for row in await rows_of(there, "papers")] == [""]


async def test_many_servers_record_at_once_and_nothing_is_lost(beside):
    _, here, there = beside
    rows = [judgement(f"q{n % 50:02d}", f"d{n}", n % 4) for n in range(600)]
    drawn = random.Random(3)
    calls = [
        (here, there)[n % 2].record("docs", drawn.sample(rows, 60) + rows[n * 15 : n * 15 + 15], {})
        for n in range(40)
    ]
    await asyncio.gather(*calls)
    found = {(row.query_id, row.document_id): row.grade for row in await rows_of(here)}
    assert found == {(row.query_id, row.document_id): row.grade for row in rows}


async def test_servers_that_find_too_much_at_once_delete_the_oldest_once(beside):
    store, _, writing = beside
    rows = [judgement(f"q{n:03d}", "a", time_us=NOW - n) for n in range(137)]
    await writing.record("docs", rows, {})
    here, there = (store.feedback(max_rows=100, max_days=0) for _ in range(2))
    counted, may_delete = asyncio.Event(), asyncio.Event()
    change = there._change

    async def later(work, stop):
        counted.set()
        await may_delete.wait()
        return await change(work, stop)

    there._change = later
    looking = asyncio.create_task(there.open())
    await counted.wait()
    await here.open()
    assert await rows_of(writing) == rows[:90]
    may_delete.set()
    await looking
    assert await rows_of(writing) == rows[:90]


async def test_what_is_recorded_while_its_collection_is_deleted_is_nowhere_afterwards(
    beside, schema
):
    store, here, there = beside

    async def record(kept: FeedbackStore) -> None:
        for number in range(20):
            try:
                await kept.record("docs", [click(f"q{number}", "a")], {f"q{number}": "text"})
            except CollectionNotFoundError:
                return

    recording = [asyncio.create_task(record(kept)) for kept in (here, there)]
    await asyncio.sleep(0.01)
    await store.delete("docs")
    await asyncio.gather(*recording)
    await store.create("docs", schema)
    assert await rows_of(here) == []
    assert await here.tally("docs", EVERYTHING) == FeedbackTally()
