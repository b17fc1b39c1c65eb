"""A latency report as a picture; needs matplotlib."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from twopass.benchmarks.latency import Report
from twopass.benchmarks.report import described
from twopass.benchmarks.summary import Summary

# One hue from light to dark, since percentiles are an order; a few, since more would overlap.
_LATENCIES = {"p50": "#9ecae1", "p90": "#4292c6", "p99": "#08306b"}
_MAX_COLOUR, _ANSWERED_COLOUR, _FAILED_COLOUR = "#bdbdbd", "#238b45", "#cb181d"
_PANEL_INCHES, _HEIGHT_INCHES = 6.0, 6.8


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    x_label: str
    summaries: Sequence[Summary]


def save_picture(report: Report, file: Path) -> None:
    """Draws latency and throughput against load, side by side for each kind of loop, as PNG.

    Raises:
        OSError: The file can't be written.
    """
    panels = [
        panel
        for panel in (
            _Panel("Closed loop", "requests under way", report.closed_loop),
            _Panel("Open loop: Poisson arrivals", "requests asked a second", report.open_loop),
        )
        if panel.summaries
    ]
    width = _PANEL_INCHES * max(1.3, len(panels))
    figure = Figure(figsize=(width, _HEIGHT_INCHES), layout="constrained")
    grid = figure.subplots(
        2,
        len(panels),
        squeeze=False,
        sharex="col",
        sharey="row",
        gridspec_kw={"height_ratios": (3, 1.4)},
    )
    for (above, below), panel in zip(grid.T, panels, strict=True):
        above.set_title(panel.title, loc="left")
        below.set_xlabel(panel.x_label)
        _draw_latencies(above, panel.summaries)
        _draw_throughput(below, panel.summaries)
    grid[0, 0].set_ylabel("latency, ms (logarithmic)")
    grid[1, 0].set_ylim(bottom=0)  # once all is drawn: it ends the scaling of the whole row
    grid[1, 0].set_ylabel(f"requests/s of {report.shape.num_candidates} pairs")
    heading = "\n".join((report.shape.description, described(report.models)))
    figure.suptitle(_wrapped(heading, width), fontsize="medium", x=0.01, ha="left")
    figure.savefig(file, format="png", dpi=150)


def _draw_latencies(axes: Axes, summaries: Sequence[Summary]) -> None:
    levels = [s.level for s in summaries]
    _draw(axes, levels, [s.max_ms for s in summaries], _MAX_COLOUR, "max")
    for name, colour in reversed(_LATENCIES.items()):
        _draw(axes, levels, [s.latency_ms[name] for s in summaries], colour, name)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    _finish(axes)


def _draw_throughput(axes: Axes, summaries: Sequence[Summary]) -> None:
    levels = [s.level for s in summaries]
    answered = [s.requests_per_second for s in summaries]
    _draw(axes, levels, answered, _ANSWERED_COLOUR, "answered")
    if any(s.num_errors for s in summaries):
        failed = [s.num_errors / s.seconds for s in summaries]
        _draw(axes, levels, failed, _FAILED_COLOUR, "failed")
    axes.xaxis.set_major_locator(MaxNLocator(integer=all(level % 1 == 0 for level in levels)))
    axes.set_xlim(left=0)
    _finish(axes)


def _draw(
    axes: Axes, levels: Sequence[float], values: Sequence[float | None], colour: str, label: str
) -> None:
    """Draws a line, with gaps where there are no values; nothing where there are none at all."""
    if any(value is not None for value in values):
        drawn = [math.nan if value is None else value for value in values]
        axes.plot(levels, drawn, marker="o", color=colour, label=label, clip_on=False)


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_lines():
        axes.legend(frameon=False)


def _wrapped(text: str, inches: float) -> str:
    """Breaks lines that are wider than the picture, at about eleven characters an inch."""
    return "\n".join(textwrap.fill(line, int(11 * inches)) for line in text.splitlines())
