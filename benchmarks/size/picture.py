"""The report on size as a picture; needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from twopass.benchmarks.size.report import SizeReport
from twopass.benchmarks.size.searches import WANTED_RECALL, K, KindReport, Searches, chosen

_DARK, _LIGHT, _GREY = "#08519c", "#9ecae1", "#bdbdbd"
_COLOURS = ("#08519c", "#238b45", "#d94801", "#6a51a3", "#636363")


def save_picture(report: SizeReport, file: Path) -> None:
    """Draws memory, disk, ingest, and recall against latency, as PNG.

    Raises:
        OSError: The file can't be written.
    """
    figure = Figure(figsize=(12, 8), layout="constrained")
    (size, ingest), (latency, recall) = figure.subplots(2, 2)
    _draw_size(size, report)
    _draw_ingest(ingest, report)
    _draw_latency(latency, report)
    _draw_recall(recall, report)
    figure.suptitle(
        f"{report.num_documents:,} documents of {report.dimension} dimensions\n"
        f"{report.machine.cpu}, {report.machine.num_cores} cores, shared by client and server",
        x=0.01,
        ha="left",
        fontsize="medium",
    )
    figure.savefig(file, format="png", dpi=150)


def _draw_size(axes: Axes, report: SizeReport) -> None:
    names = [kind.index_kind for kind in report.kinds]
    count = report.num_documents
    memory = [kind.memory_bytes / count for kind in report.kinds]
    index = [kind.index_bytes / count for kind in report.kinds]
    places = range(len(names))
    _bars(axes, [p + 0.2 for p in places], memory, _DARK, "memory of the server")
    _bars(axes, [p - 0.2 for p in places], index, _LIGHT, "index on disk")
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    documents = report.kinds[0].documents_bytes / count
    _finish(axes, f"Bytes a document (on disk: {documents:,.0f} more)")


def _draw_ingest(axes: Axes, report: SizeReport) -> None:
    ingest = report.ingest
    names = [*(f"{name}, alone" for name in ingest.alone), "all through gRPC"]
    rates = [*ingest.alone.values(), ingest.through_grpc]
    bars = axes.barh(names, rates, color=[_GREY] * len(ingest.alone) + [_DARK])
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    _finish(axes, "Ingest, documents a second")


def _draw_latency(axes: Axes, report: SizeReport) -> None:
    lexical = next(s for s in report.kinds[0].searches_for_words if s.setting == "lexical")
    best = {"words alone\nlexical": lexical}
    for kind in report.kinds:
        best |= _shown(kind)
    places = range(len(best))
    _bars(axes, [p - 0.2 for p in places], [s.p50_ms for s in best.values()], _DARK, "p50")
    _bars(axes, [p + 0.2 for p in places], [s.p99_ms for s in best.values()], _LIGHT, "p99")
    axes.set_yticks(list(places), list(best), fontsize="small")
    axes.invert_yaxis()
    axes.set_xscale("log")
    _finish(axes, f"Search, ms, recall@{K} at least {WANTED_RECALL}")


def _shown(kind: KindReport) -> dict[str, Searches]:
    """The chosen dense search, and the hybrid one with it, by label."""
    dense = chosen(kind.searches)
    hybrid = next(s for s in kind.searches_for_words if s.setting.startswith("hybrid"))
    return {
        f"{kind.index_kind}\n{dense.setting}, recall {dense.recall:.3f}": dense,
        f"{kind.index_kind}\nhybrid": hybrid,
    }


def _draw_recall(axes: Axes, report: SizeReport) -> None:
    for kind, colour in zip(report.kinds, _COLOURS, strict=False):
        axes.plot(
            [s.p50_ms for s in kind.searches],
            [s.recall or 0 for s in kind.searches],
            marker="o",
            color=colour,
            label=kind.index_kind,
        )
    axes.axhline(WANTED_RECALL, color=_GREY, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("p50, ms")
    _finish(axes, f"recall@{K} against latency")


def _bars(
    axes: Axes, places: Sequence[float], values: Sequence[float], colour: str, label: str
) -> None:
    bars = axes.barh(places, values, height=0.38, color=colour, label=label)
    axes.bar_label(bars, fmt="{:,.3g}" if max(values) < 100 else "{:,.0f}", padding=3)


def _finish(axes: Axes, title: str) -> None:
    has_legend = bool(axes.get_legend_handles_labels()[0])
    axes.set_title(title, loc="left", fontsize="medium", pad=22 if has_legend else 6)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.2)
    if has_legend:
        # Between title and frame: inside there is no place that no bar ever reaches.
        axes.legend(
            frameon=False,
            ncols=4,
            fontsize="small",
            loc="lower left",
            bbox_to_anchor=(-0.01, 0.98),
            borderpad=0.2,
        )
