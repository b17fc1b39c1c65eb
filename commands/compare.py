"""`twopass compare`: whether two ways of searching differ by more than chance explains."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from twopass.commands.evaluation_tables import differences_table
from twopass.commands.options import AsJson, print_json
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.tables import print_table
from twopass.evaluation.comparison import (
    ComparisonError,
    differences,
    qualities,
    read_evaluations,
)


def compare(
    file: Annotated[Path, typer.Argument(help="What `twopass eval --json` printed.")],
    other: Annotated[
        Path | None, typer.Argument(help="Another such file, for --after; unset: the same.")
    ] = None,
    before: Annotated[
        str,
        typer.Option(
            help="A way of searching: hybrid is the first pass alone, hybrid@50 both passes at "
            "depth 50, hybrid@logits the reranker's own order; dense and lexical work the same way."
        ),
    ] = "dense",
    after: Annotated[str, typer.Option(help="The way to compare it with.")] = "hybrid@50",
    as_json: AsJson = False,
) -> None:
    """Compare nDCG@10 of two ways of searching, query by query.

    p is the probability that chance alone makes them differ so much on the same queries (paired
    randomisation test, two-sided). The mean gives each test collection the same weight.
    """
    try:
        rows = differences(
            qualities(read_evaluations(file), before),
            qualities(read_evaluations(other or file), after),
        )
    except ComparisonError as error:
        exit_with(error)
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
    else:
        print_table(differences_table(rows, before, after, "nDCG@10"))
