"""One analysis of words for documents and queries: text in, terms out.

A text is normalised (`analysis_folding`), cut into words, codes and names (`analysis_codes`) or, in
scripts without spaces, by dictionaries (`analysis_spaceless`), and stemmed by its language
(`analysis_languages`). What is indexed for a document is what a query of the same text looks for.
"""

import functools
import re
import unicodedata
from collections.abc import Callable
from itertools import chain

import icu4py
import Stemmer

from twopass.index.languages import PORTER, check_language
from twopass.index.words import analysis_codes as codes
from twopass.index.words import analysis_spaceless as spaceless
from twopass.index.words.analysis_folding import normalised
from twopass.index.words.analysis_languages import stemmer

ANALYSIS_VERSION = 1
"""Changes whenever a text's terms or atoms do."""

_MAX_KEPT = 1 << 17  # tokens and terms together
_MAX_KEPT_LENGTH = 64

# Scripts without spaces, and what may become a part of them when it is normalised.
_MAYBE_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u1aff\u1b00-\u1b4f\u2e80-\ua4cf\ua980-\uaadf\uf900-\ufaff"
    "\ufe30-\uffef\U00016fe0-\U00018cff\U0001b000-\U0001b2ff\U0001f200-\U0001f2ff\U00020000-\U0010ffff]"
)


class OfTokens(dict[str, tuple[str, ...]]):
    """What becomes of the tokens met last, at most some ten megabytes.

    A token is what stands between white space: "word", "word." and "(getUserName)," are three.
    """

    def __init__(
        self, of_chunk: Callable[[str], tuple[str, ...]], max_kept: int = _MAX_KEPT
    ) -> None:
        super().__init__()
        self._max_kept = max_kept
        self._of_chunk = of_chunk
        self._num_kept = 0

    def __missing__(self, token: str) -> tuple[str, ...]:
        plain = normalised(token)
        of_chunks = [self.get(chunk) or self._of_chunk(chunk) for chunk in codes.chunks(plain)]
        found = of_chunks[0] if len(of_chunks) == 1 else tuple(chain.from_iterable(of_chunks))
        if len(token) <= _MAX_KEPT_LENGTH:
            # Frequent words are back at once, so forgetting all of them costs little.
            self._num_kept += 1 + len(found)
            if self._num_kept > self._max_kept:
                self.clear()
                self._num_kept = 1 + len(found)
            self[token] = found
        return found


@functools.cache
def _terms_of_tokens(language: str) -> OfTokens:
    """What all collections of a language share."""
    return OfTokens(functools.partial(codes.terms, stem=stemmer(language)))


_atoms_of_tokens = OfTokens(codes.atoms)


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
        self._stem = stemmer(language)
        self._tokens = _terms_of_tokens(language)
        stemming = f" {language} snowball {Stemmer.version()}" if language else ""
        self.version = (
            f"{ANALYSIS_VERSION} unicode {unicodedata.unidata_version} icu {icu4py.icu_version}"
            f"{stemming}"
        )

    @staticmethod
    def is_spaced(text: str) -> bool:
        """Whether a text becomes what its parts between white space become, in order."""
        return text.isascii() or not _MAYBE_SPACELESS.search(text)

    def terms(self, text: str) -> list[str]:
        """Returns all terms of a document's text, with repetitions, for BM25.

        A term holds no white space and no control character, and has at most
        `MAX_TERM_BYTES` bytes of UTF-8.
        """
        runs: list[str] = []
        if not self.is_spaced(text):
            text = spaceless.unwrapped(normalised(text))
            runs = spaceless.runs(text)
            text = spaceless.without_runs(text)
        found = list(chain.from_iterable(map(self._tokens.__getitem__, text.split())))
        return found + spaceless.terms(runs) if runs else found

    def query_weights(self, text: str) -> dict[str, float]:
        """Returns the terms that a query of this text looks for, each among its `terms`.

        With each, how much it counts, above 0 and at most 1: a term's BM25 is multiplied by it.
        """
        found: dict[str, float] = {}
        for between, run in spaceless.alternating(spaceless.unwrapped(normalised(text))):
            for chunk in codes.chunks(between):
                _keep_most(found, codes.weights(chunk, self._stem))
            if run:
                _keep_most(found, spaceless.weights(run))
        return found

    def query_terms(self, text: str) -> list[str]:
        """Returns the distinct terms that a query of this text looks for."""
        return list(self.query_weights(text))

    def atoms(self, text: str) -> list[str]:
        """Returns the smallest parts of a text in order, one for each position, unstemmed.

        What a part becomes does not depend on what stands beside it, so that a phrase is a run of
        atoms wherever it stands. Of scripts without spaces, and of Hangul, each letter is one.
        """
        look_up = _atoms_of_tokens.__getitem__
        if self.is_spaced(text):
            return list(chain.from_iterable(map(look_up, text.split())))
        found: list[str] = []
        for between, run in spaceless.alternating(spaceless.unwrapped(normalised(text))):
            found += chain.from_iterable(map(look_up, between.split()))
            found += spaceless.letters(run)
        return found


def _keep_most(found: dict[str, float], more: dict[str, float]) -> None:
    for term, weight in more.items():
        found[term] = max(weight, found.get(term, 0.0))
