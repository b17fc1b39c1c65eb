"""The picture of designs under load."""

import pytest

pytest.importorskip("matplotlib")

from twopass.benchmarks.scale.designs import Figures
from twopass.benchmarks.scale.picture import drawn, save_picture
from twopass.benchmarks.scale.planning import Design
from twopass.benchmarks.scale.simulation.estimates import Estimate


def under_load(rate: float, p99: float, half_width: float) -> Figures:
    sure = Estimate(rate, 0.0)
    failed = Estimate(0.0, 0.0)
    return Figures(
        Design.ONE_NODE, rate, sure, Estimate(p99 / 2, 0.0), Estimate(p99, half_width), failed
    )


FIGURES = {"one node": [under_load(20, 50.0, 5.0), under_load(450, 4_000.0, 9_000.0)]}


def test_latencies_fill_their_scale_however_wide_their_intervals_are():
    _, below = drawn(FIGURES, "two loads").axes
    bottom, top = below.get_ylim()
    assert below.get_yscale() == "log"
    assert 50 / 2 < bottom < 50
    assert 4_000 < top < 2 * 4_000


def test_the_same_figures_make_the_same_file(tmp_path):
    for name in ("one.svg", "two.svg"):
        save_picture(FIGURES, "two loads", tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
