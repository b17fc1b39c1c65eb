"""Agreement of two orders of one candidate set."""

import numpy as np

from twopass.engines.base.sequences import Float32s


def kendall_tau(first: Float32s, second: Float32s) -> float:
    """Kendall's tau-a of two scorings: 1 for the same order, -1 for the reverse.

    1 too of fewer than two candidates.

    Pairs that either scoring ties count as neither concordant nor discordant (Kendall 1938).

    Args:
        first: Scores, float `[num_candidates]`.
        second: Scores of the same candidates, float `[num_candidates]`.
    """
    later, earlier = np.tril_indices(len(first), -1)
    agreement = np.sign(first[later] - first[earlier]) * np.sign(second[later] - second[earlier])
    return float(agreement.mean()) if len(agreement) else 1.0
