"""Measured quality as tables for people."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from rich.text import Text

from twopass.client import RetrieveMode
from twopass.commands.terminal.tables import Table, figures, names
from twopass.evaluation.comparison import Difference
from twopass.evaluation.gates import Check
from twopass.evaluation.measures import Evaluation, Quality, mean_quality
from twopass.evaluation.significance import LEVEL

_MEAN = "mean"


class Measure(StrEnum):
    """What a table shows of a `Quality`."""

    NDCG = "ndcg"
    MRR = "mrr"
    RECALL = "recall"
    AVERAGE_PRECISION = "average_precision"


_TITLES = {
    Measure.NDCG: "nDCG@10",
    Measure.MRR: "RR@10",
    Measure.RECALL: "recall of all candidates",
    Measure.AVERAGE_PRECISION: "average precision over all candidates",
}


def evaluation_table(results: Sequence[Evaluation], measure: Measure) -> Table:
    """One measure of every mode: on each test collection, then the mean over them.

    ▲ and ▼ mark an nDCG@10 significantly above or below that of the dense first pass on the same
    collection. Queries that were cut are counted beside all of them.
    """
    depths = sorted({depth for result in results for depth in result.reranked})
    measured = figures(
        *("queries", "first pass"),
        *(f"depth {depth}" for depth in depths),
        *(("logits alone",) if depths else ()),
        "ms",
    )
    title = _title(results, measure)
    table = Table([*names("set", "first pass by"), *measured], title=title, num_names=2)
    for dataset in dict.fromkeys(result.dataset for result in results):
        of_dataset = [result for result in results if result.dataset == dataset]
        qualities = {result.mode: _qualities(result) for result in of_dataset}
        for result in of_dataset:
            table.add(
                dataset if result is of_dataset[0] else "",
                result.mode,
                _queries(result),
                *_cells(qualities, result.mode, measure),
                f"{result.search_ms:.0f}",
            )
    means = {
        mode: _means([result for result in results if result.mode == mode])
        for mode in dict.fromkeys(result.mode for result in results)
    }
    for mode in means:
        table.add(_MEAN, mode, "", *_cells(means, mode, measure), "")
    return table


def settings_table(results: Mapping[str, Mapping[str, float]], setting: str, title: str) -> Table:
    """Quality with every value of a setting on every test collection; the best is bold.

    Args:
        results: For each test collection, quality by value of the setting.
        setting: Name of the setting.
        title: Title of the table.
    """
    table = Table([*names(setting), *figures(*results, _MEAN)], title=title, num_names=1)
    rows = {
        value: [*(result[value] for result in results.values())]
        for value in next(iter(results.values()))
    }
    whole = {value: [*qualities, statistics.fmean(qualities)] for value, qualities in rows.items()}
    best = [max(column) for column in zip(*whole.values(), strict=True)]
    for value, qualities in whole.items():
        cells = zip(_digits(qualities), qualities, best, strict=True)
        table.add(
            value,
            *(Text(text, style="bold" if quality == top else "") for text, quality, top in cells),
        )
    return table


def differences_table(rows: Sequence[Difference], before: str, after: str, title: str) -> Table:
    """nDCG@10 of two ways of searching, and whether more than chance explains the difference.

    Args:
        rows: The differences, one a line.
        before: Head of the first way's column.
        after: Head of the second way's column.
        title: Title of the table.
    """
    measured = figures("queries", before, after, "difference", "relative", "p")
    table = Table([*names("set"), *measured], title=title, num_names=1)
    for row in rows:
        change = row.after - row.before
        table.add(
            row.dataset,
            f"{row.num_queries:,}",
            f"{row.before:.3f}",
            f"{row.after:.3f}",
            f"{change:+.3f}",
            f"{change / row.before:+.1%}" if row.before else "",
            "<0.0001" if row.p_value < 0.0001 else f"{row.p_value:.4f}",
        )
    return table


def checks_table(checks: Sequence[Check]) -> Table:
    """What a gate looked at, a line each: ▲ and ▼ mark a change that is more than chance."""
    measured = figures("value", "limit", "baseline", "change", "p")
    table = Table([*names("set", "way", "measure"), *measured, *names("")], num_names=3)
    for check in checks:
        digits = 1 if check.measure == "ms" else 4
        change = check.change
        before, moved, p_value = "", "", ""
        if change is not None:
            difference = change.after - change.before
            arrow = ("▲" if difference > 0 else "▼") if change.is_significant else "≈"
            before, moved = f"{change.before:.4f}", f"{arrow} {difference:+.4f}"
            p_value = "<0.0001" if change.p_value < 0.0001 else f"{change.p_value:.4f}"
        table.add(
            check.dataset,
            check.way,
            check.measure,
            f"{check.value:.{digits}f}",
            "" if check.limit is None else f"{check.limit:g}",
            before,
            moved,
            p_value,
            "passed" if check.has_passed else "FAILED",
        )
    return table


def _title(results: Sequence[Evaluation], measure: Measure) -> str:
    blend = next((result.blend for result in results if result.reranked), None)
    return _TITLES[measure] + ("" if blend is None else f"; blend {blend:g}")


def _queries(result: Evaluation) -> str:
    cut = result.num_queries_cut
    return f"{result.num_queries:,}" + (f" ({cut:,} cut)" if cut else "")


def _cells(
    by_mode: Mapping[RetrieveMode, Sequence[Quality]], mode: RetrieveMode, measure: Measure
) -> list[str]:
    """A mode's qualities, marked where they differ from the dense first pass."""
    dense = by_mode["dense"][0] if "dense" in by_mode else None

    def marked(quality: Quality) -> str:
        text = f"{getattr(quality, measure):.3f}"
        if dense is None or quality.p_value(dense) >= LEVEL:
            return text + " "
        return text + ("▲" if quality.ndcg > dense.ndcg else "▼")

    return [marked(quality) for quality in by_mode[mode]]


def _means(results: Sequence[Evaluation]) -> list[Quality]:
    """The mean over test collections of each column."""
    columns = zip(*(_qualities(result) for result in results), strict=True)
    names = [result.dataset for result in results]
    return [mean_quality(dict(zip(names, column, strict=True))) for column in columns]


def _qualities(result: Evaluation) -> list[Quality]:
    alone = [] if result.reranker is None else [result.reranker]
    return [result.first_pass, *(result.reranked[d] for d in sorted(result.reranked)), *alone]


def _digits(values: Iterable[float]) -> list[str]:
    return [f"{value:.3f}" for value in values]
