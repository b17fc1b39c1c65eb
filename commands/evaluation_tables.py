"""Measured quality as tables for people."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from twopass.evaluation.measures import Evaluation

_MEAN = "mean"


def evaluation_table(results: Sequence[Evaluation]) -> Table:
    """nDCG@10 of every mode: on each test collection, then the mean over them."""
    depths = sorted({depth for result in results for depth in result.reranked})
    table = Table(title="nDCG@10", header_style="bold")
    table.add_column("set")
    table.add_column("first pass by")
    for column in (
        *("documents", "queries", "first pass"),
        *(f"both, depth {depth}" for depth in depths),
        *(("reranker alone",) if depths else ()),
        "ms",
    ):
        table.add_column(column, justify="right")
    for dataset in dict.fromkeys(result.dataset for result in results):
        of_dataset = [result for result in results if result.dataset == dataset]
        for result in of_dataset:
            table.add_row(
                dataset,
                result.mode,
                f"{result.num_documents:,}",
                f"{result.num_queries:,}",
                *_digits(_qualities(result)),
                f"{result.search_ms:.0f}",
                end_section=result is of_dataset[-1],
            )
    for mode in dict.fromkeys(result.mode for result in results):
        of_mode = [_qualities(result) for result in results if result.mode == mode]
        means = map(statistics.fmean, zip(*of_mode, strict=True))
        table.add_row(_MEAN, mode, "", "", *_digits(means), "")
    return table


def fusion_table(results: Mapping[str, Mapping[str, float]]) -> Table:
    """nDCG@10 of every fusion on every test collection, and the mean; the best is bold."""
    table = Table(title="nDCG@10 of hybrid retrieval, first pass alone", header_style="bold")
    table.add_column("fusion")
    for column in (*results, _MEAN):
        table.add_column(column, justify="right")
    rows = {
        fusion: [*(result[fusion] for result in results.values())]
        for fusion in next(iter(results.values()))
    }
    whole = {fusion: [*values, statistics.fmean(values)] for fusion, values in rows.items()}
    best = [max(column) for column in zip(*whole.values(), strict=True)]
    for fusion, values in whole.items():
        cells = zip(_digits(values), values, best, strict=True)
        table.add_row(
            fusion, *(f"[bold]{text}[/]" if value == top else text for text, value, top in cells)
        )
    return table


def _qualities(result: Evaluation) -> list[float]:
    alone = [] if result.reranker is None else [result.reranker]
    return [result.first_pass, *(result.reranked[d] for d in sorted(result.reranked)), *alone]


def _digits(values: Iterable[float]) -> list[str]:
    return [f"{value:.3f}" for value in values]
