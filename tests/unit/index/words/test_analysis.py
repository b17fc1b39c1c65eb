"""Which texts a query's words find, script by script: see `word_table`."""

import math

import pytest

from twopass.index.words.analysis import Analyser

from .word_table import FOUND, FOUND_FIRST, NOT_FOUND


def is_found(text: str, query: str, language: str = "") -> bool:
    analyser = Analyser(language)
    return not analyser.query_weights(query).keys().isdisjoint(analyser.terms(text))


def best_first(query: str, texts: list[str], language: str = "") -> list[str]:
    """Texts that a query finds, by a plain BM25 (k1 1.2, b 0.75)."""
    analyser = Analyser(language)
    terms = [analyser.terms(text) for text in texts]
    average = sum(map(len, terms)) / len(texts)

    def score(of: list[str]) -> float:
        total = 0.0
        for term, weight in analyser.query_weights(query).items():
            num_holders = sum(term in one for one in terms)
            idf = math.log1p((len(texts) - num_holders + 0.5) / (num_holders + 0.5))
            count = of.count(term)
            total += weight * idf * count / (count + 1.2 * (0.25 + 0.75 * len(of) / average))
        return total

    scores = [score(of) for of in terms]
    order = sorted(range(len(texts)), key=lambda position: -scores[position])
    return [texts[position] for position in order if scores[position] > 0]


@pytest.mark.parametrize(("text", "query"), FOUND)
def test_a_text_is_found(text, query):
    assert is_found(text, query)


@pytest.mark.parametrize(("text", "query"), NOT_FOUND)
def test_a_text_is_not_found(text, query):
    assert not is_found(text, query)


@pytest.mark.parametrize(("query", "first", "second"), FOUND_FIRST)
def test_a_text_is_found_before_another(query, first, second):
    others = ["something else altogether", "and one more of those"]
    assert best_first(query, [second, *others, first])[:2] == [first, second]


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        ("en", "she was running", "runs"),
        ("porter", "she was running", "runs"),
        ("de", "viele Häuser", "haus"),
        ("de", "viele Hausern", "häuser"),  # without its dots it is found too
        ("fr", "elle a chanté", "chanter"),
        ("fr", "elle a chante", "chanté"),
        ("es", "las canciones", "canción"),
        ("es", "las canciones", "cancion"),
        ("pt", "as informações", "informação"),
        ("it", "le città", "citta"),
        ("ru", "красивые дома", "домами"),
        ("pl", "książkami", "ksiazka"),
        ("tr", "evlerde", "evler"),
        ("fi", "taloissa", "talo"),
        ("sv", "husen", "huset"),
        ("el", "οι άνθρωποι", "ανθρωπος"),
        ("ar", "المدرسة", "مدرسة"),
        ("hi", "लड़कियों", "लड़की"),
        ("hu", "házakban", "haz"),
        ("cs", "městech", "mesto"),
    ],
)
def test_endings_of_a_language_do_not_matter(language, text, query):
    assert is_found(text, query, language)


def test_words_stand_as_they_are_where_no_language_is_named():
    assert not is_found("she was running", "runs")


def test_what_has_been_joined_is_stemmed_as_the_word_that_it_is():
    assert is_found("all e-mails", "email", "en")
    assert is_found("their userNames", "username", "en")
