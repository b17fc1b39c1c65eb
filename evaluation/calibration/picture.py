"""A calibration as a picture: what scores say against what happened; needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twopass.evaluation.calibration.reliability import Bin, Reliability
from twopass.evaluation.calibration.report import CalibrationReport

_BEFORE, _AFTER, _GREY = "#d94801", "#08519c", "#737373"
_PANEL_INCHES = 3.4
_SAID, _HAPPENED = "probability that the score says", "share that is relevant"


def save_picture(reports: Sequence[tuple[str, CalibrationReport]], title: str, file: Path) -> None:
    """Draws a reliability curve for each report, scores of today and fitted ones.

    A vertical line marks the threshold of a report that has one.

    The form is what the file's name ends in: .svg, .png or .pdf.

    Args:
        reports: Names and reports, a panel each.
        title: Above all of them.
        file: Where to write it.

    Raises:
        OSError: The file can't be written.
        ValueError: The name ends in no known form.
    """
    columns = min(4, len(reports))
    rows = -(-len(reports) // columns)
    size = (_PANEL_INCHES * columns, _PANEL_INCHES * rows + 0.6)
    figure = Figure(figsize=(max(size[0], 4.8), size[1]), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    for axes in panels[len(reports) :]:
        axes.set_visible(False)
    for axes, (name, report) in zip(panels, reports, strict=False):
        _draw(axes, report)
        if len(reports) > 1:
            axes.set_title(name, loc="left", fontsize="medium")
    if len(reports) > 1:
        figure.supxlabel(_SAID, fontsize="medium")
        figure.supylabel(_HAPPENED, fontsize="medium")
    else:
        panels[0].set(xlabel=_SAID, ylabel=_HAPPENED)
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _draw(axes: Axes, report: CalibrationReport) -> None:
    axes.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1)
    _curve(axes, report.before.bins, _BEFORE, _told("as it is", report.before))
    _curve(axes, report.after.bins, _AFTER, _told("fitted", report.after))
    if report.threshold is not None:
        at = report.threshold.score
        axes.axvline(at, color=_GREY, linewidth=1, linestyle=":", label=f"threshold {at:.3f}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", frameon=False, fontsize="small")


def _curve(axes: Axes, bins: Sequence[Bin], colour: str, label: str) -> None:
    largest = max(each.num_pairs for each in bins)
    axes.plot([x.said for x in bins], [x.happened for x in bins], "-", color=colour, label=label)
    axes.scatter(
        [x.said for x in bins],
        [x.happened for x in bins],
        s=[6 + 60 * x.num_pairs / largest for x in bins],
        color=colour,
        alpha=0.7,
        linewidths=0,
    )


def _told(name: str, measured: Reliability) -> str:
    return f"{name}: error {measured.error.value:.3f}"
