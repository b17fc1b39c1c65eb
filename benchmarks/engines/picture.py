"""A report as a picture; needs matplotlib."""

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from twopass.benchmarks.engines.report import in_three_digits
from twopass.benchmarks.engines.results import PACKED, Measured, Report

_OURS_COLOUR, _PEER_COLOUR, _SPREAD_COLOUR = "#08519c", "#bdbdbd", "#525252"
_PANEL_INCHES, _BAR_INCHES, _MARGIN_INCHES, _TITLE_CHARS = 7.5, 0.24, 1.1, 78


def save_picture(report: Report, file: Path) -> None:
    """Draws a panel of bars for each workload, the fastest on top, as PNG.

    Raises:
        OSError: The file can't be written.
    """
    ours = {e.contender.label for e in report.engines if e.contender.is_ours}
    heights = [_MARGIN_INCHES + _BAR_INCHES * len(m.figures) for m in report.measured]
    canvas = Canvas(figsize=(_PANEL_INCHES, sum(heights) + 0.8), layout="constrained")
    panels = canvas.subplots(
        len(report.measured), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axes, measured in zip(panels[:, 0], report.measured, strict=True):
        _draw(axes, measured, ours, _title(measured, report))
    threads = ", ".join(map(str, report.thread_counts))
    heading = f"{report.machine.cpu}, {threads} threads"
    if report.machine.commit:
        heading += f"; commit {report.machine.commit}"
    canvas.suptitle(
        f"{heading}\nmedians of the rounds, lines from least to most; ours in blue",
        fontsize="small",
        x=0.01,
        ha="left",
    )
    canvas.savefig(file, format="png", dpi=150)


def _title(measured: Measured, report: Report) -> str:
    model = f"{measured.model}: " if len(report.models) > 1 else ""
    threads = f", {measured.num_threads} threads" if len(report.thread_counts) > 1 else ""
    return textwrap.fill(f"{model}{measured.title}{threads}", _TITLE_CHARS)


def _draw(axes: Axes, measured: Measured, ours: set[str], title: str) -> None:
    # matplotlib's bars go upwards, so the fastest comes last.
    figures = sorted(measured.figures, key=lambda f: f.median, reverse=measured.is_latency)
    names = [f.label if f.order == PACKED else f"{f.label}, {f.order}" for f in figures]
    medians = [f.median for f in figures]
    below = [f.median - min(f.rounds) for f in figures]
    above = [max(f.rounds) - f.median for f in figures]
    positions = range(len(figures))
    bars = axes.barh(
        positions,
        medians,
        xerr=(below, above),
        color=[_OURS_COLOUR if f.label in ours else _PEER_COLOUR for f in figures],
        error_kw={"ecolor": _SPREAD_COLOUR, "elinewidth": 1},
    )
    axes.bar_label(bars, list(map(in_three_digits, medians)), padding=3, fontsize="x-small")
    axes.set_yticks(positions, names, fontsize="x-small")
    axes.set_xlim(left=0)
    direction = "less is better" if measured.is_latency else "more is better"
    axes.set_xlabel(f"{measured.unit} ({direction})", fontsize="x-small")
    axes.tick_params(axis="x", labelsize="x-small")
    axes.set_title(title, loc="left", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
