"""The quality gate of lower precision.

`python -m twopass.evaluation.precision FOLDER...` runs both passes over test collections in float32
and in int8, and fails where nDCG@10 differs by more than is allowed.
"""

import dataclasses
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from twopass.engines.base.engine import Precision
from twopass.engines.errors import EngineError
from twopass.evaluation.datasets import Dataset, DatasetError, load_dataset
from twopass.evaluation.precision.comparison import Comparison, PassQuality, compare
from twopass.evaluation.precision.models import Advance, Models
from twopass.evaluation.precision.runs import Run, find, read
from twopass.evaluation.progress import progress_bars


def main(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Test collections in BEIR form: corpus, queries, qrels.tsv."),
    ],
    depth: Annotated[int, typer.Option(min=2, help="Candidates found, and reranked.")] = 30,
    queries: Annotated[
        int | None,
        typer.Option(min=1, help="Use only this many queries of each; unset: all."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="The precision to compare with f32.")
    ] = Precision.INT8,
    encoder: Annotated[str, typer.Option(help="Encoder of the first pass.")] = "all-MiniLM-L6-v2",
    reranker: Annotated[str, typer.Option(help="Reranker to measure.")] = "twopass-minilm-l6",
    threads: Annotated[int, typer.Option(help="Threads a pass; 0: one for each CPU.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Compare a lower precision of the CPU engine with f32; ends with 1 where the gate fails.

    nDCG@10 of the dense first pass, and of the order by logits of the candidates that f32 found,
    may differ by 0.003 on collections of 500 queries and more, by 0.01 on smaller ones.
    """
    try:
        with ExitStack() as stack:
            exact, lower = (
                stack.enter_context(Models(encoder, reranker, precision=each, num_threads=threads))
                for each in (Precision.F32, precision)
            )
            results = [
                _compared(exact, lower, load_dataset(folder, queries), depth) for folder in folders
            ]
    except (DatasetError, EngineError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps([_plain(result) for result in results], indent=2))
    else:
        Console().print(_table(results, precision, depth))
    if not all(result.holds for result in results):
        raise typer.Exit(1)


def _compared(exact: Models, lower: Models, dataset: Dataset, depth: int) -> Comparison:
    with progress_bars() as progress:

        def advance(step: str, total: int) -> Advance:
            task = progress.add_task(f"{dataset.name}: {step}", total=total)
            return lambda done: progress.advance(task, done)

        num_texts = len(dataset.documents) + len(dataset.queries)
        found = find(exact, dataset, depth, advance("first pass, f32", num_texts))
        lower_found = find(lower, dataset, depth, advance("first pass, lower", num_texts))
        num_pairs = sum(len(numbers) for numbers in found.values())
        return compare(
            dataset,
            Run(found, read(exact, dataset, found, advance("second pass, f32", num_pairs))),
            Run(lower_found, read(lower, dataset, found, advance("second pass, lower", num_pairs))),
        )


def _plain(result: Comparison) -> dict[str, object]:
    return dataclasses.asdict(result) | {"holds": result.holds}


def _table(results: Sequence[Comparison], precision: Precision, depth: int) -> Table:
    table = Table(
        title=f"nDCG@10 in f32, and what {precision} changes; {depth} candidates",
        header_style="bold",
        box=None,
        collapse_padding=True,
    )
    table.add_column("set", no_wrap=True)
    for column in ("queries", "first pass", "", "second pass", "", "Kendall tau", "logit at most"):
        table.add_column(column, justify="right")
    table.add_column("gate")
    for r in results:
        table.add_row(
            r.dataset,
            f"{r.num_queries:,}",
            *_cells(r.first_pass),
            *_cells(r.reranked),
            f"{r.kendall_tau:.3f}",
            f"{r.largest_logit_difference:.2f}",
            "holds" if r.holds else "[bold red]fails[/]",
        )
    return table


def _cells(quality: PassQuality) -> tuple[str, str]:
    return f"{quality.exact:.4f}", f"{quality.difference:+.4f}"


if __name__ == "__main__":
    typer.run(main)
