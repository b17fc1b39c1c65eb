"""Throughput and 99th percentile against load, a line a design, as SVG; needs matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from twopass.benchmarks.scale.designs import Figures

# Okabe and Ito's colours, which the colour-blind tell apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
_MARKERS = ("o", "s", "^", "D", "v")
# Ids of the file follow from it, so that the same figures make the same file.
_SALT = "twopass"


def save_picture(figures: Mapping[str, Sequence[Figures]], heading: str, file: Path) -> None:
    """Draws answered searches a second above, the 99th percentile below.

    Raises:
        OSError: The file can't be written.
    """
    with rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "path", "font.size": 10}):
        figure = drawn(figures, heading)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def drawn(figures: Mapping[str, Sequence[Figures]], heading: str) -> Figure:
    """The picture: what is answered above, the 99th percentile below on a logarithmic scale."""
    figure = Figure(figsize=(9, 7.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for (design, rows), colour, marker in zip(figures.items(), _COLOURS, _MARKERS, strict=False):
        rates = [row.rate for row in rows]
        style = {"color": colour, "marker": marker, "label": design, "markersize": 4}
        above.plot(rates, [row.answered.mean for row in rows], **style)
        below.errorbar(
            rates,
            [row.p99_ms.mean for row in rows],
            [row.p99_ms.half_width for row in rows],
            capsize=2,
            **style,
        )
    _finish(above, "searches answered a second")
    above.set_ylim(bottom=0)
    _finish(below, "99th percentile, ms (logarithmic)")
    above.legend(frameon=False, loc="lower right")
    below.set_xlabel("searches asked a second")
    below.set_yscale("log")
    # By the means: an interval that reaches below 0 would stretch a logarithmic scale without end.
    means = [row.p99_ms.mean for rows in figures.values() for row in rows]
    below.set_ylim(min(means) / 1.5, max(means) * 1.5)
    below.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    below.yaxis.set_minor_formatter(NullFormatter())
    figure.suptitle(heading, fontsize="medium", x=0.01, ha="left")
    return figure


def _finish(axes: Axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
