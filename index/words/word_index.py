"""The words of a collection: searched by many threads, changed by its writer, flushed to disk."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from twopass.index.arrays import Int64s
from twopass.index.collection_name import CollectionName
from twopass.index.errors import CollectionClosedError, StorageError
from twopass.index.key_sets import are_in, union
from twopass.index.lanes import Lane
from twopass.index.ranked_list import WordMatches
from twopass.index.rows.damage import Damage
from twopass.index.sequences import SequenceToken
from twopass.index.serial_queue import SerialQueue
from twopass.index.stopping import NEVER, Stop
from twopass.index.word_query import WordClauses
from twopass.index.words.analysis import Analyser
from twopass.index.words.base_writer import BaseWriter
from twopass.index.words.clauses import Clauses
from twopass.index.words.encoding import EncodedWords
from twopass.index.words.flushing import Flusher, FlushPolicy
from twopass.index.words.fresh import Run, with_run
from twopass.index.words.loading import LoadedWords
from twopass.index.words.searching import Words

_LOG = logging.getLogger("twopass.index")

# A flush that has failed is tried again after so many seconds, then after twice as many, and so on.
_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 300.0
_NO_CLAUSES = WordClauses()


@dataclass(frozen=True, slots=True, eq=False)
class WordChange:
    """The change of the words by a write.

    Attributes:
        removed: Keys of removed documents, int64 `[num_removed]`.
        keys: Keys of new documents, ascending and above all earlier ones, int64 `[num_added]`.
        words: Their words; None where there are none.
    """

    removed: Int64s
    keys: Int64s
    words: EncodedWords | None


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """Asks for a flush, if one is due, and for some of what is being built anew."""

    is_flush_wanted: bool
    future: Future[None] = field(default_factory=Future)


class WordIndex:
    """The words of documents. Searches take no lock: each works on the words of one moment.

    What is written is in memory first, and is found at once. When enough has come together, it is
    flushed into the base in the lane for maintenance. Only one thread at a time may call `update`.
    """

    def __init__(
        self,
        name: CollectionName,
        path: Path,
        loaded: LoadedWords,
        analyser: Analyser,
        damage: Damage,
        sequence: SequenceToken,
        lane: Lane,
        policy: FlushPolicy | None = None,
    ) -> None:
        """Begins with what was loaded.

        Args:
            name: The collection's name.
            path: Its SQLite file; the base's folder stands beside it.
            loaded: What the index holds.
            analyser: Cuts queries; documents were cut by one alike.
            damage: Records documents that are damaged.
            sequence: The collection's state that `loaded` is of.
            lane: Where it flushes.
            policy: When it flushes; None for the default.
        """
        self._name = name
        self._analyser = analyser
        self._words = loaded.words
        self._num_sealed = 0  # runs that are being flushed: they may be hidden from, not merged
        self._position = sequence.position
        self._failure = loaded.failure
        self._policy = policy or FlushPolicy()
        self._num_failed = 0  # flushes since the last one that succeeded
        self._retry_time = 0.0
        self._closing = threading.Event()
        self._changing = threading.Lock()
        self._flushing = threading.Lock()  # of the one thread that writes files
        self._is_asked = False
        self._flusher = Flusher(name, path, loaded, analyser, damage, sequence.incarnation)
        self._queue: SerialQueue[_Turn] = SerialQueue(name, lane, self._work, max_group=1)
        if loaded.rebuild is not None:
            self._ask(is_flush_wanted=False)

    @property
    def words(self) -> Words:
        """All words as they are now.

        Raises:
            StorageError: They are in doubt.
        """
        if self._failure:
            raise StorageError(self._failure)
        return self._words

    @property
    def is_busy(self) -> bool:
        """Whether `close` would have to wait for a flush."""
        return self._queue.is_busy and not self._flusher.is_rebuilding

    @property
    def is_worth_saving(self) -> bool:
        """Whether `close` flushes what is in memory."""
        return not self._failure and self._policy.is_worth_saving(self._words)

    def search(
        self,
        query: str,
        k: int,
        members: Int64s | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        stop: Stop = NEVER,
    ) -> WordMatches:
        """Finds the `k` documents that fit the words of a text and the clauses best.

        Args:
            query: Any text.
            k: At least 1.
            members: Keys of the only documents to find, int64, ascending; None for all.
            clauses: What else is asked of documents. What is required adds its BM25 too.
            stop: Ends the search.

        Raises:
            InvalidQueryError: A clause holds no word.
            StorageError: The words are in doubt, or the base can't be read.
        """
        analysed = Clauses.of(clauses, self._analyser)
        return self.words.search(self._analyser.query_weights(query), k, members, analysed, stop)

    def matching(self, clauses: WordClauses, stop: Stop = NEVER) -> Int64s:
        """Keys of all documents with all that is required and nothing that is excluded, ascending.

        Raises:
            As `search`.
        """
        return self.words.matching(Clauses.of(clauses, self._analyser), stop)

    def update(self, changes: Sequence[WordChange], position: int) -> None:
        """Takes writes in; every search that begins later sees all of them.

        Blocks only where writes have come faster than they could be flushed.

        Args:
            changes: In their order.
            position: The collection's after them.
        """
        if self._failure:
            return
        with self._changing:
            for change in changes:
                self._words = self._changed(self._words, change)
            self._position = position
        if self._policy.is_due(self._words) and time.monotonic() >= self._retry_time:
            self._ask(is_flush_wanted=True)
        if self._policy.is_too_much(self._words):
            self._make_room()

    def flush(self) -> Future[None]:
        """Queues a flush, due or not; its future is done when all current words are in the base.

        Raises:
            StorageError: Raised by the future: the flush has failed.
        """
        turn = _Turn(is_flush_wanted=True)
        self._retry_time = 0.0
        self._queue.submit(turn)
        return turn.future

    def close(self, *, discard: bool = False) -> None:
        """Ends what is under way, and flushes what is worth it. Idempotent.

        Args:
            discard: For a collection that is to be deleted: writes nothing.
        """
        self._closing.set()
        self._queue.close(discard=discard)
        if not discard and self.is_worth_saving:
            with suppress(StorageError), self._flushing:  # it is in the log
                self._flush()

    def _changed(self, words: Words, change: WordChange) -> Words:
        sealed, runs = words.runs[: self._num_sealed], words.runs[self._num_sealed :]
        hidden = words.hidden
        if len(change.removed):
            last_key = words.base.last_key if words.base is not None else 0
            in_base = change.removed[change.removed <= last_key]
            hidden = union(hidden, in_base) if len(in_base) else hidden
            if len(in_base) < len(change.removed):
                sealed = tuple(run.hide(change.removed) for run in sealed)
                runs = tuple(run.hide(change.removed) for run in runs)
                runs = tuple(run for run in runs if run.num_visible)
        if change.words is not None:
            runs = with_run(runs, Run.of(change.keys, change.words))
        return Words(words.base, hidden, (*sealed, *runs))

    def _ask(self, *, is_flush_wanted: bool) -> None:
        """Queues a turn, unless one waits."""
        if not self._is_asked:
            self._is_asked = True
            with suppress(CollectionClosedError):
                self._queue.submit(_Turn(is_flush_wanted))

    def _work(self, group: list[_Turn]) -> None:
        for turn in group:
            self._is_asked = False
            with self._flushing:
                if turn.is_flush_wanted and not self._closing.is_set():
                    self._flush()
                if self._flusher.is_rebuilding and not self._closing.is_set():
                    self._rebuild()
            turn.future.set_result(None)
        if self._flusher.is_rebuilding and not self._failure and not self._closing.is_set():
            self._ask(is_flush_wanted=self._policy.is_due(self._words))

    def _flush(self) -> None:
        """Flushes until nothing more is due.

        Raises:
            StorageError: It failed; everything stays in memory, and is tried again.
        """
        if self._failure:
            raise StorageError(self._failure)
        try:
            with self._flusher.writing(self._words.base) as writer:
                while True:
                    self._flush_once(writer)
                    if self._closing.is_set() or not self._policy.is_due(self._words):
                        break
                if not self._closing.is_set():
                    writer.finish()
        except StorageError as error:
            with self._changing:
                self._num_sealed = 0
            self._note_failed(error)
            raise
        self._num_failed, self._retry_time = 0, 0.0

    def _flush_once(self, writer: BaseWriter) -> None:
        with self._changing:
            before, position = self._words, self._position
            self._num_sealed = len(before.runs)
        base = self._flusher.flush(writer, before, position)
        with self._changing:
            now = self._words
            flushed, runs = now.runs[: self._num_sealed], now.runs[self._num_sealed :]
            gone = [
                later.keys[later.hidden & ~earlier.hidden]
                for earlier, later in zip(before.runs, flushed, strict=True)
            ]
            hidden = now.hidden[~are_in(now.hidden, before.hidden)]
            self._words = Words(base, np.sort(np.concatenate([hidden, *gone])), runs)
            self._num_sealed = 0

    def _rebuild(self) -> None:
        """Builds some more of a base whose texts are analysed anew; takes it once it is whole."""
        try:
            base = self._flusher.rebuild(
                self._words.base,
                self._position,
                lambda: self._closing.is_set() or self._policy.is_due(self._words),
            )
        except StorageError as error:
            self._note_failed(error)
            return
        if base is None:
            return
        with self._changing:
            now = self._words
            assert now.base is not None
            there = now.base.keys[~are_in(now.base.keys, now.hidden)]
            hidden = base.keys[~are_in(base.keys, there)]
            self._words = replace(now, base=base, hidden=hidden)
        self._flusher.remove_others()

    def _make_room(self) -> None:
        """Flushes in the calling thread, or waits for the thread that does."""
        with self._flushing:
            if not self._policy.is_too_much(self._words):
                return
            with suppress(StorageError):
                self._flush()
                return
            # Memory is bounded: without it, words can't go on. Documents are on disk.
            self._failure = (
                f"the words of collection {self._name!r} could not be written to disk, and too "
                "many are in memory; documents are safe on disk: mend the disk, or free some "
                "space, and restart the server"
            )
            _LOG.error(self._failure, extra={"collection": str(self._name)})
            with self._changing:
                self._words = Words(None, np.empty(0, np.int64), ())

    def _note_failed(self, error: StorageError) -> None:
        """Goes on in memory, which loses nothing, and sets the time of the next try."""
        seconds = min(_RETRY_SECONDS * 2 ** min(self._num_failed, 16), _MAX_RETRY_SECONDS)
        self._num_failed += 1
        self._retry_time = time.monotonic() + seconds
        _LOG.error(
            "words not written, they stay in memory and are tried again: %s",
            error,
            extra={"collection": str(self._name), "path": error.path, "seconds": seconds},
        )
