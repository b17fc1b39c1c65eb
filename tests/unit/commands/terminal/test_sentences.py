"""Sentences on terminals and in pipes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from twopass.commands.terminal.sentences import broken_lines, say, say_beside


def _broken(text, columns, *, is_folded=False):
    return [line.plain for line in broken_lines(Text(text), columns, is_folded=is_folded)]


def test_sentences_are_broken_at_spaces():
    assert _broken("the quick brown fox", 10) == ["the quick", "brown fox"]


def test_a_long_word_stays_whole_unless_it_stands_in_a_column():
    path = "/srv/collections/documents"
    assert _broken(f"see {path} first", 12) == ["see", path, "first"]
    assert _broken(f"see {path}", 12, is_folded=True) == [
        "see",
        "/srv/collect",
        "ions/documen",
        "ts",
    ]


def test_scripts_without_spaces_are_broken_between_characters():
    assert _broken("日本語の検索", 5) == ["日本", "語の", "検索"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200), st.integers(2, 60))
def test_folded_lines_fit_and_keep_every_character(text, columns):
    text = " ".join(text.split())
    lines = _broken(text, columns, is_folded=True)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= columns for line in lines)


@pytest.mark.parametrize(("tell", "stream"), [(say, "out"), (say_beside, "err")])
def test_values_in_sentences_are_literal_and_a_pipe_gets_them_on_one_line(capsys, tell, stream):
    tell("collection ", "[all]\x1b[2J" + " word" * 60)
    shown = getattr(capsys.readouterr(), stream)
    assert shown == "collection [all]\\x1b[2J" + " word" * 60 + "\n"
