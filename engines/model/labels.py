"""From the labels of a classifier's head to the one logit that a reranker gives."""

from typing import Any


def num_labels(relevant: int | None) -> int:
    """How many labels a head has, given which of two is that of relevant pairs; None for one."""
    return 1 if relevant is None else 2


def relevance(labels: Any, relevant: int | None) -> Any:
    """The logit of every pair.

    Args:
        labels: An array or a tensor `[num_pairs, num_labels]`, in float32: the difference of two
            half precision numbers is rounded once more.
        relevant: Which of two labels is that of relevant pairs, 0 or 1, so that the logit is its
            own less the other's; None where there is one label.

    Returns:
        `[num_pairs]`, of the same kind.
    """
    return labels[:, 0] if relevant is None else labels[:, relevant] - labels[:, 1 - relevant]
