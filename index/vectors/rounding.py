"""How far scores may be off, however their sums are added up, and how many more are looked at."""

_UNIT_ROUNDOFF = 2.0**-24  # of float32
# Beyond k, so many and a share of k are scored again: ties and rounding decide among these alone.
_SPARE, _SPARE_SHARE = 16, 0.25


def share_lost(dimension: int) -> float:
    """The most by which an inner product in float32 is off, in products of both lengths.

    `d u / (1 - d u)` with `u = 2^-24`, in whatever order the sum is added up (Higham 2002, Accuracy
    and Stability of Numerical Algorithms, eq. 3.5, with the Cauchy-Schwarz inequality).
    """
    lost = dimension * _UNIT_ROUNDOFF
    return lost / (1 - lost)


def with_spare(k: int) -> int:
    """How many vectors are scored again so that the `k` nearest of them can be told."""
    return k + _SPARE + int(_SPARE_SHARE * k)
