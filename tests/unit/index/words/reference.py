"""BM25 by the formula, over documents in a dict: slow, and plain enough to be believed."""

import math
from collections import Counter

K1, B = 1.2, 0.75


def kept_length(length):
    """The greatest length of four significant bits, counted from 24, that is not above this one."""
    if length < 40:
        return length
    above, shift = length - 24, 0
    while above >> shift >= 16:
        shift += 1
    return 24 + (above >> shift << shift)


def holds(atoms, wanted, *, is_prefix=False):
    """Whether atoms stand next to each other in this order; of a prefix the last may go on."""
    for start in range(len(atoms) - len(wanted) + 1):
        run = atoms[start : start + len(wanted)]
        if run == wanted or (
            is_prefix and run[:-1] == wanted[:-1] and run[-1].startswith(wanted[-1])
        ):
            return True
    return False


def idf(num_documents, num_holders):
    return math.log(1 + (num_documents - num_holders + 0.5) / (num_holders + 0.5))


def bm25(bags, weights, average):
    """Scores of the documents that hold any of the terms.

    Args:
        bags: How often each document holds each of its terms, by name.
        weights: The idf of each term of the query.
        average: The average length.
    """
    scores = Counter()
    for term, weight in weights.items():
        for name, bag in bags.items():
            if term in bag:
                length = kept_length(bag.total() + 1)  # the mark
                divisor = bag[term] + K1 * (1 - B + B * length / average)
                scores[name] += weight * bag[term] * (K1 + 1) / divisor
    return scores
