"""Words of many documents at once are those of each alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.words import encoding
from twopass.index.words.analysis import Analyser
from twopass.index.words.encoding import encode_words, hashes_of
from twopass.index.words.scoring import MARK

words = st.sampled_from(
    [
        "the",
        "running",
        "C++",
        "XR-2000/5",
        "getUserName",
        "東京都",
        "请安装Docker后",
        "—",
        "Straße",
        "한국어",
    ]
)
texts = st.lists(words | st.text(max_size=8), max_size=30).map(" ".join)


@pytest.mark.parametrize("language", ["", "en"])
@given(documents=st.lists(st.tuples(texts, texts), max_size=6))
def test_the_words_of_documents_are_those_that_the_analysis_finds(language, documents):
    analyser = Analyser(language)
    encoded = encode_words(analyser, documents)
    assert len(encoded.texts) == len(encoded.postings.lengths) == len(documents)
    expected: Counter[tuple[int, int]] = Counter()
    for number, (title, text) in enumerate(documents):
        terms = 2 * analyser.terms(title) + analyser.terms(text)
        assert encoded.texts[number].terms == " ".join([*terms, MARK])
        assert encoded.postings.lengths[number] == len(terms) + 1
        expected.update((one, number) for one in hashes_of(terms).tolist())
        atoms = analyser.atoms(text)
        if title:
            atoms = [*analyser.atoms(title), MARK, *atoms]
        assert encoded.texts[number].atoms == " ".join(atoms)
    postings = encoded.postings
    triples = zip(
        postings.hashes.tolist(),
        postings.documents.tolist(),
        postings.counts.tolist(),
        strict=True,
    )
    assert [((one, number), count) for one, number, count in triples] == sorted(expected.items())


def test_tokens_that_are_forgotten_are_found_again(monkeypatch):
    monkeypatch.setattr(encoding, "_MAX_REMEMBERED", 3)
    monkeypatch.setattr(encoding, "_of_tokens", {})
    analyser = Analyser("en")
    text = " ".join(f"word{n % 7} running" for n in range(50))
    first, second = (encode_words(analyser, [("", text)]) for _ in range(2))
    assert first.texts == second.texts
    assert first.texts[0].terms == " ".join([*analyser.terms(text), MARK])
    (remembered,) = encoding._of_tokens.values()
    assert len(remembered) <= 3
