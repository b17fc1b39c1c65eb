import pytest

from twopass.client import RerankStatus, RetrieveStatus, SearchHit, SearchResult, Timings
from twopass.commands.demo import orders
from twopass.commands.terminal.tables import table_lines

TITLES = (
    "collections.Counter.most_common",
    "concurrent.futures.ProcessPoolExecutor",
    "re",
)


def hit(title: str, before: int, **scores: float) -> SearchHit:
    return SearchHit(
        id=title,
        score=scores.get("score"),
        logit=None,
        dense_score=None,
        lexical_score=None,
        fused_score=scores["fused"],
        dense_rank=None,
        lexical_rank=None,
        first_pass_rank=before,
        truncated=False,
        span=None,
        title=title,
        text="What it does,\n in a few words: a text that is longer than a column of a table.",
        metadata={},
        vector=None,
        blended_score=scores.get("blended"),
    )


def result(*hits: SearchHit) -> SearchResult:
    return SearchResult(
        hits=hits,
        retrieve_status=RetrieveStatus.COMPLETE,
        rerank_status=RerankStatus.COMPLETE,
        num_reranked=3,
        num_candidates=3,
        num_below_min_score=0,
        blend=0.7,
        encoder="e",
        reranker="r",
        sequence="",
        timings=Timings(*[None] * 7),
    )


FIRST = result(*(hit(title, n, fused=1 - n / 7) for n, title in enumerate(TITLES, 1)))
BOTH = result(
    *(
        hit(TITLES[before - 1], before, fused=0.5, score=0.25, blended=3.0 - n)
        for n, before in enumerate((2, 1, 3), 1)
    )
)


@pytest.mark.parametrize("columns", [60, 80, 100, 119, 120, 200])
def test_titles_are_read_in_full_whatever_the_width_of_the_terminal(columns):
    lines = [
        line.plain for table in orders(FIRST, BOTH, columns) for line in table_lines(table, columns)
    ]
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).split()
    for title in TITLES:
        assert words.count(title) == 2  # in either order, on one line


def test_in_a_pipe_a_rank_is_a_line_with_both_passes_and_no_part_of_a_text():
    (table,) = orders(FIRST, BOTH, None)
    _, *lines = (line.plain for line in table_lines(table, None))
    assert len(lines) == len(TITLES)
    assert lines[0].split() == ["1", TITLES[0], "0.857", "2↑", TITLES[1], "2.000"]
    assert lines[2].split() == ["3", TITLES[2], "0.571", "=", TITLES[2], "0.000"]


def test_what_the_hits_are_ordered_by_stands_beside_them_and_falls():
    (table,) = orders(FIRST, BOTH, None)
    heads = [column.head for column in table.columns]
    assert (heads[2], heads[5]) == ("fused", "blended")
    for column in (2, 5):
        values = [float(row[column].plain) for row in table.rows]
        assert values == sorted(values, reverse=True)
