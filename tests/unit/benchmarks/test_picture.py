"""The picture is a PNG, whatever was measured."""

import struct

import pytest

from .made import answered, failed, report, summary

picture = pytest.importorskip("twopass.benchmarks.picture", reason="needs matplotlib")

ANSWERED = [answered(100 + i / 20, 0.1 + i / 1000) for i in range(150)]
CLOSED = tuple(summary(level, ANSWERED) for level in (1, 2, 4))
OPEN = (summary(3.3, ANSWERED), summary(9.9, [*ANSWERED, failed(105, "UNAVAILABLE")]))
NOTHING = (summary(5, [failed(105, "UNAVAILABLE")]),)


def size(file) -> tuple[int, int]:
    """Width and height in pixels, of the header that makes a file a PNG."""
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


@pytest.mark.parametrize(
    "measured",
    [report(CLOSED, OPEN), report(CLOSED), report((), OPEN), report(NOTHING, NOTHING)],
    ids=["both", "closed", "open", "nothing answered"],
)
def test_a_report_becomes_a_png(tmp_path, measured):
    picture.save_picture(measured, tmp_path / "load.png")
    width, height = size(tmp_path / "load.png")
    assert width > height > 500


def test_two_loops_stand_side_by_side(tmp_path):
    picture.save_picture(report(CLOSED, OPEN), tmp_path / "both.png")
    picture.save_picture(report(CLOSED), tmp_path / "one.png")
    assert size(tmp_path / "both.png")[0] > size(tmp_path / "one.png")[0]


def test_throughput_has_room_for_the_loop_that_is_faster(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(picture.Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    slow, fast = summary(1, ANSWERED[:10]), summary(9.9, ANSWERED)
    picture.save_picture(report((slow,), (fast,)), tmp_path / "load.png")
    (below,) = {axes.get_ylim() for axes in figures[0].axes if axes.get_xlabel()}
    assert below[0] == 0
    assert below[1] >= fast.requests_per_second


def test_a_file_that_can_not_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="missing"):
        picture.save_picture(report(CLOSED), tmp_path / "missing" / "load.png")
