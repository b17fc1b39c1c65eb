"""Keeps collections open up to a limit: those in use, then those used most recently."""

import dataclasses
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from twopass.index.collection.collection import Collection
from twopass.index.collection_name import CollectionName
from twopass.index.errors import (
    CollectionClosedError,
    CollectionError,
    CollectionNotFoundError,
    CollectionsInUseError,
    StorageError,
)
from twopass.index.lanes import Lane
from twopass.index.store.known import KnownCollection
from twopass.index.summary import CollectionSummary

_LOG = logging.getLogger("twopass.index")

# A collection that could not be opened is tried again when a call asks for it after this long: the
# cause may have been repaired by then, and a log line for each call would hide all others.
_RETRY_SECONDS = 30.0

_Victim: TypeAlias = tuple[KnownCollection, Collection]


class Pin:
    """Keeps a collection open until `release`.

    Attributes:
        collection: The collection, if it was already open.
        opening: Otherwise the future of its opening.
    """

    __slots__ = ("_release", "collection", "opening")

    def __init__(
        self,
        collection: Collection | None,
        opening: Future[Collection],
        release: Callable[[], None],
    ) -> None:
        self.collection = collection
        self.opening = opening
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Ends the pin: the collection may be closed once no other pin holds it. Idempotent."""
        release, self._release = self._release, None
        if release is not None:
            release()


class OpenCollections:
    """Opens collections when they are used, and closes idle ones to make room. Safe for threads.

    A collection is idle if no pin holds it, it works on nothing, and no damage to it is known:
    closing would forget the damage. The idle collection used least recently is closed first; one
    whose vector index would have to be saved is closed last.

    Attributes:
        max_open: Most collections open at once.
        num_opened: How often a collection has been opened.
        num_closed: How often a collection has been closed to make room.
    """

    def __init__(
        self,
        lane: Lane,
        open_database: Callable[[CollectionName, Path], Collection],
        read_summary: Callable[[CollectionName, Path], CollectionSummary],
        max_open: int,
    ) -> None:
        """Begins with no collection open.

        Args:
            lane: Lane in which collections are opened and closed.
            open_database: Opens a collection, given its name and its file.
            read_summary: Describes a collection that is closed, given its name and its file.
            max_open: Most open at once, at least 1.
        """
        self.max_open = max_open
        self.num_opened = 0
        self.num_closed = 0
        self._lane = lane
        self._open_database = open_database
        self._read_summary = read_summary
        self._changing = threading.Lock()
        # Those used least recently first.
        self._opened: OrderedDict[KnownCollection, None] = OrderedDict()
        # How many are open, about to be, or being closed for another that has their place.
        self._num_places = 0
        self._openings: set[Future[Any]] = set()
        self._closed = False

    @property
    def num_open(self) -> int:
        """How many are open."""
        return len(self._opened)

    def pin(self, known: KnownCollection) -> Pin:
        """Keeps a collection open, opening it in the lane if need be; never blocks for the disk.

        Raises:
            CollectionClosedError: The store is closed.
            CollectionsInUseError: As many as may be open are in use.
            StorageError: The collection could not be opened a short while ago; says why.
        """
        with self._changing:
            if known.collection is not None:
                self._opened.move_to_end(known)
                opening = _NO_OPENING
            elif known.opening is not None:
                opening = known.opening
            else:
                open_it, opening = self._begin_opening(known)
                self._lane.submit(open_it)
            known.num_pins += 1
            return Pin(known.collection, opening, partial(self._unpin, known))

    def open_here(self, known: KnownCollection) -> Collection:
        """Returns a collection, opening it in the calling thread if need be; raises as `pin`."""
        with self._changing:
            if known.collection is not None:
                self._opened.move_to_end(known)
                return known.collection
            opening = known.opening
            open_it = None
            if opening is None:
                open_it, opening = self._begin_opening(known)
        if open_it is not None:
            open_it()
        return opening.result()

    def take_place(self) -> None:
        """Reserves room for a collection that is to be created; `open_in_place` uses it.

        Closes another collection in the calling thread, if need be.

        Raises:
            CollectionsInUseError: As many as may be open are in use.
        """
        with self._changing:
            victim = self._make_room()
        if victim is not None:
            self._close(*victim)

    def release_place(self) -> None:
        """Gives back the room that `take_place` has reserved."""
        with self._changing:
            self._num_places -= 1

    def open_in_place(self, known: KnownCollection) -> Collection:
        """Opens a collection in the calling thread, for which a place was taken.

        Raises:
            CollectionClosedError: The store is closed.
            CollectionNotFoundError: The collection is deleted.
            StorageError: The collection can't be opened; says why.
        """
        try:
            with known.changing:
                was_open = known.collection is not None
                collection = self._open(known)
        except BaseException:
            with self._changing:
                known.opening = None
            self.release_place()
            raise
        if was_open:  # another thread was first
            self.release_place()
        return collection

    def open_all(self, known: Iterable[KnownCollection]) -> None:
        """Opens collections in parallel, at most as many as may be open; blocks until all are.

        A collection that can't be opened has its `failure` set, and the log says why.
        """
        openings = []
        for each in known:
            with self._changing:
                open_it, opening = self._begin_opening(each)
            self._lane.submit(open_it)
            openings.append(opening)
        wait(openings)

    def open_beside(self, known: Iterable[KnownCollection]) -> None:
        """Opens collections in the background, one after the other, while there is room.

        Each opening goes to the end of the lane, so that a call never waits for all of them.
        """
        left = iter(known)

        def open_next() -> None:
            for each in left:
                with self._changing:
                    if self._closed or self._num_places >= self.max_open:
                        return
                    if each.is_gone or each.collection is not None or each.opening is not None:
                        continue
                    open_it, _ = self._begin_opening(each)
                open_it()
                with suppress(RuntimeError):  # the lane is closed
                    self._lane.submit(open_next)
                return

        self._lane.submit(open_next)

    def summary(self, known: KnownCollection) -> CollectionSummary:
        """Describes a collection; blocks where it was neither opened nor described before.

        Raises:
            CollectionNotFoundError: The collection is deleted.
            StorageError: The collection can't be read.
        """
        if (summary := self.known_summary(known)) is not None:
            return summary
        with known.changing:
            self._wait_until_closed(known)
            if (summary := self.known_summary(known)) is not None:
                return summary
            with self._changing:
                self._ensure_openable(known)
            try:
                summary = self._read_summary(known.shared_name, known.path)
            except Exception as error:
                raise self._failed(known, error) from error
            with self._changing:
                known.summary = summary
            return _under_its_name(known, summary)

    def known_summary(self, known: KnownCollection) -> CollectionSummary | None:
        """Describes a collection if that needs no disk access; else None."""
        with self._changing:
            if known.collection is not None:
                return known.collection.summary()
            return None if known.summary is None else _under_its_name(known, known.summary)

    def discard(self, known: KnownCollection, remove: Callable[[], object]) -> None:
        """Closes a deleted collection without saving anything, and removes its files.

        Args:
            known: The collection.
            remove: Removes the files; called when nobody uses them any more.
        """
        with known.changing:
            while True:
                self._wait_until_closed(known)
                with self._changing:
                    if known.closing is None:
                        collection, known.collection = known.collection, None
                        self._opened.pop(known, None)
                        break
            if collection is not None:
                try:
                    collection.close(discard=True)
                finally:
                    self.release_place()
            remove()

    def close(self) -> None:
        """Finishes what was submitted and closes all collections in parallel; none opens again."""
        with self._changing:
            self._closed = True
            victims = [self._take(known) for known in list(self._opened)]
            openings = list(self._openings)  # each ends by finding out that it is too late
        wait(openings + [self._lane.submit(self._close, *victim) for victim in victims])

    def _unpin(self, known: KnownCollection) -> None:
        with self._changing:
            known.num_pins -= 1

    def _begin_opening(
        self, known: KnownCollection
    ) -> tuple[Callable[[], None], Future[Collection]]:
        """Makes room for a collection; returns the function that opens it without the lock."""
        self._ensure_openable(known)
        victim = self._make_room()
        opening: Future[Collection] = Future()
        known.opening = opening
        self._openings.add(opening)
        return partial(self._open_in_place_of, victim, known, opening), opening

    def _ensure_openable(self, known: KnownCollection) -> None:
        if self._closed:
            raise CollectionClosedError(known.name)
        if known.is_gone:
            raise CollectionNotFoundError(known.name)
        if known.failure and time.monotonic() < known.retry_time:
            raise StorageError(f"collection {known.name!r} could not be opened: {known.failure}")

    def _make_room(self) -> _Victim | None:
        """Reserves room for one more collection; returns the collection to close for it, if any."""
        if self._num_places < self.max_open:
            self._num_places += 1
            return None
        second_choice = None
        for known in self._opened:
            collection = known.collection
            assert collection is not None
            if known.num_pins or collection.is_busy or collection.read_only_reason:
                continue
            if not collection.is_worth_saving:
                return self._take(known)
            second_choice = second_choice or known
        if second_choice is None:
            raise CollectionsInUseError(self.max_open)
        return self._take(second_choice)

    def _take(self, known: KnownCollection) -> _Victim:
        """Takes a collection from among the open ones, to be closed."""
        collection, known.collection = known.collection, None
        assert collection is not None
        del self._opened[known]
        known.summary = collection.summary()
        known.closing = Future()
        return known, collection

    def _close(self, known: KnownCollection, collection: Collection) -> None:
        """Closes a collection that `_take` has taken."""
        closing = known.closing
        assert closing is not None
        try:
            collection.close()
        except Exception as error:
            _LOG.error(
                "closing failed: %r",
                error,
                extra={"collection": known.name, "path": str(known.path)},
            )
        finally:
            with self._changing:
                known.closing = None
                self.num_closed += 1
            closing.set_result(None)

    def _open_in_place_of(
        self, victim: _Victim | None, known: KnownCollection, opening: Future[Collection]
    ) -> None:
        if victim is not None:
            self._close(*victim)
        try:
            collection = self.open_in_place(known)
        except BaseException as error:
            opening.set_exception(error)
        else:
            opening.set_result(collection)
        with self._changing:
            self._openings.discard(opening)

    def _open(self, known: KnownCollection) -> Collection:
        """Opens a collection unless it is open; call with its own lock, without that of all."""
        if known.collection is not None:
            return known.collection
        with self._changing:
            self._ensure_openable(known)
        self._wait_until_closed(known)
        try:
            collection = self._open_database(known.shared_name, known.path)
        except Exception as error:
            raise self._failed(known, error) from error
        try:
            with self._changing:
                self._ensure_openable(known)
                known.collection = collection
                known.opening = known.summary = None
                known.failure = ""
                self._opened[known] = None
                self.num_opened += 1
        except CollectionError:
            collection.close(discard=known.is_gone)
            raise
        return collection

    def _wait_until_closed(self, known: KnownCollection) -> None:
        """Waits until the collection is closed, if it is being closed; closing needs no lock."""
        with self._changing:
            closing = known.closing
        if closing is not None:
            closing.result()

    def _failed(self, known: KnownCollection, error: Exception) -> StorageError:
        """Records why a collection can't be opened; returns the error for its callers."""
        with self._changing:
            reason = str(error) if isinstance(error, CollectionError) else repr(error)
            known.failure = reason.removeprefix(f"collection {known.name!r}: ")
            known.retry_time = time.monotonic() + _RETRY_SECONDS
        _LOG.error(
            "collection failed to open: %s",
            known.failure,
            extra={"collection": known.name, "path": str(known.path)},
            exc_info=None if isinstance(error, CollectionError) else error,
        )
        return StorageError(f"collection {known.name!r} could not be opened: {known.failure}")

    def mark_gone(self, known: KnownCollection) -> None:
        """Keeps a collection that is to be deleted from being opened."""
        with self._changing:
            known.is_gone = True

    def note_unfinished_deletion(self, known: KnownCollection) -> None:
        """Records that the deletion of a collection failed, so that it is still there."""
        with self._changing:
            known.is_gone = False
            known.failure = "its deletion did not finish; delete it again"
            known.retry_time = math.inf


def _under_its_name(known: KnownCollection, summary: CollectionSummary) -> CollectionSummary:
    """A summary of a closed collection, which may have been renamed since it was written."""
    name = known.name
    return summary if summary.name == name else dataclasses.replace(summary, name=name)


_NO_OPENING: Future[Collection] = Future()
