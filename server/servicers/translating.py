"""Reading and building messages without holding up the event loop."""

from collections.abc import Callable
from typing import Any, TypeVar

from twopass.index.lanes import Lane
from twopass.server.request import Request

T = TypeVar("T")

# Read or built in a millisecond or less, while a hop to a thread and back costs a tenth of that on
# an idle machine and more on a busy one.
_SMALL_BYTES = 32 * 1024


class Translating:
    """Runs what reads or builds a message: at once if it is small, else in a thread."""

    def __init__(self, lane: Lane) -> None:
        """Joins it to its threads.

        Args:
            lane: Of few threads, since they hold the GIL most of the time.
        """
        self._lane = lane

    async def run(
        self, num_bytes: int, function: Callable[..., T], *arguments: Any, request: Request
    ) -> T:
        """Calls a function that reads or builds about so many bytes of a message.

        Raises:
            StoppedError: The request ended before the function had its turn, or before it ended.
            LaneFullError: As many large messages wait as may.
        """
        if num_bytes <= _SMALL_BYTES:
            return function(*arguments)
        return await self.in_thread(function, *arguments, request=request)

    async def in_thread(self, function: Callable[..., T], *arguments: Any, request: Request) -> T:
        """Calls a function in a thread, whatever the size; raises as `run`."""
        return await self._lane.run(function, *arguments, stop=request.stop)
