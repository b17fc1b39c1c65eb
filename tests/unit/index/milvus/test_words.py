"""Terms as Milvus reads them: cut by nothing, distinct where they are distinct."""

import re

from hypothesis import given
from hypothesis import strategies as st

from twopass.index.milvus.words import query_words, words_of
from twopass.index.words.analysis import Analyser

ANALYSER = Analyser("en")
TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        "Crème brûlée",
        "C++ and C#",
        "getUserName(x)",
        "東京都に住む",
        "v2.0.5-rc1",
        "O'Neill's",
        "🙂",
        "0abcdefghi",
    ]
)


@given(TEXT, TEXT)
def test_every_analyser_cuts_what_is_written_into_as_many_words_as_there_are_terms(title, text):
    written = words_of(ANALYSER, title, text)
    terms = 2 * ANALYSER.terms(title) + ANALYSER.terms(text)
    assert re.findall(r"\w+", written) == written.split()
    assert len(written.split()) == len(terms)
    assert written == written.lower()


@given(TEXT, TEXT)
def test_terms_are_one_word_exactly_where_they_are_one_term(one, other):
    terms = [*ANALYSER.terms(one), *ANALYSER.terms(other)]
    written = words_of(ANALYSER, "", one).split() + words_of(ANALYSER, "", other).split()
    for term, word in zip(terms, written, strict=True):
        for term_of_other, word_of_other in zip(terms, written, strict=True):
            assert (term == term_of_other) == (word == word_of_other)


@given(TEXT)
def test_a_query_looks_for_words_that_a_document_of_its_text_has(text):
    words, factor = query_words(ANALYSER.query_weights(text))
    assert set(words.split()) <= set(words_of(ANALYSER, "", text).split())
    assert 0 < factor <= 1


def test_a_term_that_counts_twice_as_much_is_there_twice_as_often():
    assert query_words({"a": 1.0, "b": 0.5}) == ("a a b", 0.5)
    assert query_words({"a": 1.0, "b": 1.0}) == ("a b", 1.0)
    assert query_words({}) == ("", 1.0)
