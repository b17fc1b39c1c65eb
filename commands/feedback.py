"""`twopass feedback`: clicks and judgements in and out, and what shadows make of them."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from twopass.client import (
    Feedback,
    FeedbackKind,
    FeedbackRefusal,
    Shadow,
    ShadowDifference,
)
from twopass.commands.feedback_lines import (
    FeedbackFileError,
    FeedbackFormat,
    feedback_lines,
    read_feedback,
)
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.confirmation import Yes, confirm
from twopass.commands.terminal.consoles import is_terminal
from twopass.commands.terminal.failures import FAILED, USAGE, exit_with
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.sentences import counted, say, say_beside
from twopass.commands.terminal.tables import Table, figures, names, print_table
from twopass.commands.transfer.unfinished import unfinished

app = typer.Typer(
    help="Record, export and delete clicks and judgements; tell what shadows make of them.",
    no_args_is_help=True,
)

_AT_ONCE = 500
_STDIN = "-"
# Where chance alone makes less evidence, people are told that a shadow is better, or worse.
_SIGNIFICANT = 0.01

Since = Annotated[datetime | None, typer.Option(help="Only what was given then or later, in UTC.")]
Before = Annotated[datetime | None, typer.Option(help="Only what was given before, in UTC.")]


@app.command("record")
def record(
    collection: CollectionName,
    file: Annotated[
        str,
        typer.Argument(
            help="Lines of JSON, or a table of query-id, corpus-id and score where the name ends "
            "in .tsv; - reads JSON from standard input. Unset: one piece, by the options."
        ),
    ] = "",
    search_id: Annotated[str, typer.Option(help="search_id of the answer.")] = "",
    query_id: Annotated[str, typer.Option(help="Your own key of the query.")] = "",
    document: Annotated[str, typer.Option(help="The document's id.")] = "",
    grade: Annotated[
        int | None,
        typer.Option(help="How relevant it is, 0 (not at all) to 100; unset: it was clicked."),
    ] = None,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Record clicks and judgements, which are on the server's disk when this ends.

    Recording the same again changes nothing: of one query, document and kind the last one counts.

      twopass feedback record docs --query-id q-17 --document strptime --grade 2
      twopass feedback record docs feedback.jsonl
      twopass feedback record docs qrels.tsv

    Lines of JSON; without a grade it is a click:

      {"query_id": "q-17", "document_id": "strptime", "grade": 2}
      {"search_id": "M-FCPTG8wPsSB_dCFs9TeQ", "document_id": "strptime"}
    """
    if bool(file) == bool(document):
        exit_with("give a file, or --document and what belongs to it", USAGE)
    pieces: Iterable[Feedback] = [
        Feedback(document_id=document, search_id=search_id, query_id=query_id, grade=grade)
    ]
    num_recorded, refused = 0, list[FeedbackRefusal]()
    try:
        if file:
            pieces = read_feedback(file)
        remaining = iter(pieces)
        with connected(target) as client:
            while block := list(islice(remaining, _AT_ONCE)):
                done = num_recorded + len(refused)
                summary = client.record_feedback(collection, block)
                num_recorded += summary.num_recorded
                refused += [
                    dataclasses.replace(one, index=done + one.index) for one in summary.refused
                ]
    except FeedbackFileError as error:
        exit_with(error)
    if as_json:
        told = [{"index": one.index, "reason": str(one.reason)} for one in refused]
        print_json({"num_recorded": num_recorded, "refused": told})
    else:
        say(f"{collection}: {num_recorded:,} recorded")
        for one in refused[:10]:
            say_beside(f"number {one.index + 1:,} is refused: {_REASONS.get(one.reason, '')}")
        if len(refused) > 10:
            say_beside(f"and {len(refused) - 10:,} more")
    if refused:
        raise typer.Exit(FAILED)


_REASONS: dict[str, str] = {
    "search_unknown": "the server does not know its search_id: another one gave it, or too long "
    "ago; give a query_id beside it",
    "not_shown": "the search did not show the document that was clicked",
}


@app.command("export")
def export(
    collection: CollectionName,
    output: Annotated[
        Path, typer.Argument(help="The file, which must not exist; - is standard output.")
    ] = Path("-"),
    format: Annotated[  # noqa: A002  # the option's word
        FeedbackFormat | None,
        typer.Option(
            help="qrels: a table of query-id, corpus-id and score; trec: lines of TREC's qrels; "
            "jsonl: everything, a line each, as record reads it; judgements: what twopass eval "
            "reads, where the server keeps the queries' texts. Unset: by the file's name, else "
            "qrels."
        ),
    ] = None,
    clicks: Annotated[
        bool,
        typer.Option("--clicks", help="Count a click as grade 1 where there is no judgement."),
    ] = False,
    since: Since = None,
    before: Before = None,
    target: Target = DEFAULT_TARGET,
) -> None:
    """Write a collection's clicks and judgements into a file.

      twopass feedback export docs qrels.tsv
      twopass feedback export docs everything.jsonl
      twopass feedback export docs judged.jsonl --format judgements

    A file of judgements is what twopass eval and others measure by: twopass eval judged.jsonl.
    """
    chosen = format or (FeedbackFormat.JSONL if output.suffix == ".jsonl" else FeedbackFormat.QRELS)
    kind = FeedbackKind.JUDGEMENT
    takes_clicks = clicks or chosen is FeedbackFormat.JSONL
    if str(output) != "-" and output.exists():
        exit_with(f"{output}: there is such a file already; name another, or delete it")
    with connected(target) as client:
        rows = client.feedback(
            collection, kind=None if takes_clicks else kind, start=since, end=before
        )
        try:
            with _opened(output) as write:
                num_lines = sum(map(write, feedback_lines(chosen, collection, rows)))
        except BrokenPipeError:  # whoever reads has read enough
            raise
        except (OSError, FeedbackFileError) as error:
            exit_with(f"{output}: can't be written ({getattr(error, 'strerror', '') or error})")
    if chosen is FeedbackFormat.JUDGEMENTS and not num_lines:
        say_beside(
            "no judgement comes with the text of its query: start the server with --feedback-texts "
            "to keep them from then on, or join a table of qrels with your own queries"
        )
    if str(output) != "-":
        say(f"{output}: {counted(num_lines, 'line')} of {collection}")


