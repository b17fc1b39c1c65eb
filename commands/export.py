"""`twopass export`: a collection's documents into a file that `twopass index` reads."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from twopass.client import Document, Fields
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.terminal.failures import exit_with
from twopass.engines.installing import how_to_install

_PAGE = 500

Write: TypeAlias = Callable[[list[Document]], None]
"""Appends documents to a file."""


def export(
    collection: Annotated[str, typer.Argument(help="The collection's name.")],
    output: Annotated[
        Path, typer.Argument(help="The file: .jsonl, .jsonl.gz or .parquet; must not exist.")
    ],
    vectors: Annotated[bool, typer.Option(help="Export embeddings too.")] = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Write all documents of a collection into a file.

    The file appears when it is complete. For the state at one moment, export a restored snapshot.
    """
    if output.exists():
        exit_with(f"{output}: there is such a file already; name another, or delete it")
    with connected(target) as client:
        total = client.get_collection(collection).num_documents
        documents = client.documents(
            collection, page_size=_PAGE, fields=Fields(text=True, metadata=True, vector=vectors)
        )
        unfinished = output.with_name(f".unfinished-{output.name}")
        try:
            with _writer(output, unfinished, vectors=vectors) as write:
                num_written = _write_all(documents, total, write)
            unfinished.replace(output)
        finally:
            unfinished.unlink(missing_ok=True)
        reason = client.get_collection(collection).read_only_reason
    if as_json:
        print_json({"collection": collection, "output": str(output), "num_documents": num_written})
    else:
        again = " --vector-field vector" if vectors else ""
        Console().print(
            f"{output}: {num_written:,} documents; read them back with\n"
            f"  twopass index COLLECTION {output} --metadata-field metadata{again}",
            soft_wrap=True,
        )
    if reason:
        exit_with(f"not all documents could be read: {reason}")


def _write_all(documents: Iterator[Document], total: int, write: Write) -> int:
    progress = Progress(
        TextColumn("exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    num_written = 0
    began = time.monotonic()
    with progress:
        task = progress.add_task("exporting", total=total, rate="")
        block: list[Document] = []
        for document in documents:
            block.append(document)
            if len(block) == _PAGE:
                write(block)
                num_written += len(block)
                rate = num_written / max(1e-9, time.monotonic() - began)
                progress.update(task, completed=num_written, rate=f"{rate:,.0f}/s")
                block = []
        write(block)
    return num_written + len(block)


@contextmanager
def _writer(output: Path, unfinished: Path, *, vectors: bool) -> Iterator[Write]:
    """Opens the unfinished file in the format that the final file's name implies."""
    if output.suffix == ".parquet":
        with _parquet(unfinished, vectors=vectors) as write:
            yield write
    elif output.name.endswith((".jsonl", ".jsonl.gz")):
        with _jsonl(unfinished, is_packed=output.suffix == ".gz") as write:
            yield write
    else:
        exit_with(f"{output}: of no known format; known: .jsonl, .jsonl.gz, .parquet")


@contextmanager
def _jsonl(file: Path, *, is_packed: bool) -> Iterator[Write]:
    opened = gzip.open if is_packed else open
    with opened(file, "wt", encoding="utf-8") as sink:

        def write(documents: list[Document]) -> None:
            for document in documents:
                record: dict[str, Any] = {
                    "id": document.id,
                    "title": document.title,
                    "text": document.text,
                    "metadata": dict(document.metadata),
                }
                if document.vector is not None:
                    record["vector"] = list(document.vector)
                sink.write(json.dumps(record, ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _parquet(file: Path, *, vectors: bool) -> Iterator[Write]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ModuleNotFoundError:
        exit_with(f"Parquet needs pyarrow; {how_to_install('parquet')}")
    text = pyarrow.string()
    columns = [("id", text), ("title", text), ("text", text), ("metadata", text)]
    if vectors:
        columns.append(("vector", pyarrow.list_(pyarrow.float32())))
    schema = pyarrow.schema(columns)
    with ParquetWriter(file, schema) as sink:

        def write(documents: list[Document]) -> None:
            rows = [
                {
                    "id": document.id,
                    "title": document.title,
                    "text": document.text,
                    "metadata": json.dumps(dict(document.metadata), ensure_ascii=False),
                    "vector": document.vector,
                }
                for document in documents
            ]
            sink.write_table(pyarrow.Table.from_pylist(rows, schema))

        yield write
