"""Shares the pieces of one search out among threads of a lane."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar, cast

import faiss

from twopass.index.errors import LaneFullError
from twopass.index.lanes import Lane

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class SearchThreads:
    """The thread that searches, and as many more as a lane has free, up to a number.

    The searching thread never waits for a thread that has not begun: where the lane is full of
    other searches it does all pieces itself.

    Attributes:
        count: Most threads of one search.
    """

    def __init__(self, count: int = 1, lane: Lane | None = None) -> None:
        """Takes its further threads from a lane.

        Args:
            count: Most threads of one search, at least 1.
            lane: Where the others come from; None to search with the calling thread alone, though
                faiss may still give several queries a thread each.
        """
        self.count = count
        self._lane = lane

    def each(self, work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        """Does some work for each piece, with one OpenMP thread for each thread.

        Returns:
            The results in the order of the pieces, whichever thread did which.

        Raises:
            Exception: What the work raised first. No further piece is begun then, and nothing runs
                any more once this returns.
        """
        job = _Job(work, pieces)
        others = self._begin(job.run, min(self.count, len(pieces)) - 1)
        job.run()
        for other in others:
            if not other.cancel():
                other.result()
        return job.results()

    def _begin(self, run: Callable[[], None], count: int) -> list[Future[None]]:
        """Asks the lane to run something a number of times, as long as it takes anything."""
        begun: list[Future[None]] = []
        with suppress(LaneFullError, RuntimeError):  # full, or closed: alone then
            while self._lane is not None and len(begun) < count:
                begun.append(self._lane.submit(run))
        return begun


class _Job(Generic[Piece, Result]):
    """Pieces of which each thread takes the next that nobody has."""

    def __init__(self, work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> None:
        self._work = work
        self._pieces = pieces
        self._results: list[Result | None] = [None] * len(pieces)
        self._next = 0
        self._taking = threading.Lock()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Does pieces until none is left, or one has failed."""
        # OpenMP keeps its thread count by calling thread; a new thread's count is every CPU.
        faiss.omp_set_num_threads(1)
        while (number := self._take()) is not None:
            try:
                self._results[number] = self._work(self._pieces[number])
            except BaseException as error:
                self._fail(error)

    def results(self) -> list[Result]:
        """What the work returned for each piece."""
        if self._error is not None:
            raise self._error
        return cast("list[Result]", self._results)

    def _take(self) -> int | None:
        with self._taking:
            if self._error is not None or self._next == len(self._pieces):
                return None
            self._next += 1
            return self._next - 1

    def _fail(self, error: BaseException) -> None:
        with self._taking:
            self._error = self._error or error


ALONE = SearchThreads()
"""The calling thread alone."""
