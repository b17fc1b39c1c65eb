"""A query's words in the passages that were found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.commands.terminal.query_words import QueryWords


def _marked(query, text):
    return [text[start:end] for start, end in QueryWords.of([query]).places(text)]


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("How do I parse dates?", "Parsing a date; parsed", ["Parsing", "date", "parsed"]),
        ("a cat", "a cart and a Cat", ["Cat"]),
        ("RÉSUMÉ", "the resume", ["resume"]),
        ("string", "a strict string", ["string"]),
        ("the of and", "the end of it and more", ["the", "of", "and"]),
        ("sort_by_key", "sort by a key", ["sort", "key"]),
        ("日本語の検索", "この検索は日本の", ["検索", "日本"]),
        ("青い空", "空は青い。", ["青い"]),
        ("", "nothing", []),
    ],
)  # fmt: skip
def test_words_are_marked_whatever_their_case_accents_and_endings(query, text, marked):
    assert _marked(query, text) == marked


def test_words_of_several_texts_are_marked():
    words = QueryWords.of(["blue", "sky high"])
    assert [span.style for span in words.marked("a blue sky").spans] == ["bold", "bold"]


def test_an_excerpt_stands_around_most_of_the_words():
    text = "filler " * 40 + "the blue sky of a clear day " + "filler " * 40
    start, end = QueryWords.of(["blue sky"]).excerpt(text, 60)
    assert "blue sky" in text[start:end]
    assert end - start <= 60
    assert text[start - 1] == " "
    assert text[end] == " "


def test_a_text_without_the_words_is_shown_from_its_beginning():
    text = "filler " * 40
    assert QueryWords.of(["sky"]).excerpt(text, 60)[0] == 0


@given(st.text(max_size=200), st.text(max_size=20), st.integers(1, 100))
def test_an_excerpt_lies_within_the_text_and_its_bound(text, query, most):
    start, end = QueryWords.of([query]).excerpt(text, most)
    assert 0 <= start <= end <= len(text)
    assert end - start <= max(most, 0) or (start, end) == (0, len(text))
