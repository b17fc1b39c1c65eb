"""`twopass index`: reads documents from files into a collection."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

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

from twopass.client import (
    AlreadyExistsError,
    Chunking,
    Client,
    Document,
    OnConflict,
    Schema,
    UpsertSummary,
)
from twopass.commands.checkpoint import Checkpoint, CheckpointError
from twopass.commands.field_mapping import FieldMapping
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.sources.finding import find_files
from twopass.commands.sources.formats import FORMATS
from twopass.commands.sources.options import (
    DelimiterOption,
    EncodingOption,
    ExcludeOption,
    FormatOption,
    IncludeOption,
)
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import LeftOut, Record, SourceError
from twopass.commands.sources.source_file import SourceFile
from twopass.commands.terminal.failures import exit_with


def index(
    collection: Annotated[str, typer.Argument(help="The collection; created if missing.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            help=f"{FORMATS}; of a folder, its text, Markdown, reStructuredText and HTML; `-` is "
            "standard input."
        ),
    ],
    id_field: Annotated[str, typer.Option(help="Field with the document's id.")] = "id",
    text_field: Annotated[str, typer.Option(help="Field with its text.")] = "text",
    title_field: Annotated[str, typer.Option(help="Field with its title, if any.")] = "title",
    vector_field: Annotated[
        str,
        typer.Option(help="Field with its embedding; a new collection then has no encoder."),
    ] = "",
    metadata_field: Annotated[
        str, typer.Option(help="Field with all metadata, an object; unset: all other fields are.")
    ] = "",
    number_field: Annotated[
        list[str] | None, typer.Option(help="Field of CSV whose values are numbers, not text.")
    ] = None,
    file_format: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    encoder: Annotated[
        str, typer.Option(help="Encoder of a new collection; unset: the server's default.")
    ] = "",
    window_tokens: Annotated[
        int | None,
        typer.Option(
            help="Split documents of a new collection into windows of this many tokens; "
            "unset: of as many as the encoder reads."
        ),
    ] = None,
    whole_documents: Annotated[
        bool,
        typer.Option(
            help="Don't split documents of a new collection: of long ones the encoder reads the "
            "beginning alone."
        ),
    ] = False,
    overlap_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens that neighbouring windows share; unset: a quarter of a window."),
    ] = None,
    index_kind: Annotated[
        str, typer.Option(help="Index kind of a new collection; unset: Flat.")
    ] = "",
    language: Annotated[
        str,
        typer.Option(
            help="Language of a new collection, an ISO 639-1 code such as de: endings of words are "
            "removed for search by words; none: words are searched as they stand; unset: the "
            "server's default."
        ),
    ] = "",
    resume: Annotated[
        Path | None,
        typer.Option(
            help="File that records the progress; after an interruption, the same command goes on."
        ),
    ] = None,
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            help="What becomes of documents whose ids are known: they replace the earlier ones, "
            "are left out, or end the run."
        ),
    ] = "replace",
    chunk_size: Annotated[int, typer.Option(help="Documents sent at a time.")] = 256,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Index documents. Every other field of a record becomes metadata.

    A document whose id is known replaces the earlier one unless told otherwise, so an interrupted
    run can be repeated.
    """
    mapping = FieldMapping(
        id=id_field,
        text=text_field,
        title=title_field,
        vector=vector_field,
        metadata=metadata_field,
        numbers=tuple(number_field or ()),
    )
    reading = Reading(
        format=file_format,
        encoding=encoding,
        delimiter=delimiter,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
    )
    try:
        with connected(target) as client:
            found = find_files(files, reading)
            _stop_at_faults(found.left_out)
            sources = found.files
            chunking = _chunking(window_tokens, overlap_tokens)
            schema = Schema(
                encoder=encoder,
                index_kind=index_kind,
                chunking=chunking,
                whole_documents=whole_documents,
                language=language,
            )
            if mapping.vector and not encoder:
                dimension = _dimension(sources, mapping)
                schema = replace(schema, client_vectors=True, dimension=dimension)
            run = _Run(client, collection, sources, mapping)
            summary = run.index(schema, resume, chunk_size, on_conflict)
            total = client.get_collection(collection).num_documents
    except (SourceError, CheckpointError) as error:
        exit_with(error)
    if as_json:
        print_json(
            {
                "collection": collection,
                "num_inserted": summary.num_inserted,
                "num_replaced": summary.num_replaced,
                "num_skipped": summary.num_skipped,
                "num_split": summary.num_split,
                "num_documents": total,
                "sequence": summary.sequence,
            }
        )
        return
    split = f" ({summary.num_split:,} of them split)" if summary.num_split else ""
    skipped = f", {summary.num_skipped:,} skipped" if summary.num_skipped else ""
    Console().print(
        f"{collection}: {summary.num_inserted:,} inserted, {summary.num_replaced:,} replaced"
        f"{split}{skipped}; {total:,} documents in all"
    )


