"""How many documents there will be, estimated while files are read."""

from collections.abc import Iterable

from twopass.commands.sources.reading import Format
from twopass.commands.sources.source_file import SourceFile

MANY_RECORDS = frozenset((Format.JSONL, Format.CSV, Format.TSV, Format.PARQUET))
"""Formats whose files hold a document a record; of others a file is one document."""
# How many bytes of records are read before their size says something: readers read ahead.
_MIN_BYTES = 64 * 1024
_DIGITS = 3  # an estimate says no more


class Expected:
    """The number of documents in files, known for files of one document, else by their bytes."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        files = list(files)
        self._num_single = sum(file.format not in MANY_RECORDS for file in files)
        self._many_bytes = sum(file.num_bytes for file in files if file.format in MANY_RECORDS)
        self._has_stream = any(file.is_stream for file in files)
        self._num_done = 0
        self._finished_bytes = 0
        self._read_bytes = 0
        self._file: SourceFile | None = None

    def read(self, file: SourceFile, num_bytes: int) -> None:
        """Takes note of a record, and of how many bytes of its file have been read with it."""
        if file.format not in MANY_RECORDS:
            return
        if file is not self._file:
            if self._file is not None:
                self._finished_bytes += self._file.num_bytes
            self._file = file
        self._num_done += 1
        self._read_bytes = self._finished_bytes + num_bytes

    @property
    def total(self) -> int | None:
        """About how many documents there are; None where nothing is known of it."""
        if self._has_stream:
            return None
        if not self._many_bytes:
            return self._num_single
        if self._read_bytes < min(_MIN_BYTES, self._many_bytes):
            return None
        share = max(self._read_bytes / self._many_bytes, 1e-9)
        total = self._num_single + max(self._num_done, round(self._num_done / share))
        unit: int = 10 ** max(0, len(str(total)) - _DIGITS)
        return -(-total // unit) * unit

    @property
    def is_estimate(self) -> bool:
        """Whether there may be more or fewer."""
        return self._many_bytes > 0
