"""Prepares what later steps need while a device computes the current one."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prepared(prepare: Callable[[int], T], steps: range, ahead: int) -> Generator[T, None, None]:
    """Prepares step after step, in order; later ones in a thread.

    Closing the iterator waits for the step under preparation and drops the others.

    Args:
        prepare: Prepares a step; called for one step at a time.
        steps: The steps.
        ahead: How many steps are prepared before they are asked for; 0 prepares each when it is
            asked for, in the caller's thread.

    Yields:
        What each step needs.
    """
    if ahead == 0:
        yield from map(prepare, steps)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="prepared-ahead") as thread:
        try:
            for step in steps[:ahead]:
                waiting.append(thread.submit(prepare, step))
            for step in steps[ahead:]:
                current = waiting.popleft().result()
                waiting.append(thread.submit(prepare, step))
                yield current
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
