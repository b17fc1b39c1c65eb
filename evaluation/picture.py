"""The frontier of quality and time as a picture; needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from twopass.evaluation.frontier import Point

_GREY = "#737373"
_COLOURS = ("#08519c", "#d94801", "#238b45", "#6a51a3")


def save_frontier(points: Sequence[Point], title: str, file: Path) -> None:
    """Draws nDCG@10 against milliseconds a query, a line for each reranker, as PNG.

    Raises:
        OSError: The file can't be written.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    for one in points:
        if one.way.reranker is None:
            axes.plot(one.milliseconds, one.ndcg, "o", color=_GREY)
            _label(axes, one, one.way.mode, _GREY)
    series = dict.fromkeys(one.way.series for one in points if one.way.reranker)
    for name, colour in zip(series, _COLOURS * len(series), strict=False):
        line = [one for one in points if one.way.series == name]
        axes.plot(
            [one.milliseconds for one in line],
            [one.ndcg for one in line],
            "o-",
            color=colour,
            label=name,
        )
        for one in line:
            _label(axes, one, str(one.way.depth), colour)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("milliseconds a query, median (logarithmic); numbers are rerank depths")
    axes.set_ylabel("nDCG@10, mean over sets")
    axes.margins(0.1)
    axes.grid(alpha=0.3)
    if series:
        axes.legend(loc="lower right", frameon=False)
    axes.set_title(title, loc="left", fontsize="medium")
    figure.savefig(file, format="png", dpi=150)


def _label(axes: Axes, one: Point, text: str, colour: str) -> None:
    axes.annotate(
        text,
        (one.milliseconds, one.ndcg),
        xytext=(5, 5),
        textcoords="offset points",
        color=colour,
        fontsize="small",
    )
