"""Places in the queue: a request reserves all it needs before any work, or is refused."""

from dataclasses import dataclass
from typing import Self


@dataclass(slots=True)
class Places:
    """The places of a queue that are taken.

    Attributes:
        num_pairs: Number of places taken.
        seconds_arriving: Expected engine time of the pairs that are still being tokenised.
    """

    num_pairs: int = 0
    seconds_arriving: float = 0.0


class Admission:
    """The places of one request, taken when it is made and released at the end of its block.

    A class, since every call pays for it: a generator as context manager takes several times as
    long.
    """

    __slots__ = ("_num_pairs", "_places", "_seconds")

    def __init__(self, places: Places, num_pairs: int, seconds: float) -> None:
        """Takes places.

        Args:
            places: The queue's places.
            num_pairs: How many places to take.
            seconds: How long the engine is expected to take for the pairs.
        """
        self._places = places
        self._num_pairs = num_pairs
        self._seconds = seconds
        places.num_pairs += num_pairs
        places.seconds_arriving += seconds

    def arrived(self) -> None:
        """Records that the pairs are tokenised and about to be queued.

        Until then their expected time counts as work that will be queued before later requests.
        """
        self._places.seconds_arriving -= self._seconds
        self._seconds = 0.0

    def shrink(self, num_pairs: int) -> None:
        """Releases the places beyond `num_pairs`; a no-op where there are no more."""
        self.give_back(self._num_pairs - num_pairs)

    def give_back(self, surplus: int) -> None:
        """Releases some of the places; a no-op for none or fewer."""
        surplus = min(surplus, self._num_pairs)
        if surplus <= 0:
            return
        seconds = self._seconds * surplus / self._num_pairs
        self._places.num_pairs -= surplus
        self._places.seconds_arriving -= seconds
        self._num_pairs -= surplus
        self._seconds -= seconds

    def release(self) -> None:
        """Releases the places. Idempotent."""
        self.arrived()
        self._places.num_pairs -= self._num_pairs
        self._num_pairs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()
