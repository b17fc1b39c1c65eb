"""Parquet: rows of typed columns."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from typing import Any

from twopass.commands.sources.opening import opened
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record, UnreadableError
from twopass.commands.sources.source_file import SourceFile

_ROWS_PER_BATCH = 1_024
_MAGIC = b"PAR1"
_PIECE_BYTES = 1024**2
# The table's end tells where its columns are, so that a stream must be held as a whole.
_MAX_WHOLE_BYTES = 512 * 1024**2
_KIND = "damaged files of Parquet"


def read_parquet(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads the rows of a file, its values as JSON has them (`parquet_values.py`).

    Raises:
        UnreadableError: The file is damaged, or pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException
    except ModuleNotFoundError as error:
        from twopass.engines.installing import how_to_install

        raise UnreadableError(
            "files of Parquet without pyarrow",
            f"Parquet needs pyarrow; {how_to_install('parquet')}",
        ) from error
    from twopass.commands.sources.readers.parquet_values import Columns, UnreadValue

    number = 0
    prefix = f"{file.where}: row "
    try:
        with _table(file) as table:
            num_rows = max(1, table.metadata.num_rows)
            columns = Columns(table.schema_arrow)
            for batch in table.iter_batches(_ROWS_PER_BATCH):
                for fields in columns.rows(batch):
                    number += 1
                    num_bytes = file.num_bytes * number // num_rows
                    where = f"{prefix}{number}"
                    if isinstance(fields, UnreadValue):
                        yield LeftOut(where=where, kind=fields.kind, reason=fields.reason)
                    else:
                        yield Record(where=where, fields=fields, num_bytes=num_bytes)
    except (ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system, not of Arrow
        where = f"{prefix}{number + 1}" if number else ""
        reason = f"not Parquet, or damaged ({_first_line(error)})"
        raise UnreadableError(_KIND, reason, where) from error
    for name, reason in columns.left_out():
        yield LeftOut(
            where=f"{file.where}: column {name!r}",
            kind="columns with values left out",
            reason=reason,
            num_records=0,
            is_fault=False,
        )


@contextmanager
def _table(file: SourceFile) -> Iterator[Any]:
    """Opens a file's table; one that is packed or a stream is read whole first.

    Raises:
        UnreadableError: It is none, or too long to be read whole.
    """
    from pyarrow import BufferReader, py_buffer
    from pyarrow.parquet import ParquetFile

    with opened(file) as source:
        is_seekable = not file.is_stream and not isinstance(source.stream.raw, GzipFile)
        # Its first bytes tell a table before more is read.
        head = source.stream.peek(len(_MAGIC)) if is_seekable else source.stream.read(len(_MAGIC))
        if not head:
            raise EmptyFileError
        if not head.startswith(_MAGIC):
            raise UnreadableError(_KIND, "not Parquet (it doesn't begin with PAR1)")
        if is_seekable:
            with ParquetFile(source.stream) as table:
                yield table
        else:
            content = BufferReader(py_buffer(_whole(head, source.stream)))
            with ParquetFile(content) as table:
                yield table


def _whole(head: bytes, stream: io.BufferedReader) -> bytearray:
    """All bytes of a stream that began with a head."""
    content = bytearray(head)
    while piece := stream.read1(_PIECE_BYTES):
        content += piece
        if len(content) > _MAX_WHOLE_BYTES:
            raise UnreadableError(
                "files of Parquet that are too long",
                f"more than {_MAX_WHOLE_BYTES // 1024**2:,} MiB unpacked, or of a stream, which "
                "can only be read at once; write it to a file that is not packed",
            )
    return content


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
