"""Reading test collections in BEIR form."""

import gzip
from pathlib import Path

import pytest

from twopass.evaluation.datasets import DatasetError, Part, load_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt") as corpus:
        corpus.write('{"_id": "a", "title": "T", "text": "x"}\n{"_id": "b", "text": "y"}\n')
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "1", "text": "one"}\n{"_id": "2", "text": "two"}\n{"_id": "3", "text": "three"}\n'
    )
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n3\tb\t1\n")
    return tmp_path


def test_documents_and_the_judged_queries_are_read(folder):
    dataset = load_dataset(folder)
    assert [(d.id, d.title, d.text) for d in dataset.documents] == [("a", "T", "x"), ("b", "", "y")]
    assert dataset.queries == {"1": "one", "3": "three"}
    assert dataset.qrels == {"1": {"a": 2, "b": 0}, "3": {"b": 1}}


def test_judgements_may_lie_where_beir_puts_them(folder):
    (folder / "qrels").mkdir()
    (folder / "qrels.tsv").rename(folder / "qrels" / "test.tsv")
    assert len(load_dataset(folder).queries) == 2


def test_only_the_first_queries_are_kept_where_so_many_are_wanted(folder):
    dataset = load_dataset(folder, max_queries=1)
    assert list(dataset.queries) == list(dataset.qrels) == ["1"]


def test_each_query_is_in_one_half_whatever_the_others_are(folder):
    halves = [Part.DEVELOPMENT, Part.HELD_OUT]
    names = [f"query{i}" for i in range(1_000)]
    parts = {name: [part for part in halves if part.has(name)] for name in names}
    assert all(len(found) == 1 for found in parts.values())
    assert 400 < sum(Part.DEVELOPMENT.has(name) for name in names) < 600
    whole = set(load_dataset(folder).queries)
    loaded = set()
    for part in halves:
        try:
            loaded |= set(load_dataset(folder, part=part).queries)
        except DatasetError:
            continue
    assert loaded == whole


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("queries.jsonl", "nonsense\n", "queries.jsonl:1"),
        ("queries.jsonl", '{"text": "no id"}\n', "_id"),
        ("queries.jsonl", '{"_id": "9", "text": "unjudged"}\n', "no query"),
        ("queries.jsonl", '{"_id": "1"}\n', "queries.jsonl:1: .*text"),
        ("queries.jsonl", '{"_id": 1, "text": "one"}\n', "queries.jsonl:1: _id and text must be"),
        ("queries.jsonl", b"\xff\n", "queries.jsonl: can't be read"),
        ("corpus.jsonl", '{"_id": 7, "text": "x"}\n', "corpus.jsonl:1: _id must be"),
        ("corpus.jsonl.gz", b"no gzip", r"corpus\.jsonl\.gz: can't be read"),
        ("corpus.jsonl.gz", gzip.compress(b'{"_id": "a"}\n' * 99, mtime=0)[:-9], "can't be read"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\n1\ta\tgood\n", "qrels.tsv"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\n1\ta\n", "qrels.tsv: a row is not"),
    ],
)
def test_a_malformed_file_is_named(folder, file, content, reason):
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=reason):
        load_dataset(folder)


def test_a_missing_file_is_named(folder):
    (folder / "corpus.jsonl.gz").unlink()
    with pytest.raises(DatasetError, match=r"corpus\.jsonl"):
        load_dataset(folder)
