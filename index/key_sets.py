"""Sets of keys as ascending arrays, which take milliseconds a million.

NumPy's own operations on sets know nothing of the order: `unique` and `union1d` of a million keys
take a second.
"""

import numpy as np

from twopass.index.arrays import Bools, Int64s


def are_in(keys: Int64s, ascending: Int64s) -> Bools:
    """Which of some keys, in any order, are in a set."""
    if not len(ascending):
        return np.zeros(len(keys), np.bool_)
    positions = np.searchsorted(ascending, keys)
    positions[positions == len(ascending)] = 0
    are_in: Bools = ascending[positions] == keys
    return are_in


def union(*sets: Int64s) -> Int64s:
    """The keys that are in any of several sets; of a single array in any order, its set."""
    # A stable sort finds what is sorted already, and merges it.
    keys = np.sort(np.concatenate([np.empty(0, np.int64), *sets]), kind="stable")
    is_first = np.ones(len(keys), np.bool_)
    is_first[1:] = keys[1:] != keys[:-1]
    return keys[is_first]


def intersection(one: Int64s, other: Int64s) -> Int64s:
    """The keys that are in both of two sets."""
    fewer, more = sorted((one, other), key=len)
    return fewer[are_in(fewer, more)]
