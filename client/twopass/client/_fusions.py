"""How the two lists of a hybrid search are joined."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReciprocalRankFusion:
    """Joins the dense and the lexical list by the sum of 1 / (k + rank) (Cormack et al. 2009).

    Attributes:
        k: Damps the lead of the first ranks.
    """

    k: int = 60


@dataclass(frozen=True, slots=True)
class ConvexFusion:
    """Joins both lists by alpha * dense + (1 - alpha) * lexical, normalised (Bruch et al. 2023).

    Attributes:
        alpha: The weight of the dense score, 0 to 1. None: the server's default.
    """

    alpha: float | None = None
