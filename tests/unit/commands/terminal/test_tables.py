"""Tables where no terminal bounds them."""

from rich.table import Table

from twopass.commands.terminal.tables import print_table


def test_a_table_in_a_pipe_is_not_cut(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table(*(f"column {n}" for n in range(12)), box=None)
    table.add_row(*(f"figure {n}" for n in range(12)))
    print_table(table)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    assert all(f"figure {n}" in shown[1] for n in range(12))
