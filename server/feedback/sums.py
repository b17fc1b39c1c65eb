"""Where the sums of shadow comparisons are kept: in the file of feedback, or in memory."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

Seen: TypeAlias = tuple[str, str, str, int]
"""Collection, query, shadow and kind of feedback: what a shadow is compared by once."""

StoredSums: TypeAlias = dict[tuple[str, str], tuple[str, str]]
"""By shadow and collection: what was compared, and the sums as a text."""

# What is remembered of queries that were counted, some 300 bytes each.
_MAX_SEEN = 100_000


class SumsStore(Protocol):
    """Keeps the sums of a server's comparisons; called on the event loop."""

    async def read_sums(self) -> StoredSums:
        """The sums that were written last."""

    async def not_seen(self, wanted: Sequence[Seen]) -> list[Seen]:
        """Those of `wanted` that were not compared before."""

    async def write_sums(
        self,
        sums: Mapping[tuple[str, str], tuple[str, str]],
        seen: Sequence[Seen],
        *,
        restarted: Sequence[str] = (),
    ) -> None:
        """Writes the sums of comparisons, and what is in them.

        Args:
            sums: As `read_sums` returns them.
            seen: What they hold since the last time.
            restarted: Shadows that are not what they were: what they had seen is forgotten first.
        """

    def rename(self, collection: str, new_name: str | None) -> None:
        """Keeps what was seen of a collection under its new name; None forgets it."""


class SumsInMemory:
    """Sums that end with the server: those of a front, which keeps nothing of its own.

    Sums of several servers can't be joined: each is a test of its own that may be looked at any
    time. So every front has its own, of the searches that it answered.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[Seen, None] = OrderedDict()

    async def read_sums(self) -> StoredSums:
        """None: they begin with the server."""
        return {}

    async def not_seen(self, wanted: Sequence[Seen]) -> list[Seen]:
        """Those of `wanted` that were not compared lately."""
        return [each for each in wanted if each not in self._seen]

    async def write_sums(
        self,
        sums: Mapping[tuple[str, str], tuple[str, str]],
        seen: Sequence[Seen],
        *,
        restarted: Sequence[str] = (),
    ) -> None:
        """Remembers what is counted; the sums themselves are with whoever counts."""
        del sums, restarted
        for each in seen:
            self._seen[each] = None
        while len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)

    def rename(self, collection: str, new_name: str | None) -> None:
        """Keeps what was seen of a collection under its new name; None forgets it."""
        for each in [each for each in self._seen if each[0] == collection]:
            del self._seen[each]
            if new_name is not None:
                self._seen[new_name, each[1], each[2], each[3]] = None
