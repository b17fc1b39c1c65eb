"""Counts that only grow, and what they were at earlier moments of the last day."""

from array import array
from dataclasses import dataclass

MAX_SECONDS = 24 * 3600.0
"""The longest time that can be looked back."""

_MINUTE = 60.0
_FINE_MINUTES = 60  # so far back by single minutes, further by quarters of an hour
_QUARTER = 15


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """What was counted in a time.

    Attributes:
        counts: By how much each count grew, `[num_counts]`.
        seconds: How long the time is.
    """

    counts: "array[int]"
    seconds: float

    @classmethod
    def nothing(cls, num_counts: int) -> "Growth":
        """Of what was never counted."""
        return cls(array("Q", bytes(8 * num_counts)), 0.0)


class Rolling:
    """Counts as they are now, copied before the first change in each minute.

    Copies are kept for an hour, then those of quarters of an hour for a day: at most 156, so that
    388 counts take 0.5 MB. Counting itself costs a comparison more than without copies.

    Attributes:
        counts: The counts since the start, unsigned 64-bit `[num_counts]`. Read by any thread;
            changed by one, after `begin`.
        last: When they were last changed, on the caller's clock.
    """

    __slots__ = ("_earlier", "_started", "counts", "last")

    def __init__(self, num_counts: int, now: float) -> None:
        """Starts at zero.

        Args:
            num_counts: How many counts.
            now: Seconds of a clock that never goes back.
        """
        self.counts = array("Q", bytes(8 * num_counts))
        self.last = now
        self._started = now
        # Each minute in which there was a change, with the counts before its first one.
        self._earlier: list[tuple[int, array[int]]] = []

    def begin(self, now: float) -> "array[int]":
        """Returns the counts, to be changed at this time."""
        minute = int(now // _MINUTE)
        if not self._earlier or self._earlier[-1][0] != minute:
            self._keep(minute)
        self.last = now
        return self.counts

    def growth(self, now: float, seconds: float) -> Growth:
        """What was counted in the last so many seconds.

        The time begins with a full minute, or a full quarter of an hour where that is more than an
        hour ago, so it may be longer by as much; it is shorter where counting began later.

        Args:
            now: Seconds of the clock.
            seconds: How far to look back, at most `MAX_SECONDS`.
        """
        first = int(max(0.0, now - min(seconds, MAX_SECONDS)) // _MINUTE)
        if first < int(now // _MINUTE) - _FINE_MINUTES:
            first -= first % _QUARTER
        begin = max(self._started, first * _MINUTE)
        # Nothing changed between `begin` and the first copy after it.
        before = next((kept for minute, kept in self._earlier if minute >= first), self.counts)
        grown = array("Q", (new - old for new, old in zip(self.counts, before, strict=True)))
        return Growth(grown, max(0.0, now - begin))

    def _keep(self, minute: int) -> None:
        """Copies the counts; drops copies that no longer begin a time that can be asked for."""
        fine = minute - _FINE_MINUTES
        oldest = minute - int(MAX_SECONDS // _MINUTE)
        oldest -= oldest % _QUARTER
        kept: list[tuple[int, array[int]]] = []
        for earlier in self._earlier:
            is_first = not kept or kept[-1][0] // _QUARTER != earlier[0] // _QUARTER
            if earlier[0] >= oldest and (earlier[0] >= fine or is_first):
                kept.append(earlier)
        self._earlier = [*kept, (minute, self.counts[:])]
