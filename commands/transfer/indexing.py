"""A run of `twopass index`: records are read, become documents, and are written."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from twopass.client import (
    AlreadyExistsError,
    Client,
    Collection,
    NotFoundError,
    OnConflict,
    PermissionDeniedError,
    Schema,
    TwopassError,
    UnimplementedError,
    UpsertSummary,
)
from twopass.commands.interrupts import heard
from twopass.commands.sources.finding import Found
from twopass.commands.sources.reading import Format
from twopass.commands.sources.records import LeftOut, Record, SourceError
from twopass.commands.sources.source_file import SourceFile
from twopass.commands.transfer.checkpoint import Checkpoint, CheckpointError, Done
from twopass.commands.transfer.expected import MANY_RECORDS, Expected
from twopass.commands.transfer.field_mapping import FieldMapping
from twopass.commands.transfer.progress import Meter, duration
from twopass.commands.transfer.tally import Tally
from twopass.commands.transfer.translating import Translator, field_names
from twopass.commands.transfer.uploading import Reports, Sourced, Upload

# Records that are looked at before anything is written: for the first vector, and for what is
# wrong from the start.
_LOOKED_AT = 100
# How many of a kind that was left out are named while the run goes on.
_NAMED = 5
_LONGEST_SLEEP_SECONDS = 0.2  # after which Ctrl-C is noticed at the latest
_TABLES = frozenset((Format.CSV, Format.TSV, Format.PARQUET))

_Item: TypeAlias = tuple[SourceFile, Record | LeftOut]


class OnError(StrEnum):
    """What becomes of a run that meets something it can't index."""

    STOP = "stop"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How files are indexed.

    Attributes:
        mapping: Which fields of records are which of documents.
        schema: Of a collection that is made; its dimension, where clients bring vectors, is that of
            the first one.
        on_conflict: What becomes of documents whose ids are known.
        on_error: What becomes of the run when something can't be indexed.
        chunk_size: Documents sent at a time.
        resume: The file that records the progress, if any.
        names_all: Whether all that is left out is named while the run goes on, not the first only.
    """

    mapping: FieldMapping
    schema: Schema = field(default_factory=Schema)
    on_conflict: OnConflict = "replace"
    on_error: OnError = OnError.STOP
    chunk_size: int = 256
    resume: Path | None = None
    names_all: bool = False


@dataclass(slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        tally: What was written and left out.
        collection: The collection at the end; None where the run never got so far, or the server
            could not be asked for it any more.
        stopped_by: What ended the run early, of what it was to index.
        failure: The call that failed and ended it early.
        is_interrupted: Whether the user ended it.
        missing_fields: Fields that were named as numbers and that no record had.
    """

    tally: Tally = field(default_factory=Tally)
    collection: Collection | None = None
    stopped_by: LeftOut | None = None
    failure: TwopassError | None = None
    is_interrupted: bool = False
    missing_fields: list[str] = field(default_factory=list)

    @property
    def is_success(self) -> bool:
        """Whether all that was asked for by name was done, but for records that may be skipped."""
        if self.stopped_by or self.failure or self.is_interrupted or self.missing_fields:
            return False
        tally = self.tally
        has_written = tally.num_on_disk or tally.num_resumed
        return not tally.num_file_faults and bool(has_written or not tally.num_faults)


