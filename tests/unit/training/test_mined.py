"""Mined groups on disk."""

import pytest

from twopass.training.mined import Mined, joined, read_mined, write_mined
from twopass.training.mining import Group
from twopass.training.pairs import TrainingError


def test_what_was_written_is_read(tmp_path):
    passages = ["a\u2028b", "c\nd", ""]
    mined = Mined(passages, [Group("q", "s", (2, 0), (0.5, -0.25)), Group("r", "t", (1,), (1.0,))])
    write_mined(mined, tmp_path / "new")
    assert read_mined(tmp_path / "new") == mined


def test_what_an_interrupted_run_left_is_mined_anew(tmp_path):
    (tmp_path / "passages.jsonl").write_text('"a"\n')
    (tmp_path / "groups.partial").write_text("{")
    assert read_mined(tmp_path) is None


def test_a_damaged_file_is_named_with_the_way_out(tmp_path):
    write_mined(Mined(["a"], [Group("q", "s", (0,), (1.0,))]), tmp_path)
    (tmp_path / "groups.jsonl").write_text('{"query": "q"}\n')
    with pytest.raises(TrainingError, match="remove it to mine anew"):
        read_mined(tmp_path)


def test_sources_keep_their_passages_when_joined():
    one = (["a", "b"], [Group("q", "s", (1, 0), (0.9, 0.1))])
    other = (["c", "d"], [Group("r", "t", (0, 1), (0.8, 0.2))])
    mined = joined([one, other])
    assert [[mined.passages[p] for p in g.passages] for g in mined.groups] == [
        ["b", "a"],
        ["c", "d"],
    ]
