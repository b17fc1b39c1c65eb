"""The file of feedback: what is written stays, what is deleted is gone, and it is bounded."""

import time
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.index.errors import StorageError
from twopass.index.feedback import Feedback, FeedbackKind, Selection
from twopass.server.feedback.database import FILE_NAME, FeedbackDatabase

NOW = time.time_ns() // 1_000
DAY = 24 * 3600 * 1_000_000
EVERYTHING = Selection()


def opened(folder: Path, **limits: int) -> FeedbackDatabase:
    return FeedbackDatabase(folder, **{"max_rows": 1_000, "max_days": 365} | limits)


def judgement(query: str, document: str, grade: int = 1, time_us: int = NOW) -> Feedback:
    return Feedback(
        query_id=query,
        document_id=document,
        kind=FeedbackKind.JUDGEMENT,
        grade=grade,
        time_us=time_us,
    )


def click(query: str, document: str, rank: int = 1) -> Feedback:
    return Feedback(
        query_id=query,
        document_id=document,
        kind=FeedbackKind.CLICK,
        grade=1,
        time_us=NOW,
        rank=rank,
    )


def rows_of(database: FeedbackDatabase, collection: str = "docs") -> list[Feedback]:
    return database.page(collection, EVERYTHING, None, 10_000).rows


def test_a_file_appears_with_the_first_feedback(tmp_path):
    database = opened(tmp_path)
    database.open()
    assert rows_of(database) == []
    assert not list(tmp_path.iterdir())
    database.record("docs", [judgement("q", "a")], {})
    assert (tmp_path / FILE_NAME).exists()
    database.close()


def test_feedback_is_there_after_a_restart_and_of_its_collection_alone(tmp_path):
    database = opened(tmp_path)
    rows = [click("q", "a"), judgement("q", "a", 2), judgement("q", "b", 0)]
    database.record("docs", rows, {})
    database.record("others", [judgement("q", "a")], {})
    database.close()
    again = opened(tmp_path)
    again.open()
    assert rows_of(again) == rows
    assert again.num_rows == 4
    again.close()


def test_of_the_same_query_document_and_kind_the_last_one_counts(tmp_path):
    database = opened(tmp_path)
    database.record("docs", [judgement("q", "a", 1), judgement("q", "a", 3)], {})
    database.record("docs", [judgement("q", "a", 2), click("q", "a", 4), click("q", "a", 0)], {})
    assert rows_of(database) == [click("q", "a", 4), judgement("q", "a", 2)]
    assert database.num_rows == 2
    database.close()


def test_pages_hold_every_row_once_in_order(tmp_path):
    database = opened(tmp_path)
    rows = [judgement(f"q{i // 3}", f"d{i}") for i in range(20)]
    database.record("docs", rows, {})
    found: list[Feedback] = []
    after = None
    while True:
        page = database.page("docs", EVERYTHING, after, 3)
        found += page.rows
        if not page.has_more:
            break
        last = page.rows[-1]
        after = last.query_id, last.document_id, int(last.kind)
    assert found == sorted(rows, key=lambda row: (row.query_id, row.document_id))
    database.close()


def test_texts_stand_apart_and_go_with_the_last_feedback_of_their_query(tmp_path):
    database = opened(tmp_path)
    database.record("docs", [judgement("q", "a"), judgement("r", "a")], {"q": "a secret"})
    assert [row.query for row in rows_of(database)] == ["a secret", ""]
    assert database.delete("docs", Selection(query_ids=("q",))) == 1
    assert [row.query_id for row in rows_of(database)] == ["r"]
    database.close()
    assert b"a secret" not in (tmp_path / FILE_NAME).read_bytes()


def test_what_is_deleted_is_in_neither_the_file_nor_its_log(tmp_path):
    database = opened(tmp_path)
    database.record("docs", [judgement("query-of-someone", "a")], {})
    database.delete("docs", Selection(query_ids=("query-of-someone",)))
    for file in tmp_path.iterdir():
        assert b"query-of-someone" not in file.read_bytes()
    database.close()


def test_a_span_of_time_is_deleted_and_no_more(tmp_path):
    database = opened(tmp_path)
    rows = [judgement("q", f"d{i}", time_us=NOW - i * DAY) for i in range(10)]
    database.record("docs", rows, {})
    span = Selection(start_us=NOW - 5 * DAY, end_us=NOW - 2 * DAY)
    assert database.delete("docs", span) == 3
    assert [row.document_id for row in rows_of(database)] == [
        f"d{i}" for i in (0, 1, 2, 6, 7, 8, 9)
    ]
    database.close()


