"""The frontier of quality and milliseconds of one collection, as SVG without any library."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from twopass.evaluation.tuning.run import Tuned
from twopass.evaluation.tuning.settings import Settings

_WIDTH, _HEIGHT = 860, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 76, 420
_TEXT, _FAINT, _GRID = "#1f2328", "#8c959f", "#d8dee4"
_LINE, _CHOSEN, _DEFAULTS = "#0072b2", "#d55e00", "#1f2328"


def frontier_svg(tuned: Tuned) -> str:
    """Draws nDCG@10 against milliseconds a search: every cost, the frontier, defaults, choice.

    Args:
        tuned: What a run found.
    """
    axes = Axes.of(tuned)
    taken = tuned.tried.recommended or tuned.plan.defaults
    frontier = axes.frontier(tuned)
    title = (
        f"{tuned.plan.collection.name}: nDCG@10 against milliseconds of a search, "
        f"{tuned.plan.num_queries:,} judged queries"
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="{_TEXT}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="26" font-size="16" font-weight="bold">{escape(title)}</text>',
        *_legend(),
        *_grid(axes),
    ]
    for way, ndcg in tuned.qualities.items():
        x, y = axes.place(tuned.milliseconds[way], ndcg)
        lines.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{_FAINT}" fill-opacity="0.6">'
            f"<title>{escape(_told(tuned, way))}</title></circle>"
        )
    places = [axes.place(tuned.milliseconds[way], tuned.qualities[way]) for way in frontier]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    lines.append(f'<polyline points="{path}" fill="none" stroke="{_LINE}" stroke-width="1.5"/>')
    for way, (x, y) in zip(frontier, places, strict=True):
        fill = _LINE if way in tuned.times else "white"
        lines.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" stroke="{_LINE}" '
            f'stroke-width="1.5"><title>{escape(_told(tuned, way))}</title></circle>'
        )
    marks = {tuned.plan.defaults: ("defaults", _DEFAULTS)}
    marks[taken] = ("chosen", _CHOSEN) if taken != tuned.plan.defaults else marks[taken]
    if taken == tuned.plan.defaults:
        marks[taken] = ("defaults, kept", _CHOSEN)
    for way, (word, colour) in marks.items():
        x, y = axes.place(tuned.milliseconds[way], tuned.qualities[way])
        anchor, beside = ("end", -12) if x > _WIDTH * 0.7 else ("start", 12)
        lines += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{colour}" '
            f'stroke-width="2.5"><title>{escape(_told(tuned, way))}</title></circle>',
            f'<text x="{x + beside:.1f}" y="{y + 18:.1f}" text-anchor="{anchor}" fill="{colour}" '
            f'font-weight="bold">{word}</text>',
        ]
    return "\n".join((*lines, "</svg>")) + "\n"


class Axes:
    """Where a point of so many milliseconds and so much quality is in a picture."""

    def __init__(self, times: Sequence[float], qualities: Sequence[float]) -> None:
        """Makes axes that hold all points: time is logarithmic."""
        self.least_ms, self.most_ms = min(times) / 1.15, max(times) * 1.15
        low, high = min(qualities), max(qualities)
        room = max(0.02, 0.06 * (high - low))
        self.least, self.most = low - room, high + room

    @classmethod
    def of(cls, tuned: Tuned) -> "Axes":
        """Axes for all ways that a run shows."""
        return cls(list(tuned.milliseconds.values()), list(tuned.qualities.values()))

    def share(self, milliseconds: float, ndcg: float) -> tuple[float, float]:
        """How far to the right and how far up a point is, both from 0 to 1."""
        extent = math.log(self.most_ms / self.least_ms)
        right = math.log(milliseconds / self.least_ms) / extent
        return right, (ndcg - self.least) / (self.most - self.least)

    def place(self, milliseconds: float, ndcg: float) -> tuple[float, float]:
        """Pixels from the left and from above."""
        right, up = self.share(milliseconds, ndcg)
        x = _LEFT + right * (_WIDTH - _LEFT - _RIGHT)
        return x, _BOTTOM - up * (_BOTTOM - _TOP)

    def time_ticks(self) -> list[float]:
        """Milliseconds at 1, 2 and 5 of each power of ten."""
        powers = range(math.floor(math.log10(self.least_ms)), math.ceil(math.log10(self.most_ms)))
        ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        return [tick for tick in ticks if self.least_ms <= tick <= self.most_ms]

    def quality_ticks(self) -> list[float]:
        """Some four round values of nDCG."""
        extent = self.most - self.least
        step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if extent / s <= 6), 0.2)
        first = math.ceil(self.least / step)
        return [n * step for n in range(first, math.floor(self.most / step) + 1)]

    def frontier(self, tuned: Tuned) -> list[Settings]:
        """Of the ways that a run shows, those that nothing quicker beats, by rising time."""
        found: list[Settings] = []
        for way in sorted(
            tuned.qualities, key=lambda way: (tuned.milliseconds[way], -tuned.qualities[way])
        ):
            if not found or tuned.qualities[way] > tuned.qualities[found[-1]]:
                found.append(way)
        return found


def _legend() -> Iterator[str]:
    y = 50
    yield f'<circle cx="{_LEFT + 5}" cy="{y - 4}" r="2.5" fill="{_FAINT}"/>'
    yield f'<text x="{_LEFT + 16}" y="{y}">a way of searching</text>'
    yield f'<circle cx="{_LEFT + 156}" cy="{y - 4}" r="4.5" fill="{_LINE}"/>'
    yield f'<text x="{_LEFT + 168}" y="{y}">nothing quicker is as good</text>'
    yield (
        f'<circle cx="{_LEFT + 356}" cy="{y - 4}" r="4.5" fill="white" stroke="{_LINE}" '
        'stroke-width="1.5"/>'
    )
    yield f'<text x="{_LEFT + 368}" y="{y}">its time told by pairs, not measured</text>'


def _grid(axes: Axes) -> Iterator[str]:
    for tick in axes.time_ticks():
        x, _ = axes.place(tick, axes.least)
        yield f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_BOTTOM}" stroke="{_GRID}"/>'
        yield f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{tick:g}</text>'
    for value in axes.quality_ticks():
        _, y = axes.place(axes.least_ms, value)
        yield (
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" '
            f'stroke="{_GRID}"/>'
        )
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield (
        f'<text x="{middle:.0f}" y="{_BOTTOM + 44}" text-anchor="middle">'
        "milliseconds of a search in the server, median (logarithmic)</text>"
    )
    yield (
        f'<text transform="translate(18 {(_TOP + _BOTTOM) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">nDCG@10</text>'
    )


def _told(tuned: Tuned, way: Settings) -> str:
    about = "" if way in tuned.times else "about "
    return f"{way.told()}: {tuned.qualities[way]:.3f}, {about}{tuned.milliseconds[way]:.0f} ms"
