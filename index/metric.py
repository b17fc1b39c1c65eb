"""Checks vectors, and scales them so that their inner product is the collection's metric."""

from collections.abc import Callable

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.errors import InvalidInputError
from twopass.index.schema import Metric

MAX_NORM = 1e18
"""Longest vector under `Metric.INNER_PRODUCT`: a product of two, and every partial sum of it, is at
most 1e36 (Cauchy-Schwarz), far below float32's 3.4e38. So every score is a finite number."""
# Rounding each component of a vector of length 1 to float32 changes its length by at most 2^-24.
_ROUNDING = 2**-23


def scale(
    vectors: Float32s, metric: Metric, refuse: Callable[[int, str], InvalidInputError]
) -> Float32s:
    """Checks vectors, and L2-normalises them under `Metric.COSINE`.

    What has length 1 as nearly as float32 can have it stays as it is, bit for bit. So a vector that
    was normalised, answered and written again does not change.

    Args:
        vectors: float32 `[num_vectors, dimension]`.
        metric: The collection's metric.
        refuse: Makes the error for a row and a description of its fault.

    Returns:
        float32 `[num_vectors, dimension]`.
    """
    # In float64 no square of a finite float32 overflows or vanishes, so the norm alone tells all.
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    for row in np.flatnonzero(~np.isfinite(norms)):
        bad = vectors[row][~np.isfinite(vectors[row])][0]
        raise refuse(int(row), f"components must be finite, {bad} given")
    if metric is Metric.INNER_PRODUCT:
        for row in np.flatnonzero(norms > MAX_NORM):
            raise refuse(int(row), f"the norm must be at most {MAX_NORM:g}, it is {norms[row]:g}")
        return vectors
    for row in np.flatnonzero(norms == 0):
        raise refuse(int(row), "all components are 0, but cosine needs a direction")
    norms[np.abs(norms - 1) <= _ROUNDING] = 1
    normalised: Float32s = (vectors / norms[:, None]).astype(np.float32)
    return normalised
