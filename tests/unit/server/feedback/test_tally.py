"""How much feedback a collection has, beside a plain count of its rows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.index.feedback import Feedback, FeedbackKind, FeedbackTally, Selection

from .test_database import NOW, opened

rows = st.lists(
    st.builds(
        Feedback,
        query_id=st.sampled_from("pqr"),
        document_id=st.sampled_from("abcde"),
        kind=st.sampled_from(FeedbackKind),
        grade=st.integers(0, 3),
        time_us=st.integers(NOW - 10, NOW),
        rank=st.integers(0, 4),
    ),
    max_size=30,
    unique_by=lambda row: (row.query_id, row.document_id, row.kind),
)


@settings(max_examples=30, deadline=None)
@given(rows, st.integers(NOW - 12, NOW + 2))
def test_it_agrees_with_a_count_of_the_rows(tmp_path_factory, given_rows, begin):
    database = opened(tmp_path_factory.mktemp("tally"))
    if given_rows:
        database.record("docs", given_rows, {})
    database.record("other", given_rows or [], {})
    found = database.tally("docs", Selection(start_us=begin))
    database.close()
    kept = [row for row in given_rows if row.time_us >= begin]
    clicks = [row for row in kept if row.kind is FeedbackKind.CLICK]
    judgements = [row for row in kept if row.kind is FeedbackKind.JUDGEMENT]
    ranked = [row.rank for row in clicks if row.rank]
    assert found.sum_reciprocal_ranks == pytest.approx(sum(1 / rank for rank in ranked))
    assert found == FeedbackTally(
        num_clicks=len(clicks),
        num_clicked_queries=len({row.query_id for row in clicks}),
        num_ranked_clicks=len(ranked),
        num_first_clicks=ranked.count(1),
        sum_reciprocal_ranks=found.sum_reciprocal_ranks,
        num_judgements=len(judgements),
        num_judged_queries=len({row.query_id for row in judgements}),
        num_relevant=sum(row.grade > 0 for row in judgements),
    )


def test_a_file_that_is_not_there_yet_has_none(tmp_path):
    assert opened(tmp_path).tally("docs", Selection()) == FeedbackTally()
    assert not list(tmp_path.iterdir())
