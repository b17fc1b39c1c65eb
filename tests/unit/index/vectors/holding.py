"""Makes one group of what is queued while the thread of an index is held."""

import threading

import numpy as np

from twopass.index.kinds import Breadth
from twopass.index.stopping import Stop
from twopass.index.vectors.vector_index import VectorIndex


class Holding(Stop):
    """A stop that holds who asks whether it is set.

    Attributes:
        entered: Set once somebody asks.
        leave: To be set, to let go.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.leave = threading.Event(), threading.Event()

    @property
    def is_set(self) -> bool:
        self.entered.set()
        assert self.leave.wait(30)
        return False


def held(index: VectorIndex, dimension: int) -> threading.Event:
    """Holds the thread of an index, until the event is set, before it searches."""
    holding = Holding()
    index.search(np.ones((1, dimension), np.float32), 1, None, Breadth(), holding)
    assert holding.entered.wait(30)
    return holding.leave
