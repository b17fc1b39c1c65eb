"""Writes documents in their order, and goes on after those that the server refuses."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from twopass.client import (
    Client,
    Document,
    InvalidArgumentError,
    OnConflict,
    OverloadedError,
    TwopassError,
    UnavailableError,
    UpsertSummary,
)
from twopass.commands.sources.records import LeftOut
from twopass.commands.transfer.checkpoint import Done
from twopass.commands.transfer.json_values import shown

# What a server's message says about the place of a document in a call.
_PLACE = re.compile(r"^(chunk \d+(, after \d+ written)?: )?documents\[\d+\]\.?")
# A server that is busy or out of reach is asked again for so long, counted from the last document
# that it wrote.
_PATIENCE_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Sourced:
    """A document and where it comes from.

    Attributes:
        where: Its file, and its line or row.
        document: The document.
        place: How many records and things left out were read with it, those before it included.
        is_fault: Whether a run that stops at errors stops where the server refuses it.
        refusal: Why the server will have nothing of it; None where it was not refused.
    """

    where: str
    document: Document
    place: int
    is_fault: bool = True
    refusal: LeftOut | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Whom an upload tells what.

    Attributes:
        settled: After each acknowledgement: how far the run has come; and the call's summary, with
            the one before it.
        refused: A document that the server refuses. Answers whether to go on without it.
        wait: Waits so many seconds, since the server takes no documents for the reason given.
            Answers whether to try again then.
    """

    settled: Callable[[Done, UpsertSummary, UpsertSummary], None]
    refused: Callable[[LeftOut], bool]
    wait: Callable[[str, float], bool]


class Upload:
    """Documents on their way into a collection.

    Every document is pending from when it is handed to a call until the server has acknowledged it.
    A call that fails leaves what is pending; the next call begins with it.
    """

    def __init__(
        self,
        client: Client,
        collection: str,
        reports: Reports,
        *,
        chunk_size: int,
        on_conflict: OnConflict,
        done: Done,
    ) -> None:
        """Prepares to write what comes after the documents that earlier runs have done."""
        self._client = client
        self._collection = collection
        self._reports = reports
        self._chunk_size = chunk_size
        self._on_conflict = on_conflict
        self._pending: deque[Sourced] = deque()
        self._done = done
        self._summary = UpsertSummary()  # of the call under way
        self._last_progress = time.monotonic()

    @property
    def num_pending(self) -> int:
        """Documents that are under way."""
        return len(self._pending)

    def write(self, items: Iterable[Sourced]) -> None:
        """Writes documents, in order.

        Documents that the server refuses are reported; the others of their chunk are written. When
        the answer is not to go on, those before the refused one are written, and no more are read.

        Raises:
            TwopassError: A call failed for another reason than one document.
        """
        source = iter(items)
        refused = self._call(source)
        while refused is not None:
            if not self._refuse(refused):
                return
            # What was under way goes chunk by chunk: each refusal costs no more than its chunk.
            refused = self._write_pending() or self._call(source)
        self._drop_refused()

    def _refuse(self, refused: Sourced) -> bool:
        """Reports a refused document; where that ends the upload, writes what stands before it."""
        while not self._reports.refused(refusal := _left_out(refused, self._error)):
            while self._pending.pop() is not refused:
                pass
            earlier = self._write_pending()
            if earlier is None:
                return False
            refused = earlier
        refused.refusal = refusal
        return True

    def _write_pending(self) -> Sourced | None:
        """Writes what is pending; stops at a refused document and returns it."""
        while self._waiting():
            refused = self._call(None)
            if refused is not None:
                return refused
        return None

    def _waiting(self) -> list[Document]:
        """The pending documents, as they are now."""
        return [item.document for item in self._pending if item.refusal is None]

    def _taking(self, source: Iterator[Sourced]) -> Iterator[Document]:
        for item in source:
            self._pending.append(item)
            yield item.document

    def _call(self, source: Iterator[Sourced] | None) -> Sourced | None:
        """Upserts documents in one call, or in more where the server is busy.

        Args:
            source: All that is pending and what comes from here are written; None: one chunk of
                what is pending.

        Returns:
            The document that the server refused; `_error` says why. None: all are written.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._summary = UpsertSummary()
            documents: Iterable[Document] = self._waiting()
            if source is None:
                documents = islice(documents, self._chunk_size)
            else:
                documents = chain(documents, self._taking(source))
            try:
                self._client.upsert(
                    self._collection,
                    documents,
                    chunk_size=self._chunk_size,
                    on_conflict=self._on_conflict,
                    on_progress=self._settle,
                )
            except InvalidArgumentError as error:
                refused = self._named_in(error)
                if refused is None:
                    raise
                self._error = error
                return refused
            except (OverloadedError, UnavailableError) as error:
                if not self._may_try_again(error):
                    raise
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS) if self._is_stuck else pause
                wait = max(pause, error.retry_after or 0.0)
                if not self._reports.wait(error.message, wait):
                    raise
            else:
                return None

    @property
    def _is_stuck(self) -> bool:
        """Whether the call under way has written nothing yet."""
        return not self._summary.num_chunks

    def _may_try_again(self, error: TwopassError) -> bool:
        """Whether another try may succeed and do no harm.

        Where known ids are an error, a chunk whose acknowledgement was lost would be one.
        """
        if isinstance(error, OverloadedError):
            may_help = error.retry_after is not None
        else:
            may_help = self._on_conflict != "fail"
        return may_help and time.monotonic() - self._last_progress < _PATIENCE_SECONDS

    def _named_in(self, error: InvalidArgumentError) -> Sourced | None:
        """The pending document that an error is about; None where it is about none."""
        position = error.metadata.get("position")
        if position is None:
            return None
        place = int(position) - self._summary.num_documents - self._summary.num_skipped
        waiting = (item for item in self._pending if item.refusal is None)
        return next(islice(waiting, place, None), None) if place >= 0 else None

    def _settle(self, summary: UpsertSummary) -> None:
        before, self._summary = self._summary, summary
        num_done = summary.num_documents + summary.num_skipped
        for _ in range(num_done - before.num_documents - before.num_skipped):
            self._drop_refused()
            self._settle_first()
        self._drop_refused()
        self._last_progress = time.monotonic()
        self._reports.settled(self._done, summary, before)

    def _drop_refused(self) -> None:
        """Settles refused documents before which everything is settled."""
        while self._pending and self._pending[0].refusal is not None:
            self._settle_first()

    def _settle_first(self) -> None:
        first, done = self._pending.popleft(), self._done
        refused = done.refused if first.refusal is None else (*done.refused, first.refusal)
        self._done = Done(done.num_done + 1, first.place, refused)


def _left_out(item: Sourced, error: InvalidArgumentError) -> LeftOut:
    reason = _PLACE.sub("", error.message).replace("metadata_json", "metadata", 1)
    told = f"(id {shown(item.document.id)})"
    if f"(id {item.document.id!r})" in reason:
        told = ""
    return LeftOut(
        where=item.where,
        kind="documents that the server refused",
        reason=f"{reason} {told}".strip(),
        is_fault=item.is_fault,
    )
