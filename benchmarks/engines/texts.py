"""Made-up passages whose lengths are spread as a corpus's are."""

import numpy as np

from twopass.benchmarks.words import COMMON_WORDS

# Lengths of passages in retrieval corpora are close to log-normal.
_MEDIAN_WORDS, _SIGMA, _FEWEST, _MOST = 90, 0.7, 8, 450
MIXED_WORDS = (
    f"made-up texts, log-normal lengths (median {_MEDIAN_WORDS} words, sigma {_SIGMA}, "
    f"{_FEWEST} to {_MOST})"
)


def mixed_passages(count: int, seed: int) -> list[str]:
    """Passages of common words; the same seed gives the same ones."""
    generator = np.random.default_rng(seed)
    drawn = generator.lognormal(np.log(_MEDIAN_WORDS), _SIGMA, count)
    lengths = np.clip(drawn, _FEWEST, _MOST).astype(int)
    return [" ".join(generator.choice(COMMON_WORDS, length)) for length in lengths]
