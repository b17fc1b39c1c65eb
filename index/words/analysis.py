"""One analysis of words for documents and queries: text in, terms out.

A text is normalised (`analysis_folding`), cut into words, codes and names (`analysis_codes`) or, in
scripts without spaces, by dictionaries (`analysis_spaceless`), and stemmed by its language
(`analysis_languages`). What is indexed for a document is what a query of the same text looks for.
"""

import functools
import re
import unicodedata
from itertools import chain

import icu4py
import Stemmer

from twopass.index.words import analysis_codes as codes
from twopass.index.words import analysis_spaceless as spaceless
from twopass.index.words.analysis_folding import normalised
from twopass.index.words.analysis_languages import PORTER, check_language, stemmer

ANALYSIS_VERSION = 1
"""Changes whenever a text's terms or atoms do."""

_MAX_REMEMBERED = 1 << 15
_MAX_REMEMBERED_LENGTH = 64

_SPACELESS = re.compile(f"[{spaceless.SPACELESS}]")


class _TermsOfChunks(dict[str, tuple[str, ...]]):
    """The terms of the chunks met last, at most some ten megabytes of them."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._stem = stemmer(language)

    def __missing__(self, chunk: str) -> tuple[str, ...]:
        found = codes.terms(chunk, self._stem)
        if len(chunk) <= _MAX_REMEMBERED_LENGTH:
            # Frequent words are back at once, so forgetting all of them costs little.
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[chunk] = found
        return found


@functools.cache
def _terms_of_chunks(language: str) -> _TermsOfChunks:
    """What all collections of a language share."""
    return _TermsOfChunks(language)


class Analyser:
    """Cuts texts of one language into terms. Safe to call from several threads.

    Attributes:
        version: Names everything that decides the terms of a text: this analysis, the language,
            and the versions of Unicode, its dictionaries and the stemmers.
    """

    def __init__(self, language: str = "") -> None:
        """Makes an analyser.

        Args:
            language: An ISO 639-1 code, "" for words as they stand, or `PORTER`.

        Raises:
            InvalidSchemaError: There is no stemmer for the language.
        """
        if language != PORTER:
            check_language(language)
        self._chunks = _terms_of_chunks(language)
        stemming = f" {language} snowball {Stemmer.version()}" if language else ""
        self.version = (
            f"{ANALYSIS_VERSION} unicode {unicodedata.unidata_version} icu {icu4py.icu_version}"
            f"{stemming}"
        )

    def terms(self, text: str) -> list[str]:
        """Returns all terms of a document's text, with repetitions, for BM25.

        A term holds no white space and no control character, and has at most
        `MAX_TERM_BYTES` bytes of UTF-8.
        """
        found, runs = self._of_chunks(text)
        for run in runs:
            found += spaceless.terms(run)
        return found

    def query_terms(self, text: str) -> list[str]:
        """Returns the distinct terms that a query of this text looks for, each among `terms`."""
        found, runs = self._of_chunks(text)
        for run in runs:
            found += spaceless.query_terms(run)
        return list(dict.fromkeys(found))

    def atoms(self, text: str) -> list[str]:
        """Returns the smallest parts of a text in order, one for each position, unstemmed.

        What a part becomes does not depend on what stands beside it, so that a phrase is a run of
        atoms wherever it stands. Of scripts without spaces, and of Hangul, each letter is one.
        """
        text = normalised(text)
        if text.isascii():
            return [
                atom for chunk in codes.ASCII_CHUNK.findall(text) for atom in codes.atoms(chunk)
            ]
        found: list[str] = []
        for between, run in spaceless.alternating(text):
            for chunk in codes.CHUNK.findall(between):
                found += codes.atoms(chunk)
            found += spaceless.letters(run)
        return found

    def _of_chunks(self, text: str) -> tuple[list[str], list[str]]:
        """The terms of what has spaces, and the runs of what has none."""
        look_up = self._chunks.__getitem__
        if text.isascii():
            chunks = codes.ASCII_CHUNK.findall(text)
            return list(chain.from_iterable(map(look_up, chunks))), []
        text = normalised(text)
        runs: list[str] = []
        if _SPACELESS.search(text):
            runs = spaceless.runs(text)
            text = spaceless.without_runs(text)
        return list(chain.from_iterable(map(look_up, codes.CHUNK.findall(text)))), runs
