"""Hits of a search as people see them."""

import io
import itertools
from dataclasses import replace
from types import MappingProxyType

import pytest

from twopass.client import (
    RerankHit,
    RerankResult,
    RerankStatus,
    RetrieveStatus,
    SearchHit,
    SearchResult,
    Span,
    Timings,
)
from twopass.commands.terminal import hits
from twopass.commands.terminal.hits import (
    deciding_figures,
    metadata_text,
    outcome_lines,
    print_hits,
    print_passages,
    stages,
)

TIMINGS = Timings(
    total_ms=41.0, tokenize_ms=0.5, queue_ms=None, embed_ms=2.0, retrieve_ms=1.5,
    load_ms=None, rerank_ms=36.0,
)  # fmt: skip
HIT = SearchHit(
    id="sky", score=0.75, logit=3.0, dense_score=0.5, lexical_score=7.25, fused_score=0.9,
    dense_rank=1, lexical_rank=2, first_pass_rank=2, truncated=False, span=None, title="The sky",
    text="Why the sky is blue.", metadata=MappingProxyType({"year": 1871}), vector=None,
    blended_score=1.25,
)  # fmt: skip
RESULT = SearchResult(
    hits=(HIT,), retrieve_status=RetrieveStatus.COMPLETE, rerank_status=RerankStatus.COMPLETE,
    num_reranked=50, num_candidates=50, num_below_min_score=0, blend=0.25, encoder="encoder",
    reranker="reranker", sequence="", timings=TIMINGS,
)  # fmt: skip


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of so many columns; its styles are left out."""
    monkeypatch.setenv("TERM", "dumb")

    def of(columns):
        stream = _Terminal()
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("COLUMNS", str(columns))
        return stream

    return of


def test_a_hit_is_a_block_that_fits_the_terminal(terminal):
    stream = terminal(50)
    print_hits(RESULT, ["blue sky"])
    assert stream.getvalue().splitlines() == [
        "1  The sky  sky",
        "   blended 1.250 · score 0.750 · fused 0.900",
        "   dense 0.500 · lexical 7.250 · first pass 2",
        "   Why the sky is blue.",
        "   year=1871",
        "",
    ]


def test_a_hit_in_a_pipe_is_a_line_with_the_whole_part_that_matched(capsys):
    text = "word " * 300 + "the end"
    print_hits(replace(RESULT, hits=(replace(HIT, text=text),)), ["end"])
    head, row, _ = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["rank", "first", "pass", "blended"]
    assert row.endswith(text)


def test_the_part_that_matched_is_shown_rather_than_the_texts_beginning(capsys):
    # Spans count title, space and text together.
    text = "A long preface. Why the sky is blue."
    start = len("The sky ") + text.index("Why")
    hit = replace(HIT, text=text, span=Span(start, start + 20))
    print_hits(replace(RESULT, hits=(hit,)), [])
    row = capsys.readouterr().out.splitlines()[1]
    assert row.endswith("  Why the sky is blue.")
    assert "preface" not in row


@pytest.mark.parametrize(
    ("changes", "blend", "name"),
    [
        ({}, 0.25, "blended"),
        ({}, 0.0, "logit"),
        ({"blended_score": None}, 0.25, "fused"),
        ({"blended_score": None, "fused_score": None}, 0.0, "dense"),
        ({"blended_score": None, "fused_score": None, "dense_rank": None}, 0.0, "lexical"),
    ],
)
def test_the_number_that_decides_a_hits_place_is_named(changes, blend, name):
    (figure,) = deciding_figures(replace(RESULT, hits=(replace(HIT, **changes),), blend=blend))
    assert figure.name == name
    assert figure.value is not None


def test_deciding_numbers_are_printed_so_that_different_ones_differ():
    scores = (1.25004, 1.25002, 1.25002, 0.5)
    found = tuple(replace(HIT, blended_score=score) for score in scores)
    printed = [str(figure) for figure in deciding_figures(replace(RESULT, hits=found))]
    assert printed == ["1.25004", "1.25002", "1.25002", "0.50000"]
    assert all(float(a) >= float(b) for a, b in itertools.pairwise(printed))


def test_hits_of_two_orders_tell_each_its_own(capsys):
    late = replace(HIT, id="late", blended_score=None, score=None)
    print_hits(replace(RESULT, hits=(HIT, late), rerank_status=RerankStatus.PARTIAL), [])
    head, first, second, _ = capsys.readouterr().out.splitlines()
    assert "ordered by" in head
    assert first.split()[2:4] == ["blended", "1.250"]
    assert second.split()[2:4] == ["fused", "0.900"]


def test_ranks_go_on_where_an_offset_begins(capsys):
    print_hits(RESULT, [], first_rank=11)
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "11"


def test_every_status_is_told_in_words():
    for status in RetrieveStatus:
        told = " ".join(outcome_lines(replace(RESULT, retrieve_status=status)))
        assert "_" not in told
        assert status in hits._RETRIEVED or status.name == "UNKNOWN"
    for status in RerankStatus:
        told = " ".join(outcome_lines(replace(RESULT, rerank_status=status)))
        assert "_" not in told
        assert status in hits._RERANKED or status.name == "UNKNOWN"


def test_the_outcome_says_what_decides_the_order_and_where_time_went():
    assert outcome_lines(RESULT) == [
        "50 candidates found; 50 read by reranker; the first pass counts 25% of the order, the "
        "second 75%.",
        "41.0 ms in the server: tokenising 0.5, embedding the question 2.0, first pass 1.5, second "
        "pass 36.0.",
    ]


def test_stages_that_did_not_run_are_left_out():
    assert "waiting" not in stages(TIMINGS)


def test_metadata_is_one_line_without_control_characters():
    told = metadata_text({"a": "x\x1b", "b": [1, "日本"], "c\n": None})
    assert told == 'a=x\\x1b, b=[1, "日本"], c =null'


def test_passages_are_ordered_by_a_number_that_is_printed(terminal):
    passages = [
        RerankHit(index=number, id="", score=0.5, logit=logit, truncated=False, window=None,
                  title="", text="the sky\x1b is blue")
        for number, logit in enumerate((1.5, -0.25))
    ]  # fmt: skip
    result = RerankResult(
        hits=tuple(passages), model="reranker", blend=0.0, num_below_min_score=0, num_tokens=9,
        timings=TIMINGS,
    )  # fmt: skip
    stream = terminal(60)
    print_passages(result, "blue")
    assert stream.getvalue().splitlines()[:3] == [
        "   line  score   logit  passage",
        "1     1  0.500  +1.500  the sky\\x1b is blue",
        "2     2  0.500  -0.250  the sky\\x1b is blue",
    ]
