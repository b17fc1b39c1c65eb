"""Texts: made up, or of the passages of test collections."""

import json
from collections import Counter

import pytest

from twopass.benchmarks.size.texts import Texts
from twopass.evaluation.datasets import DatasetError


@pytest.fixture
def folder(tmp_path):
    """Three documents; the first, and one that is not there, answer the only judged question."""
    corpus = [
        {"_id": "a", "title": "Tides", "text": "the moon\nmoves the sea"},
        {"_id": "b", "text": " ".join(f"word{i}" for i in range(40))},
        {"_id": "c", "text": "last"},
    ]
    queries = [{"_id": "q", "text": "what moves the sea?"}, {"_id": "r", "text": "why?"}]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t2\nq\tnowhere\t1\n")
    return tmp_path


def test_texts_are_as_long_as_promised():
    lengths = [len(text) for text in Texts.made_up(0).joined(0, 200)]
    assert min(lengths) >= 400
    assert max(lengths) < 500


def test_some_made_up_words_are_as_much_more_frequent_as_in_a_language():
    counts = [count for _, count in Counter(Texts.made_up(0).words).most_common()]
    assert 1.8 < counts[0] / counts[1] < 2.2
    assert 80 < counts[0] / counts[99] < 120


def test_passages_are_whole_and_on_one_line_and_questions_refer_to_them(folder):
    texts = Texts.of([folder, folder], 100)
    assert texts.passages[0] == "Tides the moon moves the sea"
    assert len(texts.passages) == 6
    assert {question.text for question in texts.questions} == {"what moves the sea?"}
    assert sorted(tuple(q.answers.items()) for q in texts.questions) == [((0, 2),), ((3, 2),)]


def test_what_answers_a_question_is_in_no_other_text(folder):
    joined = " ".join(Texts.of([folder], 100).joined(0, 50)).split()
    assert set(joined) <= {*(f"word{i}" for i in range(40)), "last"}


def test_questions_whose_answers_find_no_room_are_left_out(folder):
    texts = Texts.of([folder, folder], 3)
    assert len(texts.passages) == 3
    assert [dict(question.answers) for question in texts.questions] == [{0: 2}]


def test_a_folder_that_is_no_test_collection_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nothing"):
        Texts.of([tmp_path / "nothing"], 10)
