"""Terms of documents, computed before they are written: in numbers, and as texts for the base."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.words.analysis import Analyser
from twopass.index.words.scoring import MARK

_TITLE_WEIGHT = 2
_MAX_REMEMBERED = 1 << 16  # tokens of a generation
_MAX_REMEMBERED_LENGTH = 64


@dataclass(frozen=True, slots=True)
class WordTexts:
    """A document's words as the base takes them, with single spaces between.

    Attributes:
        terms: All terms, those of the title twice, and the mark.
        atoms: The atoms of title and text, and between the two one that no phrase can hold, so that
            none reaches from one into the other.
    """

    terms: str
    atoms: str


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Which documents hold which terms, and how often; documents by their positions from 0.

    Terms are known by Python's hash of them, 64 bits: a thousand million distinct terms would have
    one pair alike in 37 collections. It differs from process to process, and never goes to disk.

    Attributes:
        hashes: int64 `[num_postings]`, ascending.
        documents: int32 `[num_postings]`, ascending within a term.
        counts: float32 `[num_postings]`.
        lengths: Number of terms of each document and its mark, int64 `[num_documents]`.
    """

    hashes: Int64s
    documents: Int32s
    counts: Float32s
    lengths: Int64s

    def some(self, chosen: Bools) -> "Postings":
        """The postings of some of the documents, bool `[num_documents]`, which move together."""
        positions = np.cumsum(chosen, dtype=np.int32) - np.int32(1)
        kept = chosen[self.documents]
        return Postings(
            self.hashes[kept],
            positions[self.documents[kept]],
            self.counts[kept],
            self.lengths[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class EncodedWords:
    """The words of documents, ready to be added to an index.

    Attributes:
        texts: For each document.
        postings: Of all of them.
    """

    texts: tuple[WordTexts, ...]
    postings: Postings

    @classmethod
    def none(cls) -> "EncodedWords":
        """The words of no documents."""
        return cls((), _postings(()))

    def some(self, chosen: Bools) -> "EncodedWords":
        """The words of some of the documents, bool `[num_documents]`."""
        return EncodedWords(tuple(compress(self.texts, chosen)), self.postings.some(chosen))


def hashes_of(terms: Sequence[str]) -> Int64s:
    """The numbers that stand for terms in `Postings`, int64 `[num_terms]`."""
    return np.fromiter(map(hash, terms), np.int64, len(terms))


@dataclass(frozen=True, slots=True)
class _Words:
    """What a text becomes.

    Attributes:
        hashes: Of its terms, int64, end to end.
        terms: Its terms, a space after each.
        atoms: Its atoms, a space after each.
    """

    hashes: bytes
    terms: str
    atoms: str


class _OfTokens(dict[str, tuple[bytes, str, str]]):
    """What the tokens met last become, in the order of the attributes of `_Words`.

    A token is what stands between white space. Those that are met again are kept when others are
    forgotten: two generations of tokens are at most some forty megabytes.
    """

    def __init__(self, analyser: Analyser) -> None:
        super().__init__()
        self._analyser = analyser
        self._older: dict[str, tuple[bytes, str, str]] = {}

    def __missing__(self, token: str) -> tuple[bytes, str, str]:
        found = self._older.get(token)
        if found is None:
            terms, atoms = self._analyser.terms(token), self._analyser.atoms(token)
            found = hashes_of(terms).tobytes(), _spaced(terms), _spaced(atoms)
        if len(token) <= _MAX_REMEMBERED_LENGTH:
            if len(self) >= _MAX_REMEMBERED:
                self._older = dict(self)
                self.clear()
            self[token] = found
        return found


_of_tokens: dict[str, _OfTokens] = {}  # by what decides the terms: collections share them


def encode_words(analyser: Analyser, documents: Sequence[tuple[str, str]]) -> EncodedWords:
    """Analyses documents.

    Args:
        analyser: The collection's.
        documents: Title and text of each.
    """
    of_tokens = _of_tokens.get(analyser.version)
    if of_tokens is None:
        of_tokens = _of_tokens.setdefault(analyser.version, _OfTokens(analyser))
    hashes: list[bytes] = []
    texts: list[WordTexts] = []
    for title, text in documents:
        words = _words_of(text, analyser, of_tokens)
        terms, atoms, own_hashes = words.terms, words.atoms, words.hashes
        if title:
            words = _words_of(title, analyser, of_tokens)
            terms = _TITLE_WEIGHT * words.terms + terms
            atoms = f"{words.atoms}{MARK} {atoms}"
            own_hashes = _TITLE_WEIGHT * words.hashes + own_hashes
        hashes.append(own_hashes)
        texts.append(WordTexts(terms + MARK, atoms[:-1]))
    return EncodedWords(tuple(texts), _postings(hashes))


def _words_of(text: str, analyser: Analyser, of_tokens: _OfTokens) -> _Words:
    if not analyser.is_spaced(text):
        terms = analyser.terms(text)
        return _Words(hashes_of(terms).tobytes(), _spaced(terms), _spaced(analyser.atoms(text)))
    tokens = text.split()
    if len(tokens) < 2:
        return _Words(*of_tokens[tokens[0]]) if tokens else _Words(b"", "", "")
    # One look for each token, without a step of Python's between two.
    hashes, parts, atoms = zip(*itemgetter(*tokens)(of_tokens), strict=True)
    return _Words(b"".join(hashes), "".join(parts), "".join(atoms))


def _spaced(words: Sequence[str]) -> str:
    return "".join([f"{word} " for word in words])


def _postings(of_documents: Sequence[bytes]) -> Postings:
    """The postings of documents, of each the hashes of its terms, int64, end to end."""
    num_terms = np.array([len(one) // 8 for one in of_documents], np.int64)
    hashes = np.frombuffer(b"".join(of_documents), np.int64)
    documents = np.repeat(np.arange(len(num_terms), dtype=np.int32), num_terms)
    order = np.argsort(hashes, kind="stable")  # documents stay ascending within a term
    hashes, documents = hashes[order], documents[order]
    is_first = np.ones(len(hashes), np.bool_)
    is_first[1:] = (hashes[1:] != hashes[:-1]) | (documents[1:] != documents[:-1])
    first = np.flatnonzero(is_first)
    counts = np.diff(first, append=len(hashes)).astype(np.float32)
    return Postings(hashes[first], documents[first], counts, num_terms + 1)
