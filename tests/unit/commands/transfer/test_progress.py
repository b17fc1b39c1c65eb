"""Progress is told in documents, on one short line."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.commands.sources.reading import Format, Reading
from twopass.commands.sources.source_file import SourceFile
from twopass.commands.transfer import progress
from twopass.commands.transfer.expected import Expected
from twopass.commands.transfer.progress import Meter, duration, progress_line


def file(kind, num_bytes, *, is_stream=False):
    return SourceFile(
        path=Path("x"),
        name="x",
        format=kind,
        num_bytes=num_bytes,
        modified_ns=0,
        is_named=True,
        is_stream=is_stream,
        reading=Reading(),
        read=lambda _: iter(()),
    )


def test_files_of_one_document_are_counted_exactly():
    expected = Expected([file(Format.TEXT, 10), file(Format.HTML, 999)])
    assert (expected.total, expected.is_estimate) == (2, False)


@given(st.integers(70_000, 10**9), st.integers(100, 10_000))
def test_records_are_estimated_by_the_bytes_of_those_read(num_bytes, record_bytes):
    lines, text = file(Format.JSONL, num_bytes), file(Format.TEXT, 5)
    expected = Expected([text, lines])
    assert expected.total is None
    num_read = 0
    while num_read * record_bytes < min(70_000, num_bytes):
        num_read += 1
        expected.read(lines, min(num_bytes, num_read * record_bytes))
    true = 1 + num_bytes / record_bytes
    # Rounded up to three digits; the last record may be shorter than the others.
    assert true * 0.98 - 1 <= expected.total <= true * 1.02 + 2
    assert expected.is_estimate


def test_nothing_is_said_of_a_stream_before_its_end():
    stream = file(Format.JSONL, 0, is_stream=True)
    expected = Expected([stream])
    expected.read(stream, 10**6)
    assert expected.total is None


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ((7, None, False, 0.0, 0), "7 documents"),
        ((0, 12, False, 0.0, 0), "0 of 12"),
        ((12_345, 20_000, True, 1_234.5, 0), "12,345 of about 20,000, 1,234/s, 6 s left"),
        ((1, 100_000, True, 2.5, 3), "1 of about 100,000, 2.5/s, 3 left out, 11 h left"),
        ((12, 12, False, 3.0, 0), "12 of 12, 3.0/s"),
    ],
)
def test_a_line_tells_how_far_how_fast_and_how_long(told, line):
    num_done, total, is_estimate, rate, num_left_out = told
    made = progress_line(
        num_done, total, is_estimate=is_estimate, rate=rate, num_left_out=num_left_out
    )
    assert made == line
    assert len(made) < 60


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5_399, "90 min"), (7_300, "2 h")],
)
def test_durations_are_as_a_person_says_them(seconds, said):
    assert duration(seconds) == said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stderr", "is_drawn", "forced"),
    [(io.StringIO, True, ""), (io.StringIO, True, "1"), (Terminal, False, "")],
    ids=["a pipe", "a pipe and FORCE_COLOR", "a terminal that another command prints to"],
)
def test_without_a_bar_there_is_a_line_every_30_seconds_and_nothing_else(
    monkeypatch, stderr, is_drawn, forced
):
    monkeypatch.setenv("FORCE_COLOR", forced)
    now = 0.0
    written = stderr()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    meter = Meter("indexing", is_drawn=is_drawn)
    with meter.running():
        for second in range(100):
            now = float(second)
            meter.show(second * 10, 1_000)
    assert written.getvalue().splitlines() == [
        "indexing: 300 of 1,000, 10/s, 70 s left",
        "indexing: 600 of 1,000, 10/s, 40 s left",
        "indexing: 900 of 1,000, 10/s, 10 s left",
    ]


def test_the_bar_moves_until_the_first_documents_are_done_and_tells_how_many_there_are(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    meter = Meter("indexing")
    with meter.running():
        meter.show(3, 12, num_before=3, num_left_out=2)
        (task,) = meter._bar.tasks
        assert (task.total, task.description) == (None, "3 of 12, 2 left out")
        meter.show(4, 12, num_before=3, num_left_out=2)
        assert (task.total, task.completed) == (12, 4)
