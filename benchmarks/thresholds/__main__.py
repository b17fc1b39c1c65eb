"""`python -m twopass.benchmarks.thresholds FOLDER...`: whether thresholds mean something."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.thresholds.engines import Decisions, decisions
from twopass.benchmarks.thresholds.sets import SetFigures, capped, measured
from twopass.client import Client
from twopass.evaluation.calibration.picture import save_picture
from twopass.evaluation.calibration.reliability import Estimate
from twopass.evaluation.calibration.report import Wanted
from twopass.evaluation.calibration.thresholds import Reached, Threshold
from twopass.evaluation.datasets import DatasetError, load_dataset
from twopass.server.config import ServerConfig
from twopass.server.local import LocalServer

_THIRDS = ("shortest third", "middle third", "longest third")


def main(
    folders: Annotated[list[Path], typer.Argument(help="Test collections in BEIR's form.")],
    precision: Annotated[float, typer.Option(min=0, max=1, help="The precision wanted.")] = 0.9,
    queries: Annotated[int, typer.Option(min=1, help="Most queries of either half.")] = 100,
    k: Annotated[int, typer.Option("-k", min=1, max=2048, help="Candidates of a query.")] = 20,
    pairs: Annotated[
        int, typer.Option(min=1, help="Most pairs of all sets that every engine scores.")
    ] = 1_000,
    reranker: Annotated[str, typer.Option(help="The reranker.")] = ServerConfig().reranker,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the reliability curves into this file; unset: none.")
    ] = None,
) -> None:
    """Fits and chooses on one half of each set's queries, and tells of the other.

    Candidates are found by words, so that nothing is embedded; the reranker reads all of them.
    """
    console = Console(width=150)
    wanted = Wanted(precision=precision)
    try:
        sets = [capped(load_dataset(folder), queries) for folder in folders]
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error

    def tell(what: str) -> None:
        Console(stderr=True).print(what, style="dim")

    flags = ("--reranker", reranker, "--max-query-bytes", "65536")
    with LocalServer(None, flags=flags) as server, Client(server.target) as client:
        figures = [measured(client, dataset, wanted, k, tell) for dataset in sets]
    if picture is not None:
        reports = [(each.name, each.report) for each in figures if each.report is not None]
        save_picture(reports, f"{reranker}: what scores say and what happened", picture)
    for line in this_machine().lines():
        console.print(line)
    console.print(_calibration(figures))
    console.print(_precision(figures, precision))
    console.print(_answerable(figures, precision))
    console.print(_lengths(figures, precision))
    console.print(_engines(_decided(figures, reranker, pairs, tell), len(figures)))
    for each in figures:
        if each.report is None:
            console.print(f"{each.name}: {each.too_few}")


def _calibration(figures: Sequence[SetFigures]) -> Table:
    table = _table("Scores on the half that nothing was fitted on", "set", "hits not judged")
    for head in ("hits", "error as it is", "95 %", "error fitted", "95 %", "Brier", "fitted"):
        table.add_column(head, justify="right")
    for each in figures:
        if each.report is not None:
            before, after = each.report.before, each.report.after
            table.add_row(
                each.name,
                each.unjudged.value,
                f"{each.report.num_judged:,}",
                f"{before.error.value:.3f}",
                _range(before.error),
                f"{after.error.value:.3f}",
                _range(after.error),
                f"{before.brier.value:.3f}",
                f"{after.brier.value:.3f}",
            )
    return table


def _precision(figures: Sequence[SetFigures], precision: float) -> Table:
    table = _table(f"Precision of answers reached for a wanted {precision:g}", "set")
    for head in ("score", "precision", "95 %", "accepted", "recall", "surer", "95 %", "accepted"):
        table.add_column(head, justify="right")
    for each in figures:
        reached = each.report.reached if each.report else None
        row = [each.name, *["-"] * 8]
        if each.threshold is not None and reached is not None:
            row[1:6] = [
                f"{each.threshold.score:.4f}",
                f"{reached.precision.value:.3f}",
                _range(reached.precision),
                f"{reached.num_accepted} of {reached.num_pairs}",
                f"{reached.recall.value:.3f}",
            ]
        if each.sure is not None:
            row[6:] = [
                f"{each.sure.precision.value:.3f}",
                _range(each.sure.precision),
                f"{each.sure.num_accepted} of {each.sure.num_pairs}",
            ]
        table.add_row(*row)
    return table


def _answerable(figures: Sequence[SetFigures], precision: float) -> Table:
    title = (
        f"Answerable: each query with its relevant documents there, and taken out; {precision:g}"
    )
    table = _table(title, "set")
    for head in (
        *("queries", "AUROC", "95 %", "where found", "95 %"),
        *("score", "precision", "95 %", "said, there", "said, out"),
    ):
        table.add_column(head, justify="right")
    for each in figures:
        found = each.answerable
        table.add_row(
            each.name,
            str(found.num_queries),
            f"{found.auroc.value:.3f}",
            _range(found.auroc),
            f"{found.auroc_where_found.value:.3f}",
            _range(found.auroc_where_found),
            *_at(found.threshold, found.reached),
            _share(found.said_where_there),
            _share(found.said_where_taken_out),
        )
    return table


def _at(threshold: Threshold | None, reached: Reached | None) -> tuple[str, str, str]:
    if threshold is None or reached is None:
        return "-", "-", "-"
    precision = reached.precision
    return f"{threshold.score:.4f}", f"{precision.value:.3f}", _range(precision)


def _lengths(figures: Sequence[SetFigures], precision: float) -> Table:
    """The precision reached by how long the accepted hit is, by thirds within each set."""
    table = _table(f"Precision for a wanted {precision:g}, by the length of the hit", "hits")
    for head in ("characters, median", "accepted", "precision", "95 %"):
        table.add_column(head, justify="right")
    thirds: list[list[tuple[int, bool]]] = [[], [], []]
    for each in figures:
        ordered = sorted(each.lengths)
        for number, places in enumerate(np.array_split(np.arange(len(ordered)), 3)):
            thirds[number] += [ordered[place] for place in places]
    for name, part in zip(_THIRDS, thirds, strict=True):
        if part:
            share = float(np.mean([relevant for _, relevant in part]))
            half = 1.96 * math.sqrt(share * (1 - share) / len(part))
            table.add_row(
                name,
                f"{np.median([length for length, _ in part]):,.0f}",
                str(len(part)),
                f"{share:.3f}",
                f"{share - half:.3f} to {min(1, share + half):.3f}",
            )
    return table


def _decided(
    figures: Sequence[SetFigures], reranker: str, most: int, tell: Callable[[str], None]
) -> list[Decisions]:
    """Every engine's decisions on pairs of every set that has a threshold."""
    with_one = [each for each in figures if each.threshold is not None]
    share = most // max(1, len(with_one))
    rng = np.random.default_rng(0)
    pairs: list[tuple[str, str]] = []
    thresholds: list[float] = []
    for each in with_one:
        drawn = rng.permutation(len(each.pairs))[:share]
        pairs += [each.pairs[i] for i in drawn]
        assert each.threshold is not None
        thresholds += [each.threshold.score] * len(drawn)
    if not pairs:
        return []
    return decisions(reranker, pairs, np.array(thresholds, np.float32), tell)


def _engines(told: Sequence[Decisions], num_sets: int) -> Table:
    table = _table(f"Decisions by the same thresholds, pairs of {num_sets} sets", "computed by")
    for head in ("pairs", "decided otherwise", "share", "median score apart", "largest"):
        table.add_column(head, justify="right")
    for each in told:
        table.add_row(
            each.way,
            f"{each.num_pairs:,}",
            str(each.num_changed),
            f"{each.num_changed / each.num_pairs:.2%}",
            f"{each.typical:.1e}",
            f"{each.largest:.1e}",
        )
    return table


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _range(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


if __name__ == "__main__":
    typer.run(main)
