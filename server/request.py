"""A request: who made it, until when an answer is wanted, and what is kept for it.

The edge makes one object for every call. It is passed to all that works for the call, and closed
when the call is answered or its caller is gone.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from twopass.index.stopping import Stop
from twopass.server.errors import OverloadedError, PermissionDeniedError
from twopass.server.telemetry.stopwatch import StageTimings

_RETRY_SECONDS = 0.1
_ALL = ("*",)


class Role(StrEnum):
    """What a caller may do; `server/edge/permissions.py` says which rpcs a role may call."""

    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    Attributes:
        name: The name of its API key; "" where the server has no keys.
        collections: Shell patterns of the names of the collections it may use.
        role: What it may do with them.
        score_pool: Whose scores computed before are used for it: "" for those of all callers that
            share theirs; None for nobody's, not even its own.
    """

    name: str = ""
    collections: tuple[str, ...] = _ALL
    role: Role = Role.ADMIN
    score_pool: str | None = ""

    @property
    def may_use_all(self) -> bool:
        """Whether it may use every collection, as most may."""
        return self.collections == _ALL

    def may_use(self, collection: str) -> bool:
        """Whether the caller may use a collection, or create it."""
        return any(fnmatchcase(collection, pattern) for pattern in self.collections)

    def ensure_may_use(self, collection: str) -> None:
        """Refuses a collection that the caller may not use, whether it exists or not.

        Raises:
            PermissionDeniedError: Names the key and the collection.
        """
        if not self.may_use(collection):
            raise PermissionDeniedError(
                f"collection: the key {self.name!r} may not use {collection[:128]!r}",
                collection=collection,
                key=self.name,
            )


ANYONE = Caller()


class BytesInFlight:
    """Counts the bytes that are kept for all requests together, and limits them.

    Attributes:
        num_bytes: Bytes kept now.
    """

    def __init__(
        self, max_bytes: int = sys.maxsize, on_refusal: Callable[[], None] = lambda: None
    ) -> None:
        """Starts at zero.

        Args:
            max_bytes: Most bytes that may be reserved.
            on_refusal: Called for each reservation that is refused.
        """
        self.num_bytes = 0
        self._max_bytes = max_bytes
        self._on_refusal = on_refusal

    def reserve(self, num_bytes: int) -> None:
        """Counts bytes until `release`.

        Raises:
            OverloadedError: The limit would be exceeded; nothing is counted.
        """
        if self.num_bytes + num_bytes > self._max_bytes:
            self._on_refusal()
            raise OverloadedError(
                f"bytes: {self.num_bytes:,} of requests are under way and {num_bytes:,} more came, "
                f"at most {self._max_bytes:,} may be; try again later",
                retry_after=_RETRY_SECONDS,
                limit_name="max_bytes",
                limit=self._max_bytes,
                value=num_bytes,
            )
        self.num_bytes += num_bytes

    def count(self, num_bytes: int) -> None:
        """Counts bytes that are kept whatever the limit says, until `release`."""
        self.num_bytes += num_bytes

    def release(self, num_bytes: int) -> None:
        """Stops counting bytes."""
        self.num_bytes -= num_bytes


# libuv counts whole milliseconds, from the last that was full: its timers ring up to 1.5 ms early,
# and what they end is to know whether it was by the deadline. An answer so late would not arrive.
_EARLY_SECONDS = 0.002
# A caller gives up a little before the server does: it began to count earlier, and gRPC rounds the
# timeout that it sends up to three digits.
_DEADLINE_SLACK_SECONDS = 0.01
_DEADLINE_SLACK_SHARE = 0.01


