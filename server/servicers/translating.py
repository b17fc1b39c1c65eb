"""Reading and building messages without holding up the event loop."""

from collections.abc import Callable
from typing import Any, TypeVar

from twopass.index.lanes import Lane
from twopass.server.request import Request

T = TypeVar("T")

# A message of this size is read or built in a millisecond or less. A hop to a thread and back costs
# a tenth of that on an idle machine and more on a busy one.
_SMALL_BYTES = 32 * 1024
# Texts as JSON are read into plain structures several times as fast: 256 KiB take 0.4 to 0.7 ms.
_SMALL_JSON_BYTES = 256 * 1024


class Translating:
    """Calls functions that read or build messages: at once for a small one, else in a thread."""

    def __init__(self, lane: Lane) -> None:
        """Takes the lane whose threads work on large messages.

        Args:
            lane: Few threads suffice, since they hold the GIL most of the time.
        """
        self._lane = lane

    async def run(
        self, num_bytes: int, function: Callable[..., T], *arguments: Any, request: Request
    ) -> T:
        """Calls a function that reads or builds a message of about `num_bytes`.

        Raises:
            StoppedError: The request ended before the function did.
            LaneFullError: Too many large messages wait for a thread.
        """
        if num_bytes <= _SMALL_BYTES:
            return function(*arguments)
        return await self.in_thread(function, *arguments, request=request)

    async def run_json(
        self, num_bytes: int, function: Callable[..., T], *arguments: Any, request: Request
    ) -> T:
        """Does what `run` does, for texts that are read from JSON or written as JSON."""
        if num_bytes <= _SMALL_JSON_BYTES:
            return function(*arguments)
        return await self.in_thread(function, *arguments, request=request)

    async def in_thread(self, function: Callable[..., T], *arguments: Any, request: Request) -> T:
        """Calls a function in a thread, whatever the size; raises what `run` raises."""
        return await self._lane.run(function, *arguments, stop=request.stop)
