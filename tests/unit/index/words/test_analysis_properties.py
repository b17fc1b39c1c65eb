"""What holds of the terms of every text, whatever it is made of."""

import ast
import re
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.languages import ALGORITHMS, PORTER
from twopass.index.words import analysis_codes as codes
from twopass.index.words.analysis import Analyser, OfTokens
from twopass.index.words.analysis_folding import MAX_TERM_BYTES
from twopass.index.words.analysis_languages import stemmer

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
    "\n",
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


@given(text=TEXTS, language=st.sampled_from(LANGUAGES), form=st.sampled_from(["NFC", "NFD"]))
def test_how_accents_are_encoded_does_not_matter(text, language, form):
    analyser = Analyser(language)
    other = unicodedata.normalize(form, text)
    assert analyser.terms(text) == analyser.terms(other)
    assert analyser.query_weights(text) == analyser.query_weights(other)
    assert analyser.atoms(text) == analyser.atoms(other)


@given(text=st.text(st.characters(codec="ascii") | st.sampled_from("aB1-/.'+#@,& "), max_size=60))
def test_ascii_goes_the_fast_way_to_where_the_slow_way_goes(text):
    # The slow way: no memory, no tokens, and the expression that knows every script.
    slow_chunks = codes.ANY_CHUNK.findall(text)
    slow_terms = [term for c in slow_chunks for term in codes.weights(c, stemmer("en"))]
    assert Analyser("en").terms(text) == slow_terms
    assert Analyser("en").atoms(text) == [atom for c in slow_chunks for atom in codes.atoms(c)]


@given(words=st.lists(st.text("abcxyz", min_size=1)))
def test_plain_words_are_their_own_terms(words):
    text = "  ".join(word.capitalize() for word in words)
    assert Analyser().terms(text) == words == Analyser().atoms(text)


@given(texts=st.lists(TEXTS, max_size=4))
def test_what_atoms_a_text_has_does_not_depend_on_what_is_beside_it(texts):
    atoms = Analyser().atoms
    assert atoms(" ".join(texts)) == [atom for text in texts for atom in atoms(text)]


@given(parts=st.lists(st.text("abXY", min_size=2) | st.text("123", min_size=2), min_size=1))
def test_atoms_of_a_code_are_those_of_its_pieces(parts):
    atoms = Analyser().atoms
    for separator in "-/._":
        assert atoms(separator.join(parts)) == [atom for part in parts for atom in atoms(part)]


@given(text=st.text("東京はカー国의서울", max_size=20), cut=st.integers(0, 20))
def test_atoms_of_scripts_without_spaces_are_the_same_wherever_a_text_is_cut(text, cut):
    atoms = Analyser().atoms
    assert atoms(text[:cut]) + atoms(text[cut:]) == atoms(text) == list(text)


@given(texts=st.lists(st.text("東京はカー国ก็าน้ำ", min_size=1, max_size=12), max_size=5))
def test_sentences_of_a_text_are_cut_as_each_of_them_alone(texts):
    analyser = Analyser()
    alone = [term for text in texts for term in analyser.terms(text)]
    assert sorted(analyser.terms("。".join(texts))) == sorted(alone)


def test_the_first_texts_of_a_process_are_cut_as_any_later():
    # Signs beside letters of another script; ICU would not know all dictionaries at first.
    texts = ["\u0e01\u0e32\u30fc\u0e47\u0e49\u0e33\u0e32", "\u30fc\u56fd\u6771\u0e32"]
    program = (
        "from twopass.index.words.analysis import Analyser; import sys; "
        "print([[Analyser().terms(text) for text in sys.argv[1:]] for _ in range(2)])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program, *texts], capture_output=True, text=True, check=True
    )
    first, later = ast.literal_eval(printed.stdout)
    assert first == later


@given(text=TEXTS)
def test_case_does_not_decide_what_a_phrase_finds(text):
    upper = text.upper()
    assert Analyser().atoms(upper) == Analyser().atoms(upper.lower())


def test_what_a_query_looks_for_counts_at_most_as_much_as_a_word():
    for text in (
        "word",
        "XR-2000/5",
        "getUserName",
        "東京は日本の首都です",
        "서울특별시는",
        "U.S.",
    ):
        weights = Analyser().query_weights(text)
        assert max(weights.values()) == 1
        assert min(weights.values()) > 0


def test_threads_get_what_one_gets():
    texts = [f"Running houses-{n} getUserName{n} läuft 東京{n} 서울은" for n in range(500)]
    alone = [Analyser("en").terms(text) for text in texts]
    for language in ("de", "en"):
        expected = [Analyser(language).terms(text) for text in texts]
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(Analyser(language).terms, texts)) == expected
    assert [Analyser("en").terms(text) for text in texts] == alone


def test_what_is_remembered_is_bounded():
    of_tokens = OfTokens(lambda chunk: (chunk,) * 3, max_kept=100)
    for n in range(1_000):
        assert of_tokens[f"w{n}"] == (f"w{n}",) * 3
        assert 4 * len(of_tokens) <= 100
    assert "x" * 65 not in of_tokens
    assert of_tokens["x" * 65] == ("x" * 65,) * 3
    assert "x" * 65 not in of_tokens


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "aB",
        "a1",
        "a-",
        "a'",
        "1,",
        "1.",
        "_",
        "+",
        "C++",
        ".@#",
        "\u0301",
        "中",
        "ก",
        "가",
        "👍",
        '"א',
    ],
)
def test_a_long_text_has_at_most_a_few_terms_for_each_of_its_characters(piece):
    text = piece * (20_000 // len(piece))
    terms = Analyser("en").terms(text)
    assert len(terms) <= 3 * len(text)
    assert max((len(term.encode()) for term in terms), default=0) <= MAX_TERM_BYTES
    assert len(Analyser("en").query_weights(text)) <= 3 * len(text)
    assert len(Analyser("en").atoms(text)) <= len(text)


def test_a_long_word_is_found_by_itself_alone():
    words = ["x" * 300, "x" * 299 + "y"]
    assert not set(Analyser().terms(words[0])) & set(Analyser().query_terms(words[1]))
    assert re.match("x{32}~", Analyser().terms(words[0])[0])
