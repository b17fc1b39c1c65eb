"""What is kept of prefixes, and what of it is found again."""

import numpy as np

from twopass.engines.transformers.prefixes import LayerState, Prefix, PrefixCache

BYTES_A_TOKEN = 2 * 2 * 4  # keys and values, float32


def prefix(*tokens):
    values = np.array(tokens, np.float32).reshape(1, 1, -1, 1).repeat(2, axis=3)
    return Prefix(np.array(tokens, np.int32), [LayerState(values, values)])


def test_the_longest_common_beginning_is_found():
    cache = PrefixCache(1_000)
    cache.put(prefix(1, 2, 3, 4))
    cache.put(prefix(1, 2, 9))
    found = cache.longest(np.array([1, 2, 9, 9], np.int32))
    assert found.token_ids.tolist() == [1, 2, 9]
    assert found.layers[0].keys[0, 0, :, 0].tolist() == [1, 2, 9]


def test_nothing_in_common_is_nothing_known():
    cache = PrefixCache(1_000)
    cache.put(prefix(1, 2))
    assert cache.longest(np.array([2, 1], np.int32)) is None


def test_what_was_not_used_for_the_longest_time_goes_first():
    cache = PrefixCache(4 * BYTES_A_TOKEN)
    cache.put(prefix(1, 1))
    cache.put(prefix(2, 2))
    cache.longest(np.array([1], np.int32))
    cache.put(prefix(3, 3))
    assert cache.num_bytes == 4 * BYTES_A_TOKEN
    assert cache.longest(np.array([2, 2], np.int32)) is None
    assert cache.longest(np.array([1, 1], np.int32)) is not None


def test_a_prefix_larger_than_the_cache_is_not_kept():
    cache = PrefixCache(2 * BYTES_A_TOKEN)
    cache.put(prefix(1, 2, 3))
    assert cache.num_bytes == 0
    cache.put(prefix(1, 2))
    cache.put(prefix(1, 2))
    assert cache.num_bytes == 2 * BYTES_A_TOKEN
    cache.clear()
    assert cache.num_bytes == 0
