"""Parquet: rows of typed columns."""

from collections.abc import Iterator

from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.sources.source_file import SourceFile
from twopass.engines.installing import how_to_install

_ROWS_PER_BATCH = 1_024


def read_parquet(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads the rows of a file."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        reason = f"Parquet needs pyarrow; {how_to_install('parquet')}"
        yield file.left_out("files of Parquet without pyarrow", reason)
        return
    number = 0
    try:
        with ParquetFile(file.path) as table:
            num_rows = max(1, table.metadata.num_rows)
            for batch in table.iter_batches(_ROWS_PER_BATCH):
                for fields in batch.to_pylist():
                    number += 1
                    num_bytes = file.num_bytes * number // num_rows
                    where = f"{file.where}: row {number}"
                    yield Record(where=where, fields=fields, num_bytes=num_bytes)
    except (ArrowException, OSError) as error:
        yield file.rest_left_out("damaged files of Parquet", f"not Parquet ({error})", number)
