"""`twopass index`: documents from JSONL files into a collection."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from twopass.client import AlreadyExistsError, Chunking, Client, Document, Schema, UpsertSummary
from twopass.commands.failures import exit_with
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json


def index(
    collection: Annotated[str, typer.Argument(help="The collection; made if missing.")],
    files: Annotated[
        list[Path], typer.Argument(help="JSONL files, one document a line; .gz is unpacked.")
    ],
    id_field: Annotated[str, typer.Option(help="Field with the document's id.")] = "id",
    text_field: Annotated[str, typer.Option(help="Field with its text.")] = "text",
    title_field: Annotated[str, typer.Option(help="Field with its title, if any.")] = "title",
    encoder: Annotated[
        str, typer.Option(help="Encoder of a collection that is made; unset: the default.")
    ] = "",
    window_tokens: Annotated[
        int | None,
        typer.Option(
            help="Split documents of a collection that is made into windows of so many tokens; "
            "unset: not at all."
        ),
    ] = None,
    overlap_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens that neighbouring windows share; unset: a quarter of a window."),
    ] = None,
    chunk_size: Annotated[int, typer.Option(help="Documents sent at a time.")] = 256,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Index documents. Every other field of a line becomes metadata.

    A document whose id is known replaces the one that had it: an interrupted run can be repeated.
    """
    for file in files:
        if not file.is_file():
            exit_with(f"{file}: there is no such file")
    fields = _Fields(id_field, text_field, title_field)
    with connected(target) as client:
        chunking = _chunking(window_tokens, overlap_tokens)
        _ensure_collection(client, collection, Schema(encoder=encoder, chunking=chunking))
        with _progress() as progress:
            task = progress.add_task("indexing", total=sum(f.stat().st_size for f in files), done=0)

            def show(summary: UpsertSummary) -> None:
                progress.update(task, done=summary.num_documents)

            summary = client.upsert(
                collection,
                _documents(files, fields, progress, task),
                chunk_size=chunk_size,
                on_progress=show,
            )
        total = client.get_collection(collection).num_documents
    if as_json:
        print_json(
            {
                "collection": collection,
                "num_inserted": summary.num_inserted,
                "num_replaced": summary.num_replaced,
                "num_documents": total,
                "sequence": summary.sequence,
            }
        )
        return
    Console().print(
        f"{collection}: {summary.num_inserted:,} inserted, {summary.num_replaced:,} replaced; "
        f"{total:,} documents in all"
    )


class _Fields:
    """Which fields of a line are what."""

    def __init__(self, id_field: str, text_field: str, title_field: str) -> None:
        self._id = id_field
        self._text = text_field
        self._title = title_field

    def document(self, line: Any, where: str) -> Document:
        """The document on a line."""
        if not isinstance(line, dict):
            exit_with(f"{where}: a JSON {type(line).__name__}, an object is needed")
        if self._id not in line:
            exit_with(f"{where}: no field {self._id!r}; --id-field names the one with the id")
        known = (self._id, self._text, self._title)
        return Document(
            id=str(line[self._id]),
            text=str(line.get(self._text) or ""),
            title=str(line.get(self._title) or ""),
            metadata={name: value for name, value in line.items() if name not in known},
        )


def _chunking(window_tokens: int | None, overlap_tokens: int | None) -> Chunking | None:
    if window_tokens is None:
        return None
    return Chunking(window_tokens, window_tokens // 4 if overlap_tokens is None else overlap_tokens)


def _ensure_collection(client: Client, name: str, schema: Schema) -> None:
    try:
        client.create_collection(name, schema)
    except AlreadyExistsError:
        return


def _documents(
    files: list[Path], fields: _Fields, progress: Progress, task: TaskID
) -> Iterator[Document]:
    """Documents in the files' order; progress is in bytes read, since lines can't be counted."""
    finished = 0
    for file in files:
        with file.open("rb") as raw:
            lines = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
            for number, line in enumerate(lines, 1):
                where = f"{file}:{number}"
                if line.strip():
                    yield fields.document(_parsed(line, where), where)
                if number % 64 == 0:
                    progress.update(task, completed=finished + raw.tell())
        finished += file.stat().st_size
        progress.update(task, completed=finished)


def _parsed(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        exit_with(f"{where}: not JSON ({error})")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[done]:,} documents on disk"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
