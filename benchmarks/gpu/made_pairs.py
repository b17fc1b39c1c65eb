"""Pairs made up of random words' ids: speed depends on lengths, not on meaning."""

from collections.abc import Sequence

import numpy as np

from twopass.engines.base.sequences import Int32s, Ragged, TokenBatch

_QUERY_TOKENS = 12
# Words of BERT's vocabulary proper; special tokens and unused entries come before.
_FIRST_WORD, _END_OF_WORDS = 2_000, 29_000
# Passages of web search: a median of 70 tokens, a long tail (MS MARCO's are much like it).
_MEDIAN_TOKENS, _SPREAD, _SHORTEST = 70, 0.6, 16


def pairs_of(lengths: Sequence[int] | Int32s, seed: int = 0) -> TokenBatch:
    """Pairs of these lengths in tokens, special ones counted."""
    generator = np.random.default_rng(seed)
    rows = [generator.integers(_FIRST_WORD, _END_OF_WORDS, n).astype(np.int32) for n in lengths]
    ragged = Ragged.from_rows(rows)
    query_lengths = np.minimum(ragged.lengths, _QUERY_TOKENS).astype(np.int32)
    return TokenBatch(ragged.token_ids, ragged.offsets, query_lengths)


def mixed_lengths(count: int, longest: int, seed: int = 0) -> Int32s:
    """Lengths as web passages have them, int32 `[count]`, none above `longest`."""
    generator = np.random.default_rng(seed)
    lengths = generator.lognormal(np.log(_MEDIAN_TOKENS), _SPREAD, count)
    return np.clip(lengths, _SHORTEST, longest).astype(np.int32)
