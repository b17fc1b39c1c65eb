"""Candidates of an answer: their order, their scores, and what is kept of them on disk."""

import pytest

from twopass.client import SearchHit, SearchResult
from twopass.evaluation.candidates import (
    Candidate,
    candidates,
    read_candidates,
    reranked_order,
    write_candidates,
)


def hit(name, rank, **given):
    return SearchHit(
        **dict.fromkeys(SearchHit.__dataclass_fields__)
        | {"id": name, "first_pass_rank": rank}
        | given
    )


def result(*hits):
    return SearchResult(**dict.fromkeys(SearchResult.__dataclass_fields__) | {"hits": hits})


def test_candidates_are_in_first_pass_order():
    found = candidates(result(hit("b", 2, dense_score=0.1), hit("a", 1, dense_score=0.2)))
    assert [candidate.id for candidate in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("scores", "decisive"),
    [
        ({"dense_score": 0.9, "lexical_score": 3.0}, 0.9),
        ({"lexical_score": 3.0}, 3.0),
        ({"dense_score": 0.9, "lexical_score": 3.0, "fused_score": 0.5}, 0.5),
        ({"dense_score": 0.0, "lexical_score": 3.0}, 0.0),
    ],
)
def test_the_score_is_the_one_that_decided(scores, decisive):
    (found,) = candidates(result(hit("a", 1, **scores)))
    assert found.score == decisive


def test_a_shallow_second_pass_leaves_the_rest_where_it_was():
    found = [Candidate(name, rank, None, 1 / rank, rank) for rank, name in enumerate("abcd", 1)]
    assert reranked_order(found, 3, blend=0.0) == ["c", "b", "a", "d"]
    assert reranked_order(found, 4, blend=1.0) == ["a", "b", "c", "d"]


def test_the_head_of_the_other_list_is_read_however_deep_it_stands():
    found = [Candidate(name, rank, None, 1 / rank, 0.0) for rank, name in enumerate("abc", 1)]
    found.append(Candidate("code", None, 1, 0.1, 9.0))
    assert reranked_order(found, 2, blend=0.0)[0] == "code"


def test_what_is_kept_is_read_back_as_it_was(tmp_path):
    sets = {
        "q": [Candidate("a", 1, None, 0.1 + 0.2, -1.5), Candidate("é", None, 2, 0.1, None)],
        "none found": [],
    }
    file = tmp_path / "kept" / "d.jsonl"
    write_candidates(file, sets)
    assert read_candidates(file) == sets
    assert [f.name for f in file.parent.iterdir()] == ["d.jsonl"]
    assert read_candidates(tmp_path / "nothing.jsonl") == {}
