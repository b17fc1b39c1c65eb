"""What parts of a stream hold until each of them is done with, the first first."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType


class HeldInTurn:
    """Holds that end in the order in which they began, and all with the block."""

    def __init__(self, held: Callable[[int], AbstractContextManager[None]]) -> None:
        """Holds nothing yet.

        Args:
            held: Holds so many bytes for as long as its context lasts.
        """
        self._held = held
        self._parts: deque[ExitStack] = deque()

    def hold(self, num_bytes: int) -> None:
        """Begins a hold; what `held` raises is raised, and nothing is held then."""
        part = ExitStack()
        part.enter_context(self._held(num_bytes))
        self._parts.append(part)

    def release_first(self) -> None:
        """Ends the hold that began before all others."""
        self._parts.popleft().close()

    def __enter__(self) -> "HeldInTurn":
        """Begins the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends what is still held."""
        while self._parts:
            self.release_first()