class Request:
    """A call, from when it came until it is answered. Lives on the event loop.

    Only `stop`, and what `stop_by` yields, may be used from other threads. Tasks of the call may
    learn a moment late that it is closed: from then on no bytes are counted or released for it.

    Attributes:
        id: Found in the log, and in the text of an INTERNAL error.
        received: When the call came, seconds of `time.perf_counter`.
        deadline: When the caller gives up, seconds of `time.perf_counter`; None for never.
        budget_end: When the caller wants the results found until then, seconds of
            `time.perf_counter`; None for never.
        caller: Who makes the call.
        timings: How long its stages took.
        message_bytes: Size of its message; in a stream, of the message that came last.
    """

    __slots__ = (
        "_bytes_in_flight",
        "_closing",
        "_is_closed",
        "_num_bytes",
        "_stop",
        "_timer",
        "budget_end",
        "caller",
        "deadline",
        "id",
        "message_bytes",
        "received",
        "timings",
    )

    def __init__(
        self,
        *,
        id: str = "",  # noqa: A002
        received: float | None = None,
        deadline: float | None = None,
        caller: Caller = ANYONE,
        bytes_in_flight: BytesInFlight | None = None,
    ) -> None:
        """Begins a request; `close` ends it.

        Args:
            id: Id of the call, for the log.
            received: When the call came; None for now.
            deadline: When the caller gives up; None for never.
            caller: Who makes the call.
            bytes_in_flight: Where bytes kept for the request are counted; None for nowhere.
        """
        self.id = id
        self.received = time.perf_counter() if received is None else received
        self.deadline = deadline
        self.budget_end: float | None = None
        self.caller = caller
        self.timings = StageTimings()
        self.message_bytes = 0
        self._stop: Stop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._bytes_in_flight = bytes_in_flight
        self._num_bytes = 0
        self._is_closed = False
        self._closing: list[Callable[[], None]] = []

    @property
    def end(self) -> float | None:
        """When to answer with what was found: the earlier of `deadline` and `budget_end`."""
        ends = [end for end in (self.deadline, self.budget_end) if end is not None]
        return min(ends, default=None)

    def is_past_deadline(self) -> bool:
        """Whether the caller has given up, so that no answer would arrive."""
        return self.deadline is not None and time.perf_counter() >= self.deadline - _EARLY_SECONDS

    def is_at_deadline(self) -> bool:
        """Whether a caller that gives up now does so for its deadline."""
        if self.deadline is None:
            return False
        seconds = self.deadline - self.received
        slack = _DEADLINE_SLACK_SECONDS + seconds * _DEADLINE_SLACK_SHARE
        return time.perf_counter() >= self.deadline - slack

    @property
    def stop(self) -> Stop:
        """Set when nobody needs an answer any more: at the deadline, or by `close`."""
        if self._stop is None:
            self._stop = Stop()
            if self._is_closed:
                self._stop.set()
            elif self.deadline is not None:
                self._timer = _call_at(self.deadline, self._stop.set)
        return self._stop

    def part(self) -> "Request":
        """A part of the call that has its own timings, such as one search of many.

        It has the call's id, caller and ends, and is closed with it; bytes are counted for the call
        alone.
        """
        part = Request(
            id=self.id, received=self.received, deadline=self.deadline, caller=self.caller
        )
        part.budget_end = self.budget_end
        self.on_close(part.close)
        return part

    @contextmanager
    def stop_by(self, end: float | None) -> Iterator[Stop]:
        """Yields a stop that is also set at `end`, for work that is not worth more time.

        Args:
            end: Seconds of `time.perf_counter`; None for never.
        """
        if end is None or end == self.deadline:
            yield self.stop  # set at the deadline too
            return
        stop = Stop()
        timer = _call_at(end, stop.set)
        try:
            with self.stop.calling(stop.set):
                yield stop
        finally:
            timer.cancel()
            stop.set()  # ends work that the block has left behind

    def reserve_bytes(self, num_bytes: int) -> None:
        """Counts bytes as kept for the request, until `release_bytes` or `close`.

        Raises:
            OverloadedError: With the bytes of all other requests, the limit would be exceeded.
        """
        if self._bytes_in_flight is not None and not self._is_closed:
            self._bytes_in_flight.reserve(num_bytes)
            self._num_bytes += num_bytes

    def count_bytes(self, num_bytes: int) -> None:
        """Counts bytes that are kept whatever the limit says, until `release_bytes` or `close`."""
        if self._bytes_in_flight is not None and not self._is_closed:
            self._bytes_in_flight.count(num_bytes)
            self._num_bytes += num_bytes

    def release_bytes(self, num_bytes: int) -> None:
        """Stops counting bytes as kept for the request."""
        if self._bytes_in_flight is not None and not self._is_closed:
            self._bytes_in_flight.release(num_bytes)
            self._num_bytes -= num_bytes

    def on_close(self, function: Callable[[], None]) -> None:
        """Registers a function that `close` calls; the last registered is called first.

        Where the request is closed already, the function is called at once.
        """
        if self._is_closed:
            function()
        else:
            self._closing.append(function)

    def close(self) -> None:
        """Ends the request: stops what still works for it and releases what is kept. Idempotent."""
        if self._is_closed:
            return
        self.release_bytes(self._num_bytes)
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._stop is not None:
            self._stop.set()
        while self._closing:
            self._closing.pop()()


def _call_at(moment: float, function: Callable[[], None]) -> asyncio.TimerHandle:
    """Has the event loop call a function at a moment, seconds of `time.perf_counter`."""
    return asyncio.get_running_loop().call_later(moment - time.perf_counter(), function)
