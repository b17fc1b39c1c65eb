from pathlib import Path

import pytest

from twopass.commands.transfer.unfinished import unfinished


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "docs.jsonl"
    with unfinished(output) as beside:
        beside.write_text("one\n")
        assert not output.exists()
        beside.write_text("one\ntwo\n")
    assert [path.name for path in tmp_path.iterdir()] == ["docs.jsonl"]
    assert output.read_text() == "one\ntwo\n"


def test_of_one_that_does_not_become_whole_nothing_is_left(tmp_path: Path) -> None:
    def interrupted() -> None:
        with unfinished(tmp_path / "docs.jsonl") as beside:
            beside.write_text("one\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())
