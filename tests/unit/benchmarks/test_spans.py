"""What the benchmark of spans counts."""

import json

import numpy as np
import pytest

from twopass.benchmarks.spans.measures import measures
from twopass.benchmarks.spans.questions import Question, load_questions
from twopass.benchmarks.spans.scored import ScoredText
from twopass.client import Document
from twopass.engines.model.calibration import Calibration
from twopass.evaluation.datasets import DatasetError

WORDS = "One two. Three four. Five six. Seven eight."
SENTENCES = [(0, 8), (9, 20), (21, 30), (31, 43)]
# Two tokens a sentence: its words.
PLACES = [(0, 3), (4, 8), (9, 14), (15, 20), (21, 25), (26, 30), (31, 36), (37, 43)]


def scored(number, answer, logits):
    question = Question(f"q{number}", "?", Document(id="d", text=WORDS), (answer,))
    return ScoredText(
        question=question,
        places=np.array(PLACES, np.int32),
        sentences=SENTENCES,
        logits=np.array(logits, np.float32),
        windows=dict.fromkeys((*range(1, 9),), 0),
    )


def by_name(texts):
    return {each.name: each for each in measures(texts, Calibration())}


def test_answers_are_counted_inside_parts_and_parts_by_their_tokens():
    found = by_name([scored(0, "five", [0, 1, 5, 2]), scored(1, "one two", [0, 1, 5, 2])])
    best, three = found["best sentence"], found["three best sentences"]
    assert (best.answers, best.tokens) == (0.5, 0.25)
    assert (three.answers, three.tokens) == (0.5, 0.75)
    first = found["as many first tokens"]
    assert (first.answers, first.tokens) == (0.5, 0.25)
    assert found["first 64 tokens"].answers == 1


def test_sentences_in_a_row_are_one_part():
    # The answer begins in one sentence and ends in the next.
    found = by_name([scored(0, "four. five", [0, 4, 5, 1])])
    assert found["best sentence"].answers == 0
    assert found["three best sentences"].answers == 1


def test_what_keeps_most_answers_is_chosen_on_one_half_and_told_of_the_other():
    texts = [scored(i, "one" if i % 2 else "five", [3, 0, 5, 0]) for i in range(40)]
    pruned = by_name(texts)["pruned text, 95 %"]
    assert (pruned.answers, pruned.tokens) == (1, 0.5)
    assert pruned.setting == "log odds 2.00"
    assert by_name(texts)["first tokens, 95 %"].setting == "5 tokens"


@pytest.fixture
def folder(tmp_path):
    """A test collection of two questions, one with an answer in its document."""

    def write(name, rows):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("corpus.jsonl", [{"_id": "d", "title": "Seven", "text": "One  two.\nThree."}])
    write("queries.jsonl", [{"_id": "a", "text": "A?"}, {"_id": "b", "text": "B?"}])
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\na\td\t1\nb\td\t1\n")
    write(
        "answers.jsonl",
        [{"_id": "a", "answers": ["ONE two", "x"]}, {"_id": "b", "answers": ["seven"]}],
    )
    return tmp_path


def test_questions_are_those_whose_answer_is_in_a_documents_text(folder):
    questions = load_questions(folder)
    assert [question.id for question in questions.asked] == ["a"]
    assert questions.num_unanswered == 1
    assert questions.asked[0].is_answered_by(["of one\ntwo. "])
    assert not questions.asked[0].is_answered_by(["one", "two"])


def test_a_folder_without_answers_is_refused(folder):
    (folder / "answers.jsonl").write_text("[]\n")
    with pytest.raises(DatasetError, match=r"answers.jsonl:1: not an object with _id and answers"):
        load_questions(folder)
    (folder / "answers.jsonl").unlink()
    with pytest.raises(DatasetError, match="there is no such file"):
        load_questions(folder)
