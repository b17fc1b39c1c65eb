"""A thread that works on everything that waits for it at once."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from twopass.index.errors import CollectionClosedError


class Request(Protocol):
    """What waits: it carries the future of its own outcome."""

    @property
    def future(self) -> Future[Any]:
        """Resolved by the thread, unless its caller cancelled it before its turn."""


RequestT = TypeVar("RequestT", bound=Request)


class GroupThread(Generic[RequestT]):
    """A thread that takes all requests that wait, up to a bound, and works on them as one group.

    There is no delay and no timer: a group forms while the one before it is worked on.
    """

    def __init__(
        self,
        collection: str,
        role: str,
        work: Callable[[list[RequestT]], None],
        *,
        max_group: int,
    ) -> None:
        """Starts the thread.

        Args:
            collection: The name of the collection it works for.
            role: What it does, for its name.
            work: Resolves the futures of a group; what it raises goes to those it left open.
            max_group: Most requests in one group, so that the first of them need not wait long.
        """
        self._collection = collection
        self._work = work
        self._max_group = max_group
        self._waiting: deque[RequestT] = deque()
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"{role} {collection}", daemon=True)
        self._thread.start()

    def submit(self, request: RequestT) -> None:
        """Queues a request.

        Raises:
            CollectionClosedError: The thread takes no more.
        """
        with self._changed:
            if self._closed:
                raise CollectionClosedError(self._collection)
            self._waiting.append(request)
            self._changed.notify()

    def close(self) -> None:
        """Finishes what was submitted, then ends the thread. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        # It holds its owner, which holds this: so the owner's memory, maybe gigabytes, is free at
        # once and not when the garbage collector next looks at what is old.
        self._work = _nothing

    def _run(self) -> None:
        while group := self._take():
            wanted = [request for request in group if request.future.set_running_or_notify_cancel()]
            if not wanted:
                continue
            try:
                self._work(wanted)
            except BaseException as error:  # whatever it is, nobody may be left waiting
                for request in wanted:
                    if not request.future.done():
                        request.future.set_exception(error)

    def _take(self) -> list[RequestT]:
        """The next group; empty when closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            size = min(len(self._waiting), self._max_group)
            return [self._waiting.popleft() for _ in range(size)]


def _nothing(group: list[Any]) -> None:
    """What a thread that has ended works."""
    assert not group