def test_a_thousand_queries_are_deleted_in_one_call(tmp_path):
    database = opened(tmp_path, max_rows=10_000)
    rows = [judgement(f"q{i}", "a") for i in range(2_000)]
    database.record("docs", rows, {})
    assert (
        database.delete("docs", Selection(query_ids=tuple(f"q{i}" for i in range(1_500)))) == 1_500
    )
    assert database.num_rows == 500
    database.close()


@pytest.mark.parametrize("num_over", [0, 1, 50])
def test_the_oldest_leave_when_there_are_too_many(tmp_path, num_over):
    database = opened(tmp_path, max_rows=100)
    number = 100 + num_over
    rows = [judgement(f"q{i:03}", "a", time_us=NOW + i) for i in range(number)]
    database.record("docs", rows, {})
    kept = rows_of(database)
    assert len(kept) <= 100
    assert len(kept) == (100 if num_over == 0 else 90)
    assert kept == rows[-len(kept) :]
    database.close()


def test_what_is_too_old_leaves(tmp_path):
    database = opened(tmp_path, max_days=0)
    database.record("docs", [judgement("q", "a", time_us=NOW - 40 * DAY), judgement("q", "b")], {})
    assert len(rows_of(database)) == 2
    database.close()
    shorter = opened(tmp_path, max_days=30)
    shorter.open()
    assert [row.document_id for row in rows_of(shorter)] == ["b"]
    shorter.close()


def test_feedback_goes_and_moves_with_its_collection(tmp_path):
    database = opened(tmp_path)
    database.record("docs", [judgement("q", "a")], {"q": "text"})
    database.record("others", [judgement("q", "b")], {})
    database.rename_collection("docs", "docs-1")
    assert rows_of(database) == []
    assert [row.query for row in rows_of(database, "docs-1")] == ["text"]
    database.delete_collection("docs-1")
    assert database.num_rows == 1
    assert rows_of(database, "docs-1") == []
    database.close()


def test_sums_and_what_they_have_seen_stay_until_a_shadow_begins_anew(tmp_path):
    database = opened(tmp_path)
    seen = [("docs", "q", "deep", 2), ("docs", "r", "deep", 2)]
    database.write_sums({("deep", "docs"): ("v1", "{}")}, seen[:1])
    database.close()
    again = opened(tmp_path)
    assert again.read_sums() == {("deep", "docs"): ("v1", "{}")}
    assert again.not_seen(seen) == seen[1:]
    again.write_sums({}, [], restarted=["deep"])
    assert again.read_sums() == {}
    assert again.not_seen(seen) == seen
    again.close()


def test_a_file_of_a_later_format_is_refused(tmp_path):
    database = opened(tmp_path)
    database.record("docs", [judgement("q", "a")], {})
    database.close()
    with apsw.Connection(str(tmp_path / FILE_NAME)) as connection:
        connection.execute("UPDATE meta SET value = 99")
    with pytest.raises(StorageError, match=r"its format is 99, .* upgrade the server"):
        opened(tmp_path).open()


def test_a_file_that_is_none_is_refused_with_a_way_out(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="move the file away"):
        opened(tmp_path).open()


CALLS = st.lists(
    st.one_of(
        st.tuples(
            st.just("record"),
            st.lists(
                st.tuples(
                    st.sampled_from("pqr"), st.sampled_from("abc"), st.sampled_from(FeedbackKind),
                    st.integers(0, 3),
                ),
                min_size=1,
                max_size=4,
            ),
        ),
        st.tuples(st.just("delete"), st.lists(st.sampled_from("pqr"), min_size=1, max_size=2)),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(calls=CALLS)
def test_it_holds_what_a_plain_table_would(tmp_path_factory, calls):
    database = opened(tmp_path_factory.mktemp("feedback"))
    plain: dict[tuple[str, str, int], int] = {}
    for name, given_ in calls:
        if name == "record":
            rows = [
                Feedback(query_id=q, document_id=d, kind=k, grade=g, time_us=NOW)
                for q, d, k, g in given_
            ]
            database.record("docs", rows, {})
            plain |= {(r.query_id, r.document_id, int(r.kind)): r.grade for r in rows}
        else:
            gone = [key for key in plain if key[0] in given_]
            assert database.delete("docs", Selection(query_ids=tuple(given_))) == len(gone)
            for key in gone:
                del plain[key]
        assert database.num_rows == len(plain)
    found = {(r.query_id, r.document_id, int(r.kind)): r.grade for r in rows_of(database)}
    assert found == plain
    database.close()
