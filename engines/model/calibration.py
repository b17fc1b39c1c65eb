"""From a reranker's logit to a score that means the same for every query."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Turns a logit into a score in [0, 1]: `sigmoid(a * logit + b)` (Platt 1999)."""

    a: float = 1.0
    b: float = 0.0

    def score(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores in float32, shape as `logits`: half precision would tie what float32 tells."""
        x = np.float32(self.a) * logits + np.float32(self.b)
        # exp of a non-positive number never overflows, and small scores stay apart.
        e = np.exp(-np.abs(x))
        scores: NDArray[np.float32] = np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(np.float32)
        return scores
