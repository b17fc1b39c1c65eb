"""`python -m twopass.benchmarks.spans`: answers in spans, tokens saved, milliseconds added."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.spans.measures import Measure, measures
from twopass.benchmarks.spans.questions import load_questions
from twopass.benchmarks.spans.scored import Scorer
from twopass.benchmarks.spans.timing import TOP_N, Timing, timing
from twopass.engines.base.model import LoadedReranker, ModelKind
from twopass.engines.loading import load_model
from twopass.evaluation.datasets import DatasetError
from twopass.evaluation.progress import progress_bars
from twopass.server.config import ServerConfig


@dataclass(frozen=True, slots=True)
class SetReport:
    """What was measured on one test collection.

    Attributes:
        name: The folder's name.
        num_questions: How many questions have an answer in a document.
        num_unanswered: How many were left out for want of one.
        num_sentences: Mean number of sentences of a document.
        num_tokens: Mean number of tokens of a document's text.
        measures: Every way of choosing parts.
        timing: What spans add to a search; None where that was not measured.
    """

    name: str
    num_questions: int
    num_unanswered: int
    num_sentences: float
    num_tokens: float
    measures: list[Measure]
    timing: Timing | None


def main(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Test collections in BEIR's form, each with an answers.jsonl."),
    ],
    reranker: Annotated[str, typer.Option(help="The reranker.")] = ServerConfig().reranker,
    questions: Annotated[int, typer.Option(min=1, help="Most questions of each.")] = 100_000,
    searches: Annotated[
        int, typer.Option(min=0, help="Searches to time, with and without; 0 times none.")
    ] = 60,
    threads: Annotated[int, typer.Option(min=0, help="Of the engine; 0 for all cores.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measures spans on questions whose answers are known.

    Of each question, a document that answers it is cut into sentences as a server cuts it; these
    and windows of several lengths are scored. Then a server answers searches with and without
    spans.
    """
    try:
        loaded = [load_questions(folder, questions) for folder in folders]
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error
    model = load_model(reranker, num_threads=threads, kinds={ModelKind.RERANKER})
    assert isinstance(model, LoadedReranker)
    scorer = Scorer(model)
    flags = ("--reranker", reranker, *(("--threads", str(threads)) if threads else ()))
    reports = []
    with progress_bars() as progress:
        for each in loaded:
            name, count = each.dataset.name, len(each.asked)
            scoring = progress.add_task(f"{name}: documents", total=count)
            texts = scorer.scored(each.asked, partial(progress.advance, scoring))
            timed = None
            if searches:
                asking = progress.add_task(f"{name}: searches", total=min(searches, count))
                timed = timing(each, searches, flags, partial(progress.advance, asking))
            reports.append(
                SetReport(
                    name=name,
                    num_questions=count,
                    num_unanswered=each.num_unanswered,
                    num_sentences=sum(len(text.sentences) for text in texts) / count,
                    num_tokens=sum(text.num_tokens for text in texts) / count,
                    measures=measures(texts, model.spec.calibration),
                    timing=timed,
                )
            )
    scorer.close()
    model.engine.close()
    if as_json:
        content = {
            "machine": asdict(this_machine()),
            "reranker": model.spec.id,
            "sets": [asdict(each) for each in reports],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    console = Console()
    for line in (*this_machine().lines(), f"reranker {model.spec.id}"):
        console.print(line, highlight=False)
    for report in reports:
        console.print(_table(report))
        if report.timing is not None:
            console.print(_told(report.timing), highlight=False)


def _table(report: SetReport) -> Table:
    table = Table(
        title=f"{report.name}: {report.num_questions:,} questions; documents of "
        f"{report.num_sentences:.1f} sentences and {report.num_tokens:.0f} tokens in the mean",
        title_justify="left",
    )
    table.add_column("part of the document")
    table.add_column("answers", justify="right")
    table.add_column("tokens", justify="right")
    table.add_column("by")
    for each in report.measures:
        table.add_row(each.name, f"{each.answers:.1%}", f"{each.tokens:.1%}", each.setting)
    return table


def _told(timing: Timing) -> str:
    low, middle, high = timing.added_ms
    return (
        f"spans of top_n {TOP_N} ({timing.num_sentences:.0f} sentences): {middle:+.1f} ms a search "
        f"(quartiles {low:+.1f} to {high:+.1f}), stage {timing.stage_ms:.1f} ms, beside "
        f"{timing.plain_ms:.1f} ms; {timing.added_cpu_ms:+.1f} core-ms beside "
        f"{timing.plain_cpu_ms:.1f}; {timing.num_searches} searches each, in turns"
    )


if __name__ == "__main__":
    typer.run(main)
