"""What the second pass needs of documents that were found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Ragged


@dataclass(frozen=True, slots=True, eq=False)
class StoredPassages:
    """The stored tokens of documents that were found.

    Attributes:
        positions: Which of the keys asked for are still there, by their positions in that list,
            ascending, `[num_passages]`. The others were replaced or deleted since they were found.
        ids: The documents' ids, `[num_passages]`.
        token_ids: Their passages' tokens, a row for each.
    """

    positions: NDArray[np.intp]
    ids: tuple[str, ...]
    token_ids: Ragged
