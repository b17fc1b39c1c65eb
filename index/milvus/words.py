"""Words as Milvus' BM25 function counts them.

Texts are analysed here, as the default store analyses them, so that a search by words finds the
same in every language and of every code. Milvus gets the terms with spaces between, and an
analyser that does nothing but cut there: it keeps the statistics and scores by BM25.

A term of other signs than `a` to `z` and digits becomes a digest of such signs, so that no
analyser can cut or change it. Digests have 45 bits: among a million distinct terms, one pair is
expected to share one in every second collection.
"""

import base64
import hashlib
import re
from collections.abc import Mapping

from twopass.index.words.analysis import Analyser

ANALYZER = {"tokenizer": "standard"}
"""Milvus' name of what cuts at spaces, and at nothing else that a term holds."""

K1, B = 1.2, 0.75  # as the default store has them

_TITLE_WEIGHT = 2  # likewise
_PLAIN = re.compile(r"[a-z0-9]{1,64}")
_DIGEST = "0"
_DIGEST_LENGTH = 9
# Of the least weight that a query's term has beside its others.
_MAX_REPEATED = 8


def words_of(analyser: Analyser, title: str, text: str) -> str:
    """The terms of a document as Milvus reads them; those of the title count twice."""
    terms = _TITLE_WEIGHT * analyser.terms(title) if title else []
    return " ".join(map(_written, [*terms, *analyser.terms(text)]))


def query_words(weights: Mapping[str, float]) -> tuple[str, float]:
    """The terms of a query as Milvus reads them, and by what to multiply the scores.

    A term that counts more than another is repeated, since Milvus knows no weights.

    Args:
        weights: How much each term counts, above 0 and at most 1.
    """
    if not weights:
        return "", 1.0
    times = min(_MAX_REPEATED, round(1 / min(weights.values())))
    terms = [term for term, weight in weights.items() for _ in range(max(1, round(weight * times)))]
    return " ".join(map(_written, terms)), 1 / times


def _written(term: str) -> str:
    if _PLAIN.fullmatch(term) and not (term[0] == _DIGEST and len(term) == 1 + _DIGEST_LENGTH):
        return term
    digest = hashlib.blake2b(term.encode(), digest_size=6).digest()
    return _DIGEST + base64.b32encode(digest).decode().lower()[:_DIGEST_LENGTH]
