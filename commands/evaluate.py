"""`twopass eval`: quality before and after the second pass, through a real server."""

import dataclasses
import importlib.util
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from twopass.client import Client, TwopassError
from twopass.commands.failures import exit_with
from twopass.commands.options import AsJson, print_json
from twopass.evaluation.datasets import Dataset, DatasetError, load_dataset
from twopass.evaluation.runs import Evaluation, EvaluationError, evaluate_dataset, index_dataset
from twopass.server.local import LocalServer, LocalServerError


def evaluate(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Test collections in BEIR form: corpus, queries, qrels.tsv."),
    ],
    depth: Annotated[
        int, typer.Option(min=1, max=2048, help="Candidates found, and reranked.")
    ] = 50,
    max_queries: Annotated[
        int | None, typer.Option(help="Only the first so many queries of each; unset: all.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries under way at once.")] = 2,
    data: Annotated[
        Path | None,
        typer.Option(help="Keep the indexed corpora here for the next run; unset: drop them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure nDCG@10 of the first pass, the reranker alone, and both blended.

    Starts a server, indexes each corpus and searches each judged query once. Judged passages get no
    help: what the first pass misses is missed.
    """
    if importlib.util.find_spec("ir_measures") is None:
        exit_with("ir_measures is not installed: pip install 'twopass[evaluation]'")
    try:
        datasets = [load_dataset(folder, max_queries) for folder in folders]
        with (
            tempfile.TemporaryDirectory() as scratch,
            LocalServer(data or Path(scratch)) as server,
            Client(server.target) as client,
        ):
            results = [_evaluate(client, x, depth, concurrency) for x in datasets]
    except (DatasetError, EvaluationError, LocalServerError, TwopassError) as error:
        exit_with(error)
    if as_json:
        print_json([dataclasses.asdict(result) for result in results])
    else:
        Console().print(_table(results, depth))


def _evaluate(client: Client, dataset: Dataset, depth: int, concurrency: int) -> Evaluation:
    with _progress() as progress:
        indexing = progress.add_task(f"{dataset.name}: indexing", total=len(dataset.documents))
        collection = index_dataset(
            client, dataset, lambda done: progress.update(indexing, completed=done)
        )
        searching = progress.add_task(f"{dataset.name}: searching", total=len(dataset.queries))
        return evaluate_dataset(
            client,
            collection,
            dataset,
            depth=depth,
            concurrency=concurrency,
            advance=lambda done: progress.advance(searching, done),
        )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _table(results: list[Evaluation], depth: int) -> Table:
    table = Table(title=f"nDCG@10, the first {depth} candidates reranked", header_style="bold")
    table.add_column("set")
    for column in (
        *("documents", "queries", "first pass", "reranker alone", "both, blended", "lift"),
        *("first pass ms", "search ms"),
    ):
        table.add_column(column, justify="right")
    for r in results:
        table.add_row(
            r.dataset,
            f"{r.num_documents:,}",
            f"{r.num_queries:,}",
            f"{r.first_pass:.3f}",
            f"{r.reranker:.3f}",
            f"{r.blended:.3f}",
            f"{r.blended / r.first_pass - 1:+.1%}",
            f"{r.first_pass_ms:.0f}",
            f"{r.search_ms:.0f}",
        )
    return table