def _chunking(window_tokens: int | None, overlap_tokens: int | None) -> Chunking | None:
    if window_tokens is None:
        return None
    return Chunking(window_tokens, window_tokens // 4 if overlap_tokens is None else overlap_tokens)


def _stop_at_faults(left_out: Iterable[LeftOut]) -> None:
    for item in left_out:
        if item.is_fault:
            raise SourceError(str(item))


def _records(sources: Iterable[SourceFile]) -> Iterator[Record]:
    for file in sources:
        for item in file.records():
            if isinstance(item, Record):
                yield item
            else:
                _stop_at_faults([item])


def _dimension(sources: Sequence[SourceFile], mapping: FieldMapping) -> int:
    """Components of the first document's vector; 0 without documents."""
    first = next(_records(sources), None)
    return len(mapping.document(first).vector or ()) if first else 0


class _Run:
    """One run: which files, with which fields, into which collection."""

    def __init__(
        self,
        client: Client,
        collection: str,
        sources: Sequence[SourceFile],
        mapping: FieldMapping,
    ) -> None:
        self._client = client
        self._collection = collection
        self._sources = sources
        self._mapping = mapping
        self._progress = _progress()

    def index(
        self, schema: Schema, resume: Path | None, chunk_size: int, on_conflict: OnConflict
    ) -> UpsertSummary:
        """Writes all documents except those that an earlier run recorded as written."""
        client, name = self._client, self._collection
        _ensure_collection(client, name, schema)
        checkpoint = None
        if resume is not None:
            created = client.get_collection(name).create_time
            checkpoint = Checkpoint.of(resume, name, created, self._sources, self._mapping)
        num_done = checkpoint.num_done() if checkpoint else 0
        began = time.monotonic()
        with self._progress as progress:
            total = sum(file.num_bytes for file in self._sources)
            task = progress.add_task(
                "indexing", total=total, done=f"{num_done:,}", rate="", split=""
            )

            def show(summary: UpsertSummary) -> None:
                rate = summary.num_documents / max(1e-9, time.monotonic() - began)
                done = num_done + summary.num_documents + summary.num_skipped
                split = f"{summary.num_split:,} split" if summary.num_split else ""
                progress.update(task, done=f"{done:,}", rate=f"{rate:,.0f}/s", split=split)
                if checkpoint:
                    checkpoint.save(done)

            documents = itertools.islice(self._documents(task), num_done, None)
            summary = client.upsert(
                name,
                documents,
                chunk_size=chunk_size,
                on_conflict=on_conflict,
                on_progress=show,
            )
        if checkpoint:
            checkpoint.remove()
        return summary

    def _documents(self, task: TaskID) -> Iterator[Document]:
        """Documents in the files' order; progress is in bytes, since records can't be counted."""
        finished = 0
        for file in self._sources:
            for number, record in enumerate(_records([file])):
                yield self._mapping.document(record)
                if number % 64 == 0:
                    self._progress.update(task, completed=finished + record.num_bytes)
            finished += file.num_bytes
            self._progress.update(task, completed=finished)


def _ensure_collection(client: Client, name: str, schema: Schema) -> None:
    try:
        client.create_collection(name, schema)
    except AlreadyExistsError:
        return


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[done]} documents on disk {task.fields[rate]}"),
        TextColumn("{task.fields[split]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
