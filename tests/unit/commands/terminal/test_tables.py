"""Tables on terminals of any width, and in pipes."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.tables import (
    Table,
    figures,
    names,
    print_report,
    print_table,
    table_lines,
    texts,
)


def _lines(table, columns):
    return [line.plain for line in table_lines(table, columns)]


def _table(num_names=0):
    table = Table([*names("model"), *figures("dimension", "most tokens")], num_names=num_names)
    table.add("all-MiniLM-L6-v2", "384", "256")
    table.add("twopass-minilm-l3", "", "512")
    return table


def _words(lines):
    return re.findall(r"\S+", " ".join(lines))


def test_a_row_in_a_pipe_is_a_line_however_wide():
    table = Table(figures(*(f"column {n}" for n in range(80))))
    table.add(*(f"figure {n}" for n in range(80)))
    head, row = _lines(table, None)
    assert all(f"column {n}" in head and f"figure {n}" in row for n in range(80))


@pytest.mark.parametrize("columns", ["60", None])
def test_a_pipe_has_no_width_whatever_the_environment_says(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns) if columns else monkeypatch.delenv("COLUMNS", False)
    table = Table(texts(*(f"column {n}" for n in range(12))))
    table.add(*(f"cell {n} of a row" for n in range(12)))
    print_table(table)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    assert all(f"cell {n} of a row" in shown[1] for n in range(12))


def test_figures_end_and_names_begin_below_each_other():
    assert _lines(_table(), 80) == [
        "model              dimension  most tokens",
        "all-MiniLM-L6-v2         384          256",
        "twopass-minilm-l3                     512",
    ]


def test_heads_are_broken_before_columns_are_moved():
    assert _lines(_table(), 38) == [
        "                                  most",
        "model              dimension    tokens",
        "all-MiniLM-L6-v2         384       256",
        "twopass-minilm-l3                  512",
    ]


def test_a_record_too_wide_for_the_terminal_is_a_block_of_fields():
    assert _lines(_table(), 32) == [
        "model        all-MiniLM-L6-v2",
        "dimension    384",
        "most tokens  256",
        "",
        "model        twopass-minilm-l3",
        "most tokens  512",
    ]


def test_figures_too_many_for_the_terminal_follow_beside_the_same_names():
    assert _lines(_table(num_names=1), 30) == [
        "model              dimension",
        "all-MiniLM-L6-v2         384",
        "twopass-minilm-l3",
        "",
        "                     most",
        "model              tokens",
        "all-MiniLM-L6-v2      256",
        "twopass-minilm-l3     512",
    ]


def test_running_text_is_broken_at_spaces_within_its_column():
    table = Table([*figures("line"), *texts("passage")])
    table.add("1", "sorted() takes a key and returns a new list")
    assert _lines(table, 34) == [
        "line  passage",
        "   1  sorted() takes a key and",
        "      returns a new list",
    ]


_HEBREW = "\u05e9\u05dc\u05d5\u05dd"
_CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30)


@given(
    st.lists(st.tuples(_CELL, _CELL, _CELL, _CELL), min_size=1, max_size=4),
    st.integers(20, 120),
    st.integers(0, 2),
)
def test_no_character_is_lost_at_any_width(rows, columns, num_names):
    table = Table([*names("id", "kind"), *figures("score"), *texts("passage")], num_names=num_names)
    for row in rows:
        table.add(*row)
    shown = "".join(_lines(table, columns))
    letters = re.sub(r"[\s\u2068\u2069]", "", shown)
    for row in rows:
        for cell in map(printable, row):
            assert all(letters.count(c) >= cell.count(c) for c in cell if not c.isspace())


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.text("ab日本 ", max_size=60)), max_size=5),
    st.integers(40, 120),
)
def test_lines_fit_the_terminal_where_no_name_is_longer(rows, columns):
    table = Table([*figures("line", "score", "logit"), *texts("passage")])
    for number, text in rows:
        table.add(f"{number}", f"{number:,}", f"{number:.3f}", " ".join(text.split()))
    assert all(cell_len(line) <= columns for line in _lines(table, columns))


@pytest.mark.parametrize("title", ["日本語の検索", "naïve café", "👩‍💻 emoji", "e\u0301le\u0300ve"])
def test_wide_characters_and_accents_do_not_move_the_next_column(title):
    table = Table([*names("title"), *figures("score")])
    table.add(title, "0.5")
    table.add("plain", "0.25")
    _, first, second = _lines(table, 80)
    assert cell_len(first) == cell_len(second)


def test_right_to_left_text_is_isolated_so_that_figures_keep_their_side():
    table = Table([*names("title"), *figures("score")])
    table.add(_HEBREW, "0.5")
    table.add("peace", "0.25")
    _, first, second = _lines(table, 80)
    assert first.startswith(f"\u2068{_HEBREW}\u2069")
    assert "\u2068" not in second
    assert not any("\u2068" in line for line in _lines(table, None))
    assert cell_len(first) == cell_len(second)


def test_cells_are_text_without_markup_or_control_characters():
    table = Table(names("id"), title="[bold]x\x1b[0m")
    table.add("[red]docs*[/red] \x1b[31m\x9b\x07\u202e")
    assert _lines(table, 80)[1] == r"[red]docs*[/red] \x1b[31m\x9b\x07\u202e"


def test_a_style_stays_with_its_text():
    table = Table(texts("passage"))
    table.add(Text.assemble("a ", ("bold", "bold"), " word"))
    line = table_lines(table, 80)[1]
    assert [(line.plain[span.start : span.end], span.style) for span in line.spans] == [
        ("bold", "bold")
    ]


def test_a_benchmarks_tables_keep_their_figures_and_lose_no_bracket(capsys):
    table = RichTable(title="[docs*]")
    table.add_column("stage")
    table.add_column("ms", justify="right")
    table.add_row("embed", "[bold]1.50[/]")
    print_report(Group("[italic]closed \\[loop][/]", table))
    assert capsys.readouterr().out.splitlines() == [
        "closed [loop]",
        "[docs*]",
        "stage    ms",
        "embed  1.50",
    ]


@pytest.mark.parametrize(
    ("environment", "is_coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1"}, False)],
)
def test_a_pipe_is_coloured_only_where_that_is_forced(monkeypatch, environment, is_coloured):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stdout", pipe)
    table = Table(names("model"))
    table.add(Text("default", style="red"))
    print_table(table)
    assert ("\x1b[" in pipe.getvalue()) == is_coloured
