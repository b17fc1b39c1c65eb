"""What holds of the terms of every text, whatever it is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.words.analysis import Analyser
from twopass.index.words.analysis_folding import MAX_TERM_BYTES
from twopass.index.words.analysis_languages import ALGORITHMS, PORTER

LANGUAGES = ("", PORTER, *sorted(ALGORITHMS))
PIECES = (
    "a",
    "s",
    "Ab",
    "C++",
    "1",
    "2000",
    "-",
    "/",
    ".",
    "_",
    "'",
    "@",
    " ",
    "中",
    "ก",
    "가",
    "é",
    "ﷺ",
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=40).map("".join)


@given(text=TEXTS, language=st.sampled_from(LANGUAGES))
def test_a_term_is_never_empty_too_long_or_more_than_one_word(text, language):
    analyser = Analyser(language)
    for term in [*analyser.terms(text), *analyser.atoms(text)]:
        assert term.split() == [term]
        assert "\0" not in term
        assert len(term.encode()) <= MAX_TERM_BYTES


@given(text=TEXTS, language=st.sampled_from(LANGUAGES))
def test_a_text_asked_for_as_it_stands_is_found_by_each_of_its_terms(text, language):
    analyser = Analyser(language)
    searched = analyser.query_terms(text)
    assert len(set(searched)) == len(searched)
    assert set(searched) <= set(analyser.terms(text))
    assert bool(searched) == bool(analyser.terms(text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_stemmed_away(language):
    analyser = Analyser(language)
    for letter in "abcdefghijklmnopqrstuvwxyzäöüßéñçøαωяшعی":
        assert analyser.terms(letter), letter
