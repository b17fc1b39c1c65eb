"""Parquet: rows of typed columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twopass.commands.sources.opening import opened
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record, UnreadableError
from twopass.commands.sources.source_file import SourceFile

_ROWS_PER_BATCH = 1_024
_MAGIC = b"PAR1"


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
    from twopass.commands.sources.readers.parquet_values import Columns

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
                    yield Record(where=where, fields=fields, num_bytes=num_bytes)
    except (ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system, not of Arrow
        where = f"{prefix}{number + 1}" if number else ""
        reason = f"not Parquet, or damaged ({_first_line(error)})"
        raise UnreadableError("damaged files of Parquet", reason, where) from error
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
    """Opens a file's table; one that is packed or a stream is read whole first."""
    from pyarrow import ArrowInvalid, BufferReader
    from pyarrow.parquet import ParquetFile

    with opened(file) as source:
        is_plain = source.stream.peek(len(_MAGIC))[: len(_MAGIC)] == _MAGIC
        content = None if is_plain and not file.is_stream else source.stream.read()
        if content == b"":
            raise EmptyFileError
        if content is not None and not content.startswith(_MAGIC):
            raise ArrowInvalid("it doesn't begin with PAR1")
        with ParquetFile(source.stream if content is None else BufferReader(content)) as table:
            yield table


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
