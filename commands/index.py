"""`twopass index`: reads documents from files into a collection."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from twopass.client import OnConflict, Schema
from twopass.commands.completion import collection_names
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.sources.finding import find_files
from twopass.commands.sources.formats import FORMATS
from twopass.commands.sources.options import (
    DelimiterOption,
    EncodingOption,
    ExcludeOption,
    FormatOption,
    IncludeOption,
    QuotesOption,
)
from twopass.commands.sources.reading import Reading
from twopass.commands.sources.records import SourceError
from twopass.commands.terminal.failures import INTERRUPTED, exit_with
from twopass.commands.terminal.sentences import say, say_beside
from twopass.commands.transfer.checkpoint import CheckpointError
from twopass.commands.transfer.field_mapping import FieldMapping
from twopass.commands.transfer.indexing import Indexing, OnError, Outcome, Settings
from twopass.commands.transfer.reporting import closing_lines, json_report
from twopass.commands.window_options import (
    OVERLAP_TOKENS,
    WHOLE_DOCUMENTS,
    WINDOW_TOKENS,
    chunking,
)

_FIELDS = "Fields of a record"
_NEW = "A new collection"


class Metric(StrEnum):
    """The metrics that a collection can be made with."""

    COSINE = "cosine"
    INNER_PRODUCT = "inner_product"


def index(
    collection: Annotated[
        str,
        typer.Argument(help="The collection; created if missing.", autocompletion=collection_names),
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            help=f"{FORMATS}; of a folder, its text, Markdown, reStructuredText and HTML; `-` is "
            "standard input."
        ),
    ],
    id_field: Annotated[
        str, typer.Option(rich_help_panel=_FIELDS, help="Field with the document's id.")
    ] = "id",
    text_field: Annotated[
        str, typer.Option(rich_help_panel=_FIELDS, help="Field with its text.")
    ] = "text",
    title_field: Annotated[
        str, typer.Option(rich_help_panel=_FIELDS, help="Field with its title, if any.")
    ] = "title",
    vector_field: Annotated[
        str,
        typer.Option(
            rich_help_panel=_FIELDS,
            help="Field with its embedding; a new collection then has no encoder.",
        ),
    ] = "",
    metadata_field: Annotated[
        str,
        typer.Option(
            rich_help_panel=_FIELDS,
            help="Field with all metadata, an object or JSON of one; unset: all other fields are.",
        ),
    ] = "",
    number_field: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=_FIELDS,
            help="Field whose values are numbers, though CSV has text alone; may be repeated.",
        ),
    ] = None,
    file_format: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    quotes: QuotesOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    encoder: Annotated[
        str,
        typer.Option(
            rich_help_panel=_NEW, help="Encoder of a new collection; unset: the server's default."
        ),
    ] = "",
    window_tokens: Annotated[
        int | None,
        typer.Option(rich_help_panel=_NEW, help=WINDOW_TOKENS),
    ] = None,
    whole_documents: Annotated[
        bool,
        typer.Option(rich_help_panel=_NEW, help=WHOLE_DOCUMENTS),
    ] = False,
    overlap_tokens: Annotated[
        int | None,
        typer.Option(rich_help_panel=_NEW, help=OVERLAP_TOKENS),
    ] = None,
    metric: Annotated[
        Metric,
        typer.Option(
            rich_help_panel=_NEW,
            help="How the nearness of vectors is measured; cosine scales them.",
        ),
    ] = Metric.COSINE,
    index_kind: Annotated[
        str, typer.Option(rich_help_panel=_NEW, help="Index kind of a new collection; unset: Flat.")
    ] = "",
    language: Annotated[
        str,
        typer.Option(
            rich_help_panel=_NEW,
            help="Language of a new collection, an ISO 639-1 code such as de: endings of words are "
            "removed for search by words; none: words are searched as they stand; unset: the "
            "server's default.",
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
    on_error: Annotated[
        OnError,
        typer.Option(
            help="What becomes of the run when a record, or a file given by name, can't be "
            "indexed: it stops and says which, or goes on without, and counts and names it."
        ),
    ] = OnError.STOP,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Name all that is left out, not the first five of each kind only.",
        ),
    ] = False,
    chunk_size: Annotated[int, typer.Option(min=1, help="Documents sent at a time.")] = 256,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Index documents from files and folders.

    A record has an id and a text, and may have a title. Every other field becomes metadata, to
    filter by. A document whose id is known replaces the earlier one, so that an interrupted run can
    be repeated.

      twopass index docs notes/  text, Markdown, HTML: each file is a document
      twopass index docs facts.jsonl.gz --text-field body  records, one a line
      twopass index docs table.csv --number-field year  rows; the year is a number
      twopass index docs v.parquet --vector-field v  vectors of your own
      twopass index docs big.jsonl --resume big.state  goes on after an interruption
      twopass index docs big.jsonl --on-error skip  leaves out bad records, and names them
      zcat dump.gz | twopass index docs - --format jsonl  standard input

    A line of JSONL that needs no flag; a "title" may be there too:

      {"id": "a1", "text": "Warm the pot.", "year": 1946}

    The exit status is 0 where all that was given by name was indexed, but for records that
    --on-error skip leaves out; 1 where something was not; 130 after Ctrl-C.
    """
    settings = Settings(
        mapping=FieldMapping(
            id=id_field,
            text=text_field,
            title=title_field,
            vector=vector_field,
            metadata=metadata_field,
            numbers=tuple(number_field or ()),
        ),
        schema=Schema(
            encoder=encoder,
            metric=metric.value,
            index_kind=index_kind,
            chunking=chunking(window_tokens, overlap_tokens),
            whole_documents=whole_documents,
            language=language,
        ),
        on_conflict=on_conflict,
        on_error=on_error,
        chunk_size=chunk_size,
        resume=resume,
        names_all=verbose,
    )
    reading = Reading(
        format=file_format,
        encoding=encoding,
        delimiter=delimiter,
        has_quotes=quotes,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
    )
    try:
        with connected(target) as client:
            outcome = Indexing(client, collection, find_files(files, reading), settings).run()
            if as_json:
                print_json(json_report(collection, outcome))
            else:
                for line in closing_lines(collection, outcome):
                    say(line)
            _end(outcome, settings)
    except (SourceError, CheckpointError) as error:
        exit_with(error)


def _end(outcome: Outcome, settings: Settings) -> None:
    """Ends a command whose run did not do all that it was to do; says how to go on.

    Raises:
        TwopassError: The call that ended the run.
    """
    if outcome.is_success:
        return
    if outcome.is_interrupted or (outcome.failure and outcome.tally.num_on_disk):
        say_beside(
            "The same command goes on where this one ended."
            if settings.resume
            else "The same command with --on-conflict skip leaves out what is on disk."
        )
    if outcome.failure:
        raise outcome.failure
    if outcome.is_interrupted:
        raise typer.Exit(INTERRUPTED)
    if stopped_by := outcome.stopped_by:
        if outcome.tally.num_on_disk or stopped_by.num_records:
            exit_with(f"{stopped_by}\n--on-error skip goes on without what can't be indexed")
        exit_with(str(stopped_by))
    if missing := outcome.missing_fields:
        exit_with(f"--number-field: no record had a field {', '.join(map(repr, missing))}")
    if not outcome.tally.num_on_disk:
        exit_with("nothing is indexed: see what was left out above")
    exit_with("something that was given by name is not indexed: see what was left out above")
