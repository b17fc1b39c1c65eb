from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import Feedback, FeedbackKind, RecordedFeedback
from twopass.commands.feedback_lines import (
    FeedbackFileError,
    FeedbackFormat,
    feedback_lines,
    read_feedback,
)

# Whatever the server takes for an id.
IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def read(tmp_path, text: str, name: str = "feedback.jsonl") -> list[Feedback]:
    file = tmp_path / name
    file.write_text(text)
    return list(read_feedback(str(file)))


def test_a_line_with_a_grade_is_a_judgement_and_one_without_is_a_click(tmp_path):
    lines = (
        '{"query_id": "q", "document_id": "a", "grade": 0}\n\n'
        '{"search_id": "s", "document_id": "b", "time": "2026-03-01T12:00:00+00:00"}\n'
        '{"query_id": "q", "document_id": "c", "kind": "click", "grade": 1, "rank": 3}\n'
    )
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert read(tmp_path, lines) == [
        Feedback(query_id="q", document_id="a", grade=0),
        Feedback(search_id="s", document_id="b", time=moment),
        Feedback(query_id="q", document_id="c"),
    ]


def test_a_table_of_qrels_is_judgements(tmp_path):
    rows = read(tmp_path, "query-id\tcorpus-id\tscore\nq\ta\t2\n", "qrels.tsv")
    assert rows == [Feedback(query_id="q", document_id="a", grade=2)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", ":1: not JSON"),
        ('\n["a"]', ":2: no document_id"),
        ('{"query_id": "q"}', ":1: no document_id"),
        ('{"document_id": "a", "doc": "b"}', ":1: doc is not known"),
        ('{"document_id": "a", "grade": "much"}', ":1: ValueError"),
        ('{"document_id": "a", "time": "soon"}', ":1: ValueError"),
    ],
)
def test_a_line_that_is_no_feedback_is_named(tmp_path, text, said):
    with pytest.raises(FeedbackFileError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)


def recorded(query_id: str, document_id: str, grade: int = 1) -> RecordedFeedback:
    return RecordedFeedback(
        query_id=query_id,
        document_id=document_id,
        kind=FeedbackKind.JUDGEMENT,
        grade=grade,
        time=datetime(2026, 3, 1, tzinfo=UTC),
        rank=0,
        query="",
    )


@given(st.lists(st.tuples(IDS, IDS), unique=True, max_size=5))
def test_a_table_of_qrels_is_read_as_it_was_written(tmp_path_factory, ids):
    rows = [recorded(query, document) for query, document in sorted(ids)]
    table = "".join(f"{line}\n" for line in feedback_lines(FeedbackFormat.QRELS, "docs", rows))
    file = tmp_path_factory.mktemp("table") / "qrels.tsv"
    file.write_text(table, encoding="utf-8", newline="")
    expected = [Feedback(query_id=q, document_id=d, grade=1) for q, d in sorted(ids)]
    assert list(read_feedback(str(file))) == expected


@pytest.mark.parametrize("name", ["two words", "a\ttab", "", " q"])
def test_an_id_that_trec_can_not_hold_is_refused(name):
    whole = list(feedback_lines(FeedbackFormat.TREC, "docs", [recorded("q", "a", 2)]))
    assert whole == ["q 0 a 2"]
    for rows in ([recorded(name, "a")], [recorded("q", name)]):
        with pytest.raises(FeedbackFileError, match="white space, which parts the columns"):
            list(feedback_lines(FeedbackFormat.TREC, "docs", rows))


def test_a_table_and_a_file_that_are_none_are_refused(tmp_path):
    with pytest.raises(FeedbackFileError, match="a row is not query-id"):
        read(tmp_path, "query-id\tcorpus-id\tscore\nq\ta\tbad\n", "qrels.tsv")
    with pytest.raises(FeedbackFileError, match="can't be read"):
        list(read_feedback(str(tmp_path / "none.jsonl")))
