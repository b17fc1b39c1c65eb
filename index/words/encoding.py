"""Terms of documents, computed before they are written: in numbers, and as texts for the base."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, compress

import numpy as np

from twopass.engines.base import Float32s, Int32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.words.analysis import Analyser

_TITLE_WEIGHT = 2
# A code point that is no character, and so in no text's atoms.
_TITLE_END = "\uffff"


@dataclass(frozen=True, slots=True)
class WordTexts:
    """A document's words as the base takes them, with single spaces between.

    Attributes:
        terms: All terms, those of the title twice.
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
        lengths: Number of terms of each document, int64 `[num_documents]`.
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


def encode_words(analyser: Analyser, documents: Sequence[tuple[str, str]]) -> EncodedWords:
    """Analyses documents.

    Args:
        analyser: The collection's.
        documents: Title and text of each.
    """
    terms: list[list[str]] = []
    texts: list[WordTexts] = []
    for title, text in documents:
        terms.append(_TITLE_WEIGHT * analyser.terms(title) + analyser.terms(text))
        atoms = analyser.atoms(text)
        if title:
            atoms = [*analyser.atoms(title), _TITLE_END, *atoms]
        texts.append(WordTexts(" ".join(terms[-1]), " ".join(atoms)))
    return EncodedWords(tuple(texts), _postings(terms))


def _postings(terms: Sequence[list[str]]) -> Postings:
    lengths = np.array([len(one) for one in terms], np.int64)
    hashes = np.fromiter(map(hash, chain.from_iterable(terms)), np.int64, int(lengths.sum()))
    documents = np.repeat(np.arange(len(terms), dtype=np.int32), lengths)
    order = np.argsort(hashes, kind="stable")  # documents stay ascending within a term
    hashes, documents = hashes[order], documents[order]
    is_first = np.ones(len(hashes), np.bool_)
    is_first[1:] = (hashes[1:] != hashes[:-1]) | (documents[1:] != documents[:-1])
    first = np.flatnonzero(is_first)
    counts = np.diff(first, append=len(hashes)).astype(np.float32)
    return Postings(hashes[first], documents[first], counts, lengths)
