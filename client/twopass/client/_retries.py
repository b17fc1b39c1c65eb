"""When a call that failed is made again, and how long the client waits before.

gRPC could retry by itself, but by one rule for all statuses, without the server's `RetryInfo`, and
not for requests above 256 KiB, of which it keeps no copy. So its retries by policy are not used.
Calls that no server has seen, since its connection was about to end, it still sends again.
"""

import random
import threading
import time

import grpc

from twopass.client._details import detail, details_of, pushback_of
from twopass.client._rpcs import Request, Response, Rpc
from twopass.client._values import seconds
from twopass.v1.status_pb2 import RetryInfo

MAX_ATTEMPTS = 4
MAX_PAUSE = 2.0
"""Longest pause before another attempt, in seconds: more would hide a fault for too long."""

_FIRST_PAUSE = 0.1
# With this gRPC begins where a policy that balances has no server that is connected and well.
_NO_SERVER = "connections to all backends failing"


class Throttle:
    """Stops a client's retries while most of its calls fail, since they would only add to the load.

    As gRPC's `retryThrottling` (gRFC A6): a failed attempt takes a token, a call that succeeds
    gives back a tenth, and there are no retries while half of the tokens are gone. There are so
    many that hundreds of calls which were under way on a lost server are all made again.
    """

    _MOST = 1_000.0
    _GIVEN_BACK = 0.1

    def __init__(self) -> None:
        self._tokens = self._MOST
        self._lock = threading.Lock()

    def failed(self) -> bool:
        """Counts an attempt that failed; returns whether another one may follow."""
        with self._lock:
            self._tokens = max(0.0, self._tokens - 1)
            return self._tokens > self._MOST / 2

    def succeeded(self) -> None:
        """Counts a call that succeeded."""
        if self._tokens < self._MOST:
            with self._lock:
                self._tokens = min(self._MOST, self._tokens + self._GIVEN_BACK)


class Attempts:
    """The attempts at one call: whether there is another, when, and of which servers it is asked.

    Attributes:
        asks_any: Whether the next attempt is asked of any server, of those too whose health is bad.
    """

    def __init__(
        self,
        rpc: Rpc[Request, Response],
        throttle: Throttle,
        timeout: float | None,
        *,
        is_balanced: bool,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        """Begins the first attempt.

        Args:
            rpc: What is called.
            throttle: That of the client.
            timeout: Seconds for all attempts together; None for no limit.
            is_balanced: Whether there may be several servers: one that has failed a call, or has no
                room for it, does not speak for the others.
            max_attempts: Most attempts.
        """
        self._rpc = rpc
        self._throttle = throttle
        self._end = None if timeout is None else time.monotonic() + timeout
        self._is_balanced = is_balanced
        self._left = self._max_attempts = max_attempts
        self._codes: list[grpc.StatusCode] = []
        self.asks_any = False

    def time_left(self) -> float | None:
        """Seconds until the call's deadline; None where it has none."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def succeeded(self) -> None:
        """Counts the call as successful."""
        self._throttle.succeeded()

    def progressed(self) -> None:
        """Counts attempts anew, since a part of the work is done."""
        self._left = self._max_attempts
        self._codes.clear()
        self._throttle.succeeded()

    def pause_after(self, error: grpc.RpcError) -> float | None:
        """Seconds to wait after a failed attempt before the next; None where there is none."""
        if self._no_server_is_well(error):
            # Nothing was sent. Where all are unwell, what they still can do is better than nothing:
            # a search whose second pass fails is answered in first-pass order.
            self.asks_any = True
            return 0.0
        self.asks_any = False
        self._left -= 1
        pause = self._pause(error)
        self._codes.append(error.code())
        if not self._throttle.failed() or pause is None or self._left < 1:
            return None
        left = self.time_left()
        return pause if left is None or pause < left else None

    def _no_server_is_well(self, error: grpc.RpcError) -> bool:
        return (
            self._is_balanced
            and not self.asks_any
            and error.code() is grpc.StatusCode.UNAVAILABLE
            and (error.details() or "").startswith(_NO_SERVER)
        )

    def _pause(self, error: grpc.RpcError) -> float | None:
        """Seconds to wait; None where the failure allows no other attempt."""
        code, asked = error.code(), _asked_pause(error)
        is_cut_off = code is grpc.StatusCode.CANCELLED and self._is_balanced  # at a drain's end
        if code is grpc.StatusCode.UNAVAILABLE or is_cut_off:
            # Whether it took effect is not known.
            is_allowed = self._rpc.is_repeatable
        elif not self._is_balanced or asked is None:
            is_allowed = False
        elif code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            # Refused before any work; another server may have room.
            is_allowed = True
        else:
            # A device failed. Once more, and no further: if this very request is what devices fail
            # at, it must not go through all servers.
            is_allowed = (
                code is grpc.StatusCode.INTERNAL and self._rpc.is_read and code not in self._codes
            )
        if not is_allowed:
            return None
        if asked is None:
            pushback = pushback_of(error)
            if pushback is not None and pushback < 0:
                return None
            if pushback is None:
                growing = _FIRST_PAUSE * 2.0 ** len(self._codes)
                return min(MAX_PAUSE, growing * random.uniform(0.8, 1.2))  # noqa: S311  # spreads, hides nothing
            asked = pushback
        if asked > MAX_PAUSE:
            # What that server needs so long for, another one may not.
            return MAX_PAUSE if self._is_balanced else None
        # A little more, so that those refused together do not come back together.
        return asked * random.uniform(1.0, 1.1)  # noqa: S311


def _asked_pause(error: grpc.RpcError) -> float | None:
    """Seconds after which the server says that another try may succeed; None if it does not."""
    retry = detail(details_of(error), "RetryInfo", RetryInfo)
    return None if retry is None else seconds(retry.retry_delay)
