"""The order in which requests of one kind are served: fairness first, deadlines within it.

Requests are served in the order in which they would finish if the device were shared out equally
among all that wait (the Fair Sojourn Protocol; Friedman and Henderson, SIGMETRICS 2003). None ends
later than if they really took turns, and most end earlier: equal requests go one after another
instead of becoming late together, small ones pass large ones, and a large one is passed by no more
than its share. Requests whose turns are close go by deadline.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

from twopass.server.scheduling.jobs import Job

# Requests whose fair turns are this close, in seconds of the device's work, go by deadline. More
# saves more deadlines, and lets a request wait so much longer for others that are more urgent.
_ROUND_SECONDS = 0.05

_Key: TypeAlias = tuple[int, float, float, int]


@dataclass(order=True, slots=True)
class _Entry:
    """A request in its turn.

    Attributes:
        key: Round, deadline, finish in virtual time, number of arrival: ascending is the order.
    """

    key: _Key
    job: Job = field(compare=False)


class FairQueue:
    """Requests that wait, first in turn first.

    Virtual time is the work that each waiting request would have got by now had all been served
    alike, in seconds of the device.

    Attributes:
        seconds: How long all waiting requests are expected to take.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._entries: list[_Entry] = []
        self._virtual_time = 0.0
        # Virtual finishes, ascending, of all that would still be served if all were served alike.
        self._finishes: list[float] = []
        self._num_arrived = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Job]:
        """Yields jobs in their order."""
        return (entry.job for entry in self._entries)

    @property
    def first(self) -> Job:
        """The request whose turn it is."""
        return self._entries[0].job

    def add(self, job: Job) -> None:
        """Queues a request."""
        key = self._key(job.waiting_seconds, job.deadline)
        job.virtual_finish = key[2]
        insort(self._entries, _Entry(key, job))
        insort(self._finishes, job.virtual_finish)
        self._num_arrived += 1
        self.seconds += job.waiting_seconds

    def served(self, seconds: float) -> None:
        """Notes that the device has taken on this much of the waiting work."""
        self.seconds -= seconds
        while self._finishes:
            until_next = (self._finishes[0] - self._virtual_time) * len(self._finishes)
            if seconds < until_next:
                self._virtual_time += seconds / len(self._finishes)
                return
            seconds -= until_next
            self._virtual_time = max(self._virtual_time, self._finishes.pop(0))

    def remove(self, job: Job) -> None:
        """Removes a request of which no row waits any more."""
        # Most are near the front.
        position = next((i for i, entry in enumerate(self._entries) if entry.job is job), None)
        if position is not None:
            del self._entries[position]
        if not self._entries:
            self._finishes.clear()
            self.seconds = 0.0  # so that rounding errors don't add up

    def withdraw(self, job: Job) -> None:
        """Removes a request that nobody waits for; its share goes to the others."""
        self.seconds -= job.waiting_seconds
        position = bisect_left(self._finishes, job.virtual_finish)
        if self._finishes[position : position + 1] == [job.virtual_finish]:
            del self._finishes[position]
        self.remove(job)

    def seconds_before(self, seconds: float, deadline: float | None) -> float:
        """Work that would be done before a request that came now.

        Args:
            seconds: The request's own work.
            deadline: Its deadline; None for never.
        """
        position = bisect_left(self._entries, self._key(seconds, deadline), key=lambda e: e.key)
        return sum(entry.job.waiting_seconds for entry in self._entries[:position])

    def _key(self, seconds: float, deadline: float | None) -> _Key:
        finish = self._virtual_time + seconds
        turn = int(finish / _ROUND_SECONDS)
        return (turn, inf if deadline is None else deadline, finish, self._num_arrived)
