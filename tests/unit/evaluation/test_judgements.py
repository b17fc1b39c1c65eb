"""Files of judgements, as the page saves them."""

import json
from pathlib import Path
from typing import Any

import pytest

from twopass.evaluation.datasets import DatasetError, Part
from twopass.evaluation.judgements import load_judgements
from twopass.evaluation.measures import judged_share


def line(query: str = "sky", collection: str | None = "docs", **grades: int) -> dict[str, Any]:
    named = {} if collection is None else {"collection": collection}
    return {**named, "query": query, "judgements": grades}


@pytest.fixture
def written(tmp_path: Path):
    def write(*lines: Any) -> Path:
        file = tmp_path / "judgements.jsonl"
        texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return file

    return write


def test_a_query_has_the_grades_of_its_lines_and_the_last_of_each_document_counts(written):
    file = written(line(a=1, b=1), line("sea", c=1), line(b=0))
    (dataset,) = load_judgements(file).datasets
    by_text = {dataset.queries[query]: grades for query, grades in dataset.qrels.items()}
    assert by_text == {"sky": {"a": 1, "b": 0}, "sea": {"c": 1}}


def test_each_collection_is_a_dataset_that_the_server_has_the_documents_of(written):
    file = written(line(a=1), line(collection="code", f=1))
    datasets = load_judgements(file).datasets
    assert [(d.name, d.collection, d.documents) for d in datasets] == [
        ("docs", "docs", ()),
        ("code", "code", ()),
    ]


def test_a_collection_that_is_given_stands_for_those_of_the_lines(written):
    file = written(line(a=1), line("sea", None, b=1))
    (dataset,) = load_judgements(file, collection="copy").datasets
    assert dataset.collection == "copy"
    assert len(dataset.queries) == 2


def test_queries_without_a_relevant_document_are_left_out_and_counted(written):
    judged = load_judgements(written(line(a=1), line("sea", b=0), line("salt")))
    assert list(judged.datasets[0].queries.values()) == ["sky"]
    assert judged.num_without_relevant == 2


def test_files_of_one_collection_are_one_dataset_and_the_last_grade_counts(written):
    first = written(line(a=1, b=1), line("salt", c=0))
    first = first.rename(first.with_name("first.jsonl"))
    second = written(line(b=0), line("sea", d=1), line("salt", c=1), line(collection="code", f=1))
    judged = load_judgements(first, second)
    docs, code = judged.datasets
    assert (docs.name, code.name, judged.num_without_relevant) == ("docs", "code", 0)
    by_text = {docs.queries[query]: grades for query, grades in docs.qrels.items()}
    assert by_text == {"sky": {"a": 1, "b": 0}, "salt": {"c": 1}, "sea": {"d": 1}}
    assert len(load_judgements(first, second, max_queries=2).datasets[0].queries) == 2


def test_a_query_stays_in_its_half_when_others_are_judged(written):
    queries = [f"question {number}" for number in range(40)]
    halves = {
        part: set(
            load_judgements(written(*(line(query, a=1) for query in queries)), part=part)
            .datasets[0]
            .queries.values()
        )
        for part in (Part.DEVELOPMENT, Part.HELD_OUT)
    }
    assert halves[Part.DEVELOPMENT] | halves[Part.HELD_OUT] == set(queries)
    assert not halves[Part.DEVELOPMENT] & halves[Part.HELD_OUT]
    fewer = load_judgements(
        written(*(line(query, a=1) for query in queries[20:])), part=Part.HELD_OUT
    )
    assert set(fewer.datasets[0].queries.values()) <= halves[Part.HELD_OUT]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (line(query=" ", a=1), "query"),
        ({"collection": "docs", "query": "sky", "judgements": ["a"]}, "judgements"),
        ({"collection": "docs", "query": "sky", "judgements": {"a": True}}, "judgements"),
        ({"collection": "docs", "query": "sky", "judgements": {"a": -1}}, "judgements"),
        ({"collection": "docs", "query": "sky", "judgements": {"a": 0.5}}, "judgements"),
        (line(collection=None, a=1), "--collection"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_line_is_named(written, bad, told):
    with pytest.raises(DatasetError, match=r"judgements\.jsonl:2: .*" + told):
        load_judgements(written(line(a=1), bad))


def test_a_file_without_any_relevant_document_says_where_to_judge(written):
    with pytest.raises(DatasetError, match="/ui"):
        load_judgements(written(line(a=0)))


def test_the_share_that_was_judged_is_that_of_the_first_ten_hits(written):
    (dataset,) = load_judgements(written(line(a=1, b=0), line("sea", z=1))).datasets
    sky, sea = dataset.queries
    orders = {sky: ["a", "b", "c", "d"], sea: [*"abcdefghij", "z"]}
    assert judged_share(dataset, orders) == 2 / 14
    assert judged_share(dataset, {sky: [], sea: []}) == 0
