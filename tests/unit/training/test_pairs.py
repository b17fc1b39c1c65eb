"""Reading pairs, and choosing which of them to train on."""

import gzip
import json

import pytest

from twopass.training.pairs import (
    Pair,
    Source,
    TrainingError,
    is_development,
    read_source,
    share_of,
)


def test_pairs_are_read_from_json_lines_compressed_or_not(tmp_path):
    lines = '{"query": "q", "positive": "p", "negatives": ["n"], "more": 1}\n'
    (tmp_path / "plain.jsonl").write_text(lines)
    with gzip.open(tmp_path / "small.jsonl.gz", "wt") as file:
        file.write(lines)
    for name in ("plain", "small"):
        file = next(tmp_path.glob(f"{name}*"))
        assert read_source(file) == Source(name, (Pair("q", "p", ("n",)),))


def test_pairs_with_an_empty_half_are_left_out(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(
        '{"query": " ", "positive": "p"}\n{"query": "q", "positive": ""}\n'
        '{"query": "q", "positive": "p", "negatives": ["", "n"]}\n'
    )
    assert read_source(file).pairs == (Pair("q", "p", ("n",)),)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"query": "q"}\n', "a.jsonl:1: .*positive"),
        ('{"query": "q", "positive": "p"}\n[1]\n', "a.jsonl:2"),
        ("nonsense\n", "a.jsonl:1"),
        ('{"query": 5, "positive": "p"}\n', "a.jsonl:1: .*must be texts"),
        ('{"query": "q", "positive": "p", "negatives": "n"}\n', "a.jsonl:1: .*a list of texts"),
        ('{"query": "q", "positive": "p", "negatives": [null]}\n', "a.jsonl:1: .*must be texts"),
        ("\udcff", "a.jsonl: can't be read"),
        ("", "holds no pair"),
    ],
)
def test_what_is_no_pair_is_named_with_its_line(tmp_path, content, reason):
    file = tmp_path / "a.jsonl"
    file.write_text(content, errors="surrogateescape")
    with pytest.raises(TrainingError, match=reason):
        read_source(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.jsonl: No such file"):
        read_source(tmp_path / "none.jsonl")


def test_every_passage_of_a_source_comes_once():
    pairs = (Pair("a", "x", ("y",)), Pair("b", "y", ("x", "z")))
    assert Source("s", pairs).passages() == ["x", "y", "z"]


def test_a_share_is_told_by_the_first_pattern_that_matches():
    source = Source("weak_terms", tuple(Pair(str(i), "p") for i in range(100)))
    kept = share_of(source, {"weak*": 0.3, "*": 0.9}, seed=1)
    assert len(kept.pairs) == 30
    assert kept.pairs == tuple(p for p in source.pairs if p in set(kept.pairs))
    assert kept == share_of(source, {"weak*": 0.3}, seed=1)
    assert kept != share_of(source, {"weak*": 0.3}, seed=2)
    assert share_of(source, {"strong*": 0.3}, seed=1) == source


def test_which_queries_are_for_development_depends_on_their_words_alone():
    queries = [f"what is {i}?" for i in range(5_000)]
    kept = [q for q in queries if is_development(q, 50)]
    assert 60 < len(kept) < 140
    assert all(is_development(f"  {q.upper()} ", 50) for q in kept)
    assert json.dumps(kept) == json.dumps([q for q in queries if is_development(q, 50)])
