"""Requests of one collection, worked on in turn and in groups, by a lane's threads."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from twopass.index.collection_name import CollectionName
from twopass.index.errors import CollectionClosedError
from twopass.index.lanes import Lane


class Queued(Protocol):
    """What waits: it carries the future of its own outcome."""

    @property
    def future(self) -> Future[Any]:
        """Resolved by the work, unless its caller cancelled it before its turn."""


QueuedT = TypeVar("QueuedT", bound=Queued)


class SerialQueue(Generic[QueuedT]):
    """Takes all requests that wait, up to a bound, and has a lane work on them as one group.

    At most one group is worked on at a time, and groups follow in the order of their requests, in
    whichever thread of the lane is free. After each group the queue goes to the lane's end, so
    that the queues of other collections have their turn. There is no delay and no timer: a group
    forms while the one before it is worked on, or while the lane is busy.
    """

    def __init__(
        self,
        collection: CollectionName,
        lane: Lane,
        work: Callable[[list[QueuedT]], None],
        *,
        max_group: int,
    ) -> None:
        """Begins with nothing to do.

        Args:
            collection: The name of the collection it works for.
            lane: Where it works; it must let any number of calls wait.
            work: Resolves the futures of a group; what it raises goes to those it left open.
            max_group: Most requests in one group, so that the first of them need not wait long.
        """
        self._collection = collection
        self._lane = lane
        self._work = work
        self._max_group = max_group
        self._waiting: deque[QueuedT] = deque()
        self._turn: Future[None] | None = None  # in the lane, for as long as anything waits
        self._is_working = False
        self._closed = False
        self._changed = threading.Condition()

    @property
    def is_busy(self) -> bool:
        """Whether anything waits or is being worked on."""
        # In this order: what leaves the queue is worked on from before it leaves.
        return bool(self._waiting) or self._is_working

    def submit(self, request: QueuedT) -> None:
        """Queues a request.

        Raises:
            CollectionClosedError: The queue takes no more.
        """
        with self._changed:
            if self._closed:
                raise CollectionClosedError(str(self._collection))
            if self._turn is None and not self._is_working:
                self._turn = self._lane.submit(self._take_turn)
            self._waiting.append(request)

    def close(self, *, discard: bool = False) -> None:
        """Finishes what was submitted, in the calling thread where no other has begun. Idempotent.

        So closing never waits for a thread of the lane, and can't deadlock where all are taken.

        Args:
            discard: Refuses what waits, by `CollectionClosedError`, instead of finishing it.
        """
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._is_working)
            if self._turn is not None:
                self._turn.cancel()
                self._turn = None
            dropped = list(self._waiting) if discard else []
            if discard:
                self._waiting.clear()
        for request in dropped:
            if request.future.set_running_or_notify_cancel():
                request.future.set_exception(CollectionClosedError(str(self._collection)))
        while self._is_left():
            self._take_turn()
        # It holds its owner, which holds this: so the owner's memory, maybe gigabytes, is free at
        # once and not when the garbage collector next looks at what is old.
        self._work = _nothing

    def _take_turn(self) -> None:
        """Works on one group."""
        if group := self._begin_group():
            self._work_on(group)
            del group
            self._end_group()

    def _is_left(self) -> bool:
        """Whether anything waits, once no other thread is at work."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_working)
            return bool(self._waiting)

    def _begin_group(self) -> list[QueuedT]:
        """The next group; empty where nothing waits, or another thread is at work."""
        with self._changed:
            if self._is_working:
                return []
            self._turn = None
            size = min(len(self._waiting), self._max_group)
            self._is_working = size > 0
            return [self._waiting.popleft() for _ in range(size)]

    def _end_group(self) -> None:
        with self._changed:
            self._is_working = False
            self._changed.notify_all()
            if self._waiting and not self._closed:
                # Where the lane is closed before the collection, closing that does the rest.
                with suppress(RuntimeError):
                    self._turn = self._lane.submit(self._take_turn)

    def _work_on(self, group: list[QueuedT]) -> None:
        wanted = [request for request in group if request.future.set_running_or_notify_cancel()]
        if not wanted:
            return
        try:
            self._work(wanted)
        except BaseException as error:  # whatever it is, nobody may be left waiting
            for request in wanted:
                if not request.future.done():
                    request.future.set_exception(error)


def _nothing(group: list[Any]) -> None:
    """What a queue that is closed works."""
    assert not group
