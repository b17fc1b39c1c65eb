"""Quality against time."""

import pytest

from twopass.client import Timings
from twopass.evaluation.frontier import Point, Way, point, ways

from .test_measures import dataset, hit, result


def timed(milliseconds, *hits):
    answered = result(*hits)
    timings = Timings(**dict.fromkeys(Timings.__dataclass_fields__) | {"total_ms": milliseconds})
    return type(answered)(
        **{name: getattr(answered, name) for name in answered.__dataclass_fields__}
        | {"timings": timings}
    )


def test_first_passes_stand_alone_and_every_reranker_at_every_depth():
    found = ways([50, 10], ["a", "b"])
    assert [(w.series, w.depth) for w in found] == [
        ("lexical", 50),
        ("dense", 50),
        ("hybrid", 50),
        ("hybrid + a", 10),
        ("hybrid + a", 50),
        ("hybrid + b", 10),
        ("hybrid + b", 50),
    ]


def test_every_collection_counts_alike_and_the_order_is_that_of_the_answer():
    right, wrong = hit("a", 2, 0.1), hit("x", 1, 0.9)
    small = dataset(q={"a": 1})
    large = dataset(r={"a": 1}, s={"a": 1}, t={"a": 1})
    measured = [
        (small, {"q": timed(40.0, right, wrong)}),
        (large, {q: timed(ms, wrong) for q, ms in [("r", 1.0), ("s", 2.0), ("t", 30.0)]}),
    ]
    way = Way("dense", 2)
    assert point(way, measured) == Point(way, pytest.approx(0.5), pytest.approx(21.0))


def test_the_picture_shows_every_point(tmp_path):
    picture = pytest.importorskip("twopass.evaluation.picture", reason="needs matplotlib")
    points = [
        Point(way, 0.7 + 0.001 * way.depth, 5.0 + way.depth) for way in ways([10, 50], ["a", "b"])
    ]
    file = tmp_path / "frontier.png"
    picture.save_frontier(points, "made up", file)
    assert file.read_bytes().startswith(b"\x89PNG")
