"""README's chart, drawn from measured reports: what the second pass is worth, and how fast it is.

`python -m twopass.benchmarks.chart` draws docs/pictures/figures-light.svg and figures-dark.svg from
the reports in benchmarks/results; a test holds the pictures to the reports.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
RESULTS, PICTURES = _ROOT / "benchmarks/results", _ROOT / "docs/pictures"

_WIDTH, _BAR, _STEP, _TOP = 960, 22, 38, 78
# Pixels from the left of a panel to its bars, and the length of the longest.
_LABELS, _LONGEST = 190, 160
# Peers of the picture, as the report labels them; the report has more of each.
_PEERS = (
    "OpenVINO int8",
    "sentence-transformers bf16",
    "ONNX Runtime int8",
    "CTranslate2 int8",
)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one picture."""

    text: str
    faint: str
    bar: str
    ours: str


PALETTES = {
    "light": Palette(text="#1f2328", faint="#57606a", bar="#afb8c1", ours="#0f766e"),
    "dark": Palette(text="#e6edf3", faint="#9198a1", bar="#484f58", ours="#2dd4bf"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a panel: what it is of, how long, and what stands at its end."""

    label: str
    value: float
    text: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one kind, from `least` on, below a heading."""

    title: str
    subtitle: str
    bars: tuple[Bar, ...]
    least: float


def quality(points: list[dict[str, Any]]) -> Panel:
    """What each way of searching finds, and how long it takes, from a report of the frontier."""

    def bar(label: str, mode: str, reranker: str | None, depth: int) -> Bar:
        way = {"mode": mode, "depth": depth, "reranker": reranker}
        (point,) = (each for each in points if each["way"] == way)
        text = f"{point['ndcg']:.3f} in {point['milliseconds']:.0f} ms"
        return Bar(label, point["ndcg"], text, reranker is not None)

    return Panel(
        "Finds more",
        "nDCG@10, mean of five test collections, bars from 0.7; time",
        (
            bar("words", "lexical", None, 100),
            bar("meaning", "dense", None, 100),
            bar("both: the first pass", "hybrid", None, 100),
            bar("both passes", "hybrid", "twopass-minilm-l3", 50),
        ),
        least=0.7,
    )


def speed(report: dict[str, Any]) -> Panel:
    """Pairs a second of the second pass beside its peers, from the report of the engines."""
    (uniform,) = (each for each in report["measured"] if each["name"] == "uniform")
    medians = {each["label"]: each["median"] for each in uniform["figures"]}
    return Panel(
        "Reads faster",
        f"pairs of 128 tokens a second, {report['machine']['num_cores']} cores, one run",
        tuple(
            Bar(label, medians[name], f"{medians[name]:.0f}", name.startswith("twopass"))
            for name, label in (
                ("twopass cpu int8", "twopass int8"),
                *((peer, peer) for peer in _PEERS),
            )
        ),
        least=0,
    )


def draw(panels: tuple[Panel, ...], palette: Palette) -> str:
    """The picture, as SVG without a background."""
    height = _TOP + _STEP * max(len(panel.bars) for panel in panels)
    body = "".join(
        _panel(panel, index * _WIDTH // len(panels), palette) for index, panel in enumerate(panels)
    )
    titles = "; ".join(
        f"{panel.title}: " + ", ".join(f"{bar.label} {bar.text}" for bar in panel.bars)
        for panel in panels
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="14" fill="{palette.text}">\n'
        f"<title>{titles}</title>\n{body}</svg>\n"
    )


def _panel(panel: Panel, left: int, palette: Palette) -> str:
    lines = [
        f'<text x="{left}" y="24" font-size="18" font-weight="bold">{panel.title}</text>',
        f'<text x="{left}" y="46" font-size="13" fill="{palette.faint}">{panel.subtitle}</text>',
    ]
    longest = max(bar.value for bar in panel.bars) - panel.least
    for index, bar in enumerate(panel.bars):
        y, x = _TOP + index * _STEP - 12, left + _LABELS
        middle = y + _BAR - 6
        length = round((bar.value - panel.least) / longest * _LONGEST)
        colour = palette.ours if bar.is_ours else palette.bar
        weight = ' font-weight="bold"' if bar.is_ours else ""
        lines += [
            f'<text x="{x - 10}" y="{middle}" text-anchor="end"{weight}>{bar.label}</text>',
            f'<rect x="{x}" y="{y}" width="{length}" height="{_BAR}" rx="3" fill="{colour}"/>',
            f'<text x="{x + length + 8}" y="{middle}"{weight}>{bar.text}</text>',
        ]
    return "\n".join(lines) + "\n"


def pictures() -> dict[str, str]:
    """The picture in each palette, by the name of its file."""
    points = json.loads((RESULTS / "frontier.json").read_text("utf-8"))
    report = json.loads((RESULTS / "engines.json").read_text("utf-8"))
    panels = (quality(points), speed(report))
    return {f"figures-{name}.svg": draw(panels, palette) for name, palette in PALETTES.items()}


if __name__ == "__main__":
    for file, picture in pictures().items():
        (PICTURES / file).write_text(picture, "utf-8")
