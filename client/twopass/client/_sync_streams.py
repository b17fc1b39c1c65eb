"""Streaming calls for threads, written and read at once.

gRPC takes requests from an iterator, in a thread of its own. `Duplex` hides the iterator: its user
writes and reads in any order. `Feed` is an iterator, from which that thread takes requests.
"""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any, Generic

from twopass.client._channel import Connection
from twopass.client._errors import translated
from twopass.client._rerank import CandidateSet, pieces
from twopass.client._rerank_results import SetResult
from twopass.client._rpcs import Request, Response
from twopass.client._values import positive, refuse_single
from twopass.v1.rerank_pb2 import RerankStreamRequest

# How long an end may take, which needs milliseconds.
_END_SECONDS = 2.0


def within_seconds(end: Callable[[], object]) -> None:
    """Ends a call or a channel, and does not wait for an end that never comes.

    Ctrl-C, or what another signal's handler raises, may leave a call half begun: gRPC then waits
    forever for an answer to it, or for a lock that nobody releases. An exception of `end` is lost.
    """
    ending = threading.Thread(target=end, name="twopass-end", daemon=True)
    try:
        ending.start()
    except RuntimeError:  # no thread begins while the interpreter ends
        end()
    else:
        ending.join(_END_SECONDS)


class Duplex(Generic[Request, Response]):
    """A streaming call that is written and read from one thread."""

    def __init__(
        self,
        start: Callable[[Iterator[Request]], Any],
        connection: Connection,
        timeout: float | None,
    ) -> None:
        """Starts the call: `start` takes the iterator of requests and returns gRPC's call.

        `connection` and `timeout` are the call's, for errors.
        """
        self._translated = functools.partial(translated, connection, timeout)
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._call = start(iter(self._requests.get, None))

    @property
    def is_done(self) -> bool:
        """Whether the server has ended the call, successfully or not."""
        return not self._call.is_active()

    def write(self, request: Request) -> None:
        """Sends a request, or queues it while the server is slow to take it."""
        self._requests.put(request)

    def done_writing(self) -> None:
        """Tells the server that no more requests will come."""
        self._requests.put(None)

    def read(self) -> Response | None:
        """Waits for the next response; None after the last.

        Raises:
            TwopassError: The call failed.
        """
        with self._translated():
            response: Response | None = next(self._call, None)
        return response

    def close(self) -> None:
        """Cancels the call if it is under way, and lets gRPC's thread end."""
        within_seconds(self._call.cancel)
        self._requests.put(None)


class Feed:
    """The requests of a reranking stream, at most `max_in_flight` sets ahead of the answers."""

    def __init__(self, sets: Iterable[CandidateSet], piece_size: int, max_in_flight: int) -> None:
        refuse_single(sets, "sets", str, CandidateSet)
        self._sets = sets
        self._piece_size = positive(piece_size, "piece_size")
        self._places = threading.Semaphore(positive(max_in_flight, "max_in_flight"))
        self._is_closed = False
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[RerankStreamRequest]:
        """Yields the pieces of every set; runs in gRPC's thread."""
        try:
            sets = iter(self._sets)
            while self._places.acquire() and not self._is_closed:
                candidates = next(sets, None)
                if candidates is None:
                    return
                yield from pieces(candidates, self._piece_size)
        except Exception as failure:  # raised where the answers are read, not in gRPC's thread
            self._failure = failure

    def answered(self, result: SetResult) -> SetResult:
        """Returns the answer; the last answer to a set makes room for another set."""
        if result.is_last:
            self._places.release()
        return result

    def close(self) -> None:
        """Ends the requests, even while one waits for room."""
        self._is_closed = True
        self._places.release()

    def raise_failure(self) -> None:
        """Raises the exception that the caller's iterable of sets raised, if any."""
        if self._failure is not None:
            raise self._failure