@app.command("delete")
def delete(
    collection: CollectionName,
    query_id: Annotated[
        list[str] | None, typer.Option(help="Only that of this query; several times for several.")
    ] = None,
    since: Since = None,
    before: Before = None,
    all_of_it: Annotated[bool, typer.Option("--all", help="Delete everything.")] = False,
    yes: Yes = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Delete clicks and judgements for good: what fits all that is given.

        twopass feedback delete docs --query-id q-17 --yes
        twopass feedback delete docs --before 2026-01-01
        twopass feedback delete docs --all

    What is deleted is overwritten, in the server's file and its log.
    """
    if not (query_id or since or before or all_of_it):
        exit_with("say what to delete: --query-id, --since, --before, or --all", USAGE)
    what = "all clicks and judgements" if all_of_it else "these clicks and judgements"
    with connected(target) as client:
        confirm(f"delete {what} of {collection} for good", is_certain=yes)
        number = client.delete_feedback(
            collection, query_id or (), start=since, end=before, all=all_of_it
        )
    if as_json:
        print_json({"collection": collection, "num_deleted": number})
    else:
        say(f"{collection}: {number:,} deleted")


@app.command("shadows")
def shadows(
    collection: Annotated[str, typer.Argument(help="Only this collection; unset: all.")] = "",
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Show what shadow comparisons have found: is another second pass better than what callers get?

    A shadow is a setting of the server and runs on a share of searches after their answers have
    gone. The probabilities may be looked at at any time, as often as you like.

        twopass serve --shadow six=reranker:twopass-minilm-l6,share:0.1
        twopass feedback shadows docs
    """
    with connected(target) as client:
        found = client.shadows(collection)
    if as_json:
        print_json([_plain(shadow) for shadow in found])
        return
    if not found:
        say_beside("the server has no shadow; twopass serve --shadow says how to run one")
        return
    _print_agreement(found)
    _print_differences(found)


def _print_agreement(found: Iterable[Shadow]) -> None:
    table = Table(
        [
            *names("shadow", "collection"),
            *figures("compared", "same first hit, %", "overlap@10, %", "rank-biased overlap"),
        ],
        title="How alike both orders are",
        num_names=2,
    )
    for shadow in found:
        for one in shadow.comparisons:
            table.add(
                shadow.name,
                one.collection,
                f"{one.num_compared:,}",
                f"{100 * one.equal_first:.1f}",
                f"{100 * one.overlap:.1f}",
                f"{one.rank_biased_overlap:.3f}",
            )
        if not shadow.comparisons:
            table.add(shadow.name, "none yet", "0", "", "", "")
    print_table(table)


def _print_differences(found: Iterable[Shadow]) -> None:
    table = Table(
        [
            *names("shadow", "collection", "by"),
            *figures("searches", "shadow - live", "95% from", "to", "better", "worse", "p"),
            *names("so far"),
        ],
        title="Whether feedback says that it is better",
        num_names=3,
    )
    for shadow in found:
        for one in shadow.comparisons:
            for each in one.differences:
                table.add(
                    shadow.name,
                    one.collection,
                    str(each.measure),
                    f"{each.num_searches:,}",
                    f"{each.mean:+.3f}",
                    f"{each.lower:+.3f}",
                    f"{each.upper:+.3f}",
                    f"{each.num_better:,}",
                    f"{each.num_worse:,}",
                    f"{each.p_value:.2g}",
                    _verdict(each),
                )
    if table.rows:
        print_table(table)
    else:
        say("No feedback names documents of compared searches yet.")


def _verdict(difference: ShadowDifference) -> str:
    if difference.p_value >= _SIGNIFICANT:
        return "undecided"
    return "better" if difference.mean > 0 else "worse"


def _plain(shadow: Shadow) -> dict[str, Any]:
    plain = dataclasses.asdict(shadow)
    for comparison in plain["comparisons"]:
        comparison["start_time"] = comparison["start_time"].isoformat()
    return plain


@contextmanager
def _opened(output: Path) -> Iterator[Callable[[str], int]]:
    """What writes a line, and counts it."""
    if str(output) == "-":
        is_shown = is_terminal(sys.stdout)
        yield lambda line: _write(sys.stdout, _obeyed_by_none(line) if is_shown else line)
        sys.stdout.flush()  # while whoever has stopped reading can still be told of
        return
    with (
        unfinished(output) as beside,
        beside.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield lambda line: _write(stream, line)


def _write(stream: TextIO, line: str) -> int:
    stream.write(line + "\n")
    return 1


def _obeyed_by_none(line: str) -> str:
    """A line without what a terminal obeys in ids and queries."""
    return "\t".join(map(printable, line.split("\t")))
