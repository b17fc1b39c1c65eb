"""BM25 as Tantivy computes it, so that documents in memory and on disk have comparable scores.

::

    idf(N, n) = ln(1 + (N - n + 0.5) / (n + 0.5))
    score     = sum of  idf * 2.2 * count / (count + 1.2 * (0.25 + 0.75 * length / average))

Robertson et al. 1994 with k1 = 1.2 and b = 0.75; the idf is Lucene's, which is never negative. N
and n count the documents of base and memory together; `average` is the base's average length, or
that of the documents in memory where there is no base. Lengths count one term more than a document
has, its mark, by which the base tells N and its average length.
"""

import math

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s

MARK = "\uffff"
"""A term of every document that no text can have, since it is no character."""

K1 = 1.2
B = 0.75


def _lengths() -> Int64s:
    """Lengths that a byte can stand for: exact up to 40, then of four significant bits.

    Tantivy keeps a document's length in one byte, by the table of Lucene's `SmallFloat`.
    """

    def small_float(byte: int) -> int:
        mantissa, shift = byte & 7, (byte >> 3) - 1
        return mantissa if shift < 0 else (mantissa | 8) << shift

    return np.array([n if n < 24 else 24 + small_float(n - 24) for n in range(256)], np.int64)


_LENGTHS = _lengths()


def kept_lengths(lengths: Int64s) -> Float32s:
    """Document lengths as the base keeps them: the next below that a byte can stand for.

    Args:
        lengths: Numbers of terms, int64 `[num_documents]`.
    """
    return _LENGTHS[np.searchsorted(_LENGTHS, lengths, side="right") - 1].astype(np.float32)


def idf(num_documents: int, num_holders: int) -> float:
    """How much a term tells that `num_holders` of `num_documents` documents hold."""
    return math.log1p((num_documents - num_holders + 0.5) / (num_holders + 0.5))


def length_parts(lengths: Float32s, average: float) -> Float32s:
    """What is added to a term's count in the formula's divisor, float32 `[num_documents]`.

    Args:
        lengths: From `kept_lengths`.
        average: The average length of a document, above 0.
    """
    parts: Float32s = (K1 * (1 - B) + K1 * B / average * lengths).astype(np.float32)
    return parts
