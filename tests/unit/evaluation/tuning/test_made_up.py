"""Questions cut out of documents."""

import pytest

from twopass.client import Document
from twopass.evaluation.tuning.made_up import cut_question, made_up

BODY = (
    "The server keeps what was written. " + "It reads it again when it starts, page by page. " * 3
)


def test_a_title_becomes_the_question_and_leaves_its_document():
    found = cut_question(Document("a", f"How servers start\n{BODY}", "How servers start"))
    assert (found.text, found.kind) == ("How servers start", "title")
    assert found.document.title == ""
    assert "How servers start" not in found.document.text


def test_a_heading_is_next():
    found = cut_question(Document("a", f"## How servers start ##\n\n{BODY}", "Start"))
    assert (found.text, found.kind) == ("How servers start", "heading")
    assert found.document.title == "Start"
    assert "How servers start" not in found.document.text


def test_else_a_sentence_is_and_the_same_one_each_time():
    found = cut_question(Document("a", BODY))
    assert found.kind == "sentence"
    assert found.text in BODY
    assert len(found.document.text.split()) + len(found.text.split()) == len(BODY.split())
    assert cut_question(Document("a", BODY)) == found


@pytest.mark.parametrize("text", ["", "Too short.", "one two three four five six. seven"])
def test_a_document_that_would_be_left_empty_is_asked_nothing(text):
    assert cut_question(Document("a", text, "A title of words")) is None


def test_sentences_of_scripts_without_spaces_are_found():
    text = "東京は日本の首都です。人口は千四百万人ほどです。" * 6
    found = cut_question(Document("a", text))
    assert found.kind == "sentence"
    assert found.text.endswith("。")


def test_what_is_asked_of_two_documents_is_not_asked_at_all():
    documents = [Document(name, BODY, "One title for two") for name in "ab"]
    documents.append(Document("c", BODY, "A title of its own"))
    found = made_up(documents, 10, 10)
    assert [question.document.id for question in found.questions] == ["c"]
    assert len(found.documents) == 3
    (relevant,) = found.dataset("copy").qrels.values()
    assert relevant == {"c": 1}


def test_as_many_are_drawn_as_are_wanted_and_the_same_each_time():
    documents = [Document(f"d{n}", BODY, f"The title number {n}") for n in range(50)]
    found = made_up(documents, 5, 20)
    assert (len(found.questions), len(found.documents)) == (5, 20)
    assert found.kinds() == {"title": 5}
    assert made_up(reversed(documents), 5, 20) == found