class Indexing:
    """One run: which files, how, into which collection."""

    def __init__(self, client: Client, collection: str, found: Found, settings: Settings) -> None:
        self._client = client
        self._collection = collection
        self._found = found
        self._settings = settings
        self._outcome = Outcome()
        self._tally = self._outcome.tally
        self._tally.num_other_files = found.num_other_kinds
        self._meter = Meter("indexing")
        self._expected = Expected(found.files)
        self._items = self._read_files()
        self._checkpoint: Checkpoint | None = None
        self._upload: Upload | None = None
        self._opened: Collection | None = None  # as it was before the run
        self._before = Done()  # what earlier runs have done
        self._num_items = 0  # records and things left out that were read
        self._num_read = 0  # documents
        self._is_read = False  # to the end
        self._num_named: Counter[str] = Counter()  # what is left out, by kind
        self._has_settled = False  # whether the server has answered for a document
        self._is_told_to_end = False
        self._is_reading = False

    def run(self) -> Outcome:
        """Writes all documents except those that an earlier run recorded as written.

        Raises:
            SourceError: What was asked for can't be done with these files and this collection.
            CheckpointError: The file of `--resume` belongs to another run, or to one that read
                something else in the same files.
        """
        outcome = self._outcome
        try:
            with _interrupts(self._end_early):
                for item in self._found.left_out:
                    if not self._leave_out(item):
                        return outcome
                translator = self._begin()
                if translator is not None:
                    self._write(translator)
                    if self._is_read and self._num_read:
                        outcome.missing_fields = sorted(translator.missing_numbers)
                    self._tally.unused_fields = sorted(translator.unused)
            outcome.is_interrupted = self._is_told_to_end and not self._is_read
        except KeyboardInterrupt:
            outcome.is_interrupted = True
        except TwopassError as error:
            outcome.failure = error
        if outcome.failure is None and self._opened is not None:
            outcome.collection = self._collection_now()
        if self._checkpoint and self._is_read and not (outcome.failure or outcome.is_interrupted):
            self._checkpoint.remove()
        return outcome

    def _collection_now(self) -> Collection | None:
        """The collection at the end; what was written is written, whatever this call ends in."""
        try:
            return self._client.get_collection(self._collection)
        except TwopassError as error:
            self._meter.say(f"{self._collection}: can't be asked how much it holds now ({error})")
        except KeyboardInterrupt:
            pass
        return None

    def _end_early(self) -> None:
        """Reads no more, and lets what is under way be written; a second call interrupts that.

        Raises:
            KeyboardInterrupt: It was told to end before, nothing is written yet, or it waits for
                more to read: `_next_item` takes that for the end.
        """
        if self._is_told_to_end or self._upload is None:
            raise KeyboardInterrupt
        self._is_told_to_end = True
        heard()
        if num_pending := self._upload.num_pending:
            rate = self._meter.rate
            when = f" in about {duration(num_pending / rate)}" if rate else ""
            self._meter.say(
                f"ending: {num_pending:,} documents are under way and will be written{when}; "
                "Ctrl-C again leaves them"
            )
        if self._is_reading:
            raise KeyboardInterrupt

    def _begin(self) -> Translator | None:
        """Makes the collection, unless there is one, and what makes documents for it.

        None where the first record stops the run: then no collection is made for it.

        Raises:
            SourceError: The collection needs vectors, and none are there.
        """
        settings, mapping = self._settings, self._settings.mapping
        seen = self._first_items()
        schema = settings.schema
        if mapping.vector and not schema.encoder:
            schema = replace(schema, client_vectors=True, dimension=self._dimension(seen))
        if seen and settings.on_error is OnError.STOP and settings.resume is None:
            made = _translated(*seen[0], Translator(mapping))
            if isinstance(made, LeftOut) and made.is_fault:
                self._stop(made)
                return None
        collection = self._open_collection(schema, seen)
        self._opened = collection
        if collection.schema.client_vectors and not mapping.vector:
            raise SourceError(
                f"{self._collection}: the collection has no encoder, so its documents bring their "
                "vectors; --vector-field names the field with them"
            )
        return Translator(
            mapping,
            dimension=collection.schema.dimension if mapping.vector else 0,
            needs_vector=collection.schema.client_vectors,
            max_passage_bytes=self._max_passage_bytes(),
        )

    def _max_passage_bytes(self) -> int:
        """The longest passage that the server takes; 0 where it does not say so to this key."""
        try:
            return self._client.server_info().limits.max_passage_bytes
        except (PermissionDeniedError, UnimplementedError):
            return 0

    def _first_items(self) -> list[_Item]:
        """The first record, or all up to the first with a vector; the run itself gets them again.

        Raises:
            SourceError: A field that is said to hold numbers is none of the only file's columns.
        """
        seen: list[_Item] = []
        wanted = self._settings.mapping.vector
        for file, item in self._items:
            seen.append((file, item))
            if isinstance(item, Record) and (not wanted or wanted in item.fields):
                break
            if len(seen) == _LOOKED_AT:
                break
        self._items = chain(seen, self._items)
        files = self._found.files
        records = [item for _, item in seen if isinstance(item, Record)]
        if records and len(files) == 1 and files[0].format in _TABLES:
            for name in self._settings.mapping.numbers:
                if name not in records[0].fields and not self._settings.mapping.metadata:
                    raise SourceError(
                        f"{files[0].where}: no field {name!r}, which --number-field names; "
                        f"{field_names(records[0].fields)}"
                    )
        return seen

    def _dimension(self, seen: list[_Item]) -> int:
        """Components of the first vector; 0 where there is none."""
        trial = Translator(self._settings.mapping)
        for _, item in seen:
            made = item if isinstance(item, LeftOut) else trial.document(item)
            if not isinstance(made, LeftOut) and made.vector is not None:
                return len(made.vector)
        return 0

    def _open_collection(self, schema: Schema, seen: list[_Item]) -> Collection:
        """Returns the collection, which is made if it is missing."""
        try:
            return self._client.get_collection(self._collection)
        except NotFoundError:
            pass
        if schema.client_vectors and not schema.dimension:
            strict = Translator(self._settings.mapping, needs_vector=True)
            made = _translated(*seen[0], strict) if seen else None
            told = f"; {made}" if isinstance(made, LeftOut) else ""
            raise SourceError(
                "--vector-field: no vector in the first records, so the collection that is to be "
                f"made can't know its dimension{told}"
            )
        try:
            return self._client.create_collection(self._collection, schema)
        except AlreadyExistsError:  # made by another meanwhile
            return self._client.get_collection(self._collection)

    def _write(self, translator: Translator) -> None:
        settings, tally = self._settings, self._tally
        if settings.resume is not None:
            self._checkpoint = self._open_checkpoint(settings.resume)
            self._before = self._checkpoint.done()
            tally.num_resumed = self._before.num_done - len(self._before.refused)
            for item in self._before.refused:
                tally.leave_out(item)
        self._upload = Upload(
            self._client,
            self._collection,
            Reports(settled=self._settled, refused=self._refuse, wait=self._wait),
            chunk_size=settings.chunk_size,
            on_conflict=settings.on_conflict,
            done=self._before,
        )
        with self._meter.running():
            if self._pass_over_done(translator):
                self._upload.write(self._documents(translator))

    def _open_checkpoint(self, path: Path) -> Checkpoint:
        stream = next((file for file in self._found.files if file.is_stream), None)
        if stream is not None:
            raise SourceError(
                f"{stream.where}: it can be read only once, so --resume can't go on with it; "
                "index a file instead"
            )
        assert self._opened is not None
        created = self._opened.create_time
        mapping = self._settings.mapping
        return Checkpoint.of(path, self._collection, created, self._found.files, mapping)

    def _pass_over_done(self, translator: Translator) -> bool:
        """Reads over what earlier runs have done; False where the run is told to end meanwhile.

        Raises:
            CheckpointError: What earlier runs read there is not what is read now: so many documents
                may be others.
        """
        before = self._before
        while self._num_read < before.num_done and (made := self._next_made(translator)):
            if isinstance(made, LeftOut):
                self._leave_out(made, is_told=True)
        if self._is_told_to_end:
            return False
        if (self._num_read, self._num_items) != (before.num_done, before.num_read):
            assert self._checkpoint is not None
            raise CheckpointError(
                f"{self._checkpoint.path}: it is of a run that read the same files otherwise: "
                f"{before.num_done:,} documents among {before.num_read:,} records, where there are "
                f"{self._num_read:,} among {self._num_items:,} now; delete it to begin anew"
            )
        return True

    def _documents(self, translator: Translator) -> Iterator[Sourced]:
        """The documents to write, in the files' order; ends early at what stops the run."""
        while made := self._next_made(translator):
            if isinstance(made, Sourced):
                if not self._has_settled:
                    self._tell(self._before.num_done)
                yield made
            elif not self._leave_out(made):
                return

    def _next_made(self, translator: Translator) -> Sourced | LeftOut | None:
        """What becomes of what is read next; None at the end, and when the run is to end."""
        found = self._next_item()
        if found is None:
            return None
        file, item = found
        self._num_items += 1
        if isinstance(item, Record):
            self._expected.read(file, item.num_bytes)
        made = _translated(file, item, translator, self._num_items)
        self._num_read += isinstance(made, Sourced)
        return made

    def _next_item(self) -> _Item | None:
        """What is read next; None at the end, and when the run is to end."""
        if self._is_told_to_end:
            return None
        try:
            self._is_reading = True
            found = next(self._items, None)
            self._is_read = found is None
        except KeyboardInterrupt:
            return None
        finally:
            self._is_reading = False
        return found

    def _read_files(self) -> Iterator[_Item]:
        for file in self._found.files:
            for item in file.records():
                yield file, item

    def _leave_out(self, item: LeftOut, *, is_told: bool = False) -> bool:
        """Counts and names what is left out; False where it stops the run.

        Args:
            item: What is left out.
            is_told: Whether an earlier run, which this one resumes, has told of it.
        """
        if item.is_fault and self._settings.on_error is OnError.STOP and not is_told:
            self._stop(item)
            return False
        self._tally.leave_out(item)
        if is_told:
            return True
        self._num_named[item.kind] += 1
        number = self._num_named[item.kind]
        if self._settings.names_all or number <= _NAMED:
            self._meter.say(f"left out: {item}")
        elif number == _NAMED + 1:
            self._meter.say(f"left out: more {item.kind}, counted below; --verbose names all")
        return True

    def _stop(self, item: LeftOut) -> None:
        self._outcome.stopped_by = item

    def _refuse(self, item: LeftOut) -> bool:
        goes_on = self._leave_out(item)
        if not goes_on:
            self._is_read = False
        return goes_on

    def _settled(self, done: Done, summary: UpsertSummary, before: UpsertSummary) -> None:
        self._tally.add(summary, before)
        self._has_settled = True
        self._tell(done.num_done)
        if self._checkpoint:
            self._checkpoint.save(done)

    def _tell(self, num_done: int) -> None:
        self._meter.show(
            num_done,
            self._num_read if self._is_read else self._expected.total,
            is_estimate=self._expected.is_estimate and not self._is_read,
            num_before=self._before.num_done,
            num_left_out=self._tally.num_left_out.total(),
        )

    def _wait(self, reason: str, seconds: float) -> bool:
        self._meter.say(f"the server takes no documents ({reason}): next try in {seconds:.1f} s")
        end = time.monotonic() + seconds
        while not self._is_told_to_end and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LONGEST_SLEEP_SECONDS))
        return not self._is_told_to_end


@contextmanager
def _interrupts(act: Callable[[], None]) -> Iterator[None]:
    """Has Ctrl-C call a function in the block, instead of raising KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _translated(
    file: SourceFile, item: Record | LeftOut, translator: Translator, place: int = 1
) -> Sourced | LeftOut:
    """What becomes of an item of a file.

    A file of a folder that is one document, and can be none, is no fault: it was not asked for.

    Args:
        file: The file.
        item: What was read of it.
        translator: Makes documents.
        place: How many items were read with this one.
    """
    if isinstance(item, LeftOut):
        return item
    is_fault = file.is_named or file.format in MANY_RECORDS
    made = translator.document(item)
    if isinstance(made, LeftOut):
        return replace(made, is_fault=is_fault)
    return Sourced(item.where, made, place, is_fault)
