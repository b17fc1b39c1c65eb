"""Results as tables for people: laid out for a terminal of any width, a row a line in a pipe.

Nothing is ever cut. Where a table does not fit a terminal, its heads are broken at spaces first,
then its columns of running text; then either the figures follow in blocks below each other, beside
the same names, or each record is printed as a block of its own, a field a line.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from twopass.commands.terminal.bidi import isolated
from twopass.commands.terminal.consoles import literal, output, table_columns
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.sentences import broken_lines, say

_GAP = 2
# Columns of running text are made no narrower than this; words of more columns are rare.
_MIN_TEXT = 16
# Beside its head, a field of a record gets at least this much, or a line of its own.
_MIN_VALUE = 16
_HEAD = "bold"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        head: What its cells tell, with their unit.
        is_figure: Whether its cells are figures, which end below each other.
        is_text: Whether its cells are running text, which may be broken at spaces.
    """

    head: str
    is_figure: bool = False
    is_text: bool = False


def names(*heads: str) -> list[Column]:
    """Columns of names, such as those of models: never broken within a table."""
    return [Column(head) for head in heads]


def figures(*heads: str) -> list[Column]:
    """Columns of figures."""
    return [Column(head, is_figure=True) for head in heads]


def texts(*heads: str) -> list[Column]:
    """Columns of running text."""
    return [Column(head, is_text=True) for head in heads]


@dataclass(slots=True)
class Table:
    """Rows of cells below the heads of their columns.

    Attributes:
        columns: The columns.
        title: Printed above; "" for none.
        num_names: How many leading columns name a row. On a terminal that is too narrow, the other
            columns are printed in blocks below each other, each beside these. 0: each row is
            printed as a record, a field a line.
        rows: The cells of each row.
    """

    columns: Sequence[Column]
    title: str = ""
    num_names: int = 0
    rows: list[tuple[Text, ...]] = field(default_factory=list)

    def add(self, *cells: str | Text) -> None:
        """Adds a row. A `str` is taken literally, without markup; styles come as Rich's `Text`."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells given for {len(self.columns)} columns")
        self.rows.append(tuple(_cell(cell) for cell in cells))


def print_table(*tables: Table | RichTable) -> None:
    """Prints tables on stdout, one below the other."""
    for number, table in enumerate(tables):
        if number:
            say()
        shown = _of_rich(table) if isinstance(table, RichTable) else table
        if shown.title:
            say(literal(shown.title, "bold"))
        for line in table_lines(shown, table_columns(sys.stdout)):
            output().print(line)


def print_report(report: RenderableType) -> None:
    """Prints what a benchmark reports: a group of tables and of sentences in Rich's markup."""
    parts = report.renderables if isinstance(report, Group) else [report]
    for part in parts:
        if isinstance(part, RichTable):
            print_table(part)
        elif isinstance(part, str):
            say(Text.from_markup(part))


def table_lines(table: Table, columns: int | None) -> list[Text]:
    """A table without its title as lines of at most so many columns; None for lines of any width.

    A name that is wider than the terminal has a longer line, which the terminal breaks.
    """
    every = range(len(table.columns))
    natural = [_width(table, n) for n in every]
    if columns is None:
        return _grid(table, list(every), natural, is_isolated=False)
    if _total(natural) <= columns:
        return _grid(table, list(every), natural)
    broken = [_width(table, n, is_head_whole=False) for n in every]
    if _total(broken) <= columns:
        return _grid(table, list(every), _widened(broken, natural, columns))
    if (shrunk := _with_narrow_texts(table, broken, columns)) is not None:
        return _grid(table, list(every), shrunk)
    if table.num_names and (blocks := _blocks(table, broken, columns)) is not None:
        return blocks
    return _records(table, columns)


def _cell(cell: str | Text) -> Text:
    """A cell on one line; an escape sequence within Rich's `Text` is shown as in a `str`."""
    if isinstance(cell, str):
        return Text(printable(cell))
    if (plain := printable(cell.plain)) != cell.plain:
        return Text(plain, style=cell.style)
    return cell


def _width(table: Table, column: int, *, is_head_whole: bool = True) -> int:
    head = table.columns[column].head
    in_head = [head] if is_head_whole else head.split() or [""]
    return max(map(cell_len, (*in_head, *(row[column].plain for row in table.rows))))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _widened(widths: list[int], most: list[int], columns: int) -> list[int]:
    """Gives columns with broken heads what is left, one after the other."""
    widths = list(widths)
    left = columns - _total(widths)
    for n, wanted in enumerate(most):
        added = min(left, wanted - widths[n])
        widths[n] += added
        left -= added
    return widths


def _with_narrow_texts(table: Table, widths: list[int], columns: int) -> list[int] | None:
    """Narrows columns of running text until the table fits; None where that is not enough."""
    widths = list(widths)
    texts = [n for n, column in enumerate(table.columns) if column.is_text]
    while (excess := _total(widths) - columns) > 0:
        widest = max(texts, key=lambda n: widths[n], default=None)
        if widest is None or widths[widest] <= _MIN_TEXT:
            return None
        others = [widths[n] for n in texts if n != widest]
        floor = max([_MIN_TEXT, *(width for width in others if width < widths[widest])])
        widths[widest] = max(floor, widths[widest] - excess)
    return widths


def _grid(
    table: Table, shown: Sequence[int], widths: Sequence[int], *, is_isolated: bool = True
) -> list[Text]:
    """Heads, then rows, of some columns; cells of several lines begin on the same line.

    A terminal needs right-to-left text isolated; what reads a pipe wants the text alone.
    """
    finished = isolated if is_isolated else _as_it_is
    heads = [Text(table.columns[n].head, style=_HEAD) for n in shown]
    rows = [heads] if any(head.plain for head in heads) else []
    rows += [[row[n] for n in shown] for row in table.rows]
    lines: list[Text] = []
    for is_body, row in enumerate(rows):
        cells = [
            broken_lines(cell, width, is_folded=True) if cell.cell_len > width else [cell]
            for cell, width in zip(row, widths, strict=True)
        ]
        height = max(map(len, cells))
        if not is_body:  # heads stand on their columns
            cells = [[Text()] * (height - len(cell)) + cell for cell in cells]
        lines += [
            _line(
                [finished(cell[at]) if at < len(cell) else Text() for cell in cells],
                widths,
                [table.columns[n].is_figure for n in shown],
            )
            for at in range(height)
        ]
    return lines


def _as_it_is(text: Text) -> Text:
    return text


def _line(cells: Sequence[Text], widths: Sequence[int], are_figures: Sequence[bool]) -> Text:
    line = Text()
    for cell, width, is_figure in zip(cells, widths, are_figures, strict=True):
        space = " " * max(0, width - cell.cell_len)
        line.append(space if is_figure else "")
        line.append_text(cell)
        line.append(("" if is_figure else space) + " " * _GAP)
    line.rstrip()
    return line


def _blocks(table: Table, widths: list[int], columns: int) -> list[Text] | None:
    """As many figures as fit beside the rows' names, the others below; None if not one fits."""
    leading = list(range(table.num_names))
    taken = _total([widths[n] for n in leading])
    blocks: list[list[int]] = []
    for n in range(table.num_names, len(widths)):
        if taken + _GAP + widths[n] > columns:
            return None
        if blocks and _total([widths[m] for m in (*leading, *blocks[-1], n)]) <= columns:
            blocks[-1].append(n)
        else:
            blocks.append([n])
    lines: list[Text] = []
    for block in blocks:
        lines += [Text()] if lines else []
        shown = [*leading, *block]
        lines += _grid(table, shown, [widths[n] for n in shown])
    return lines


def _records(table: Table, columns: int) -> list[Text]:
    """Each row as lines of a head and a cell; empty cells are left out."""
    beside = max(cell_len(column.head) for column in table.columns) + _GAP
    lines: list[Text] = []
    for row in table.rows:
        lines += [Text()] if lines else []
        for column, cell in zip(table.columns, row, strict=True):
            if not cell.plain:
                continue
            head = Text(column.head, style=_HEAD)
            if columns - beside >= _MIN_VALUE:
                values = broken_lines(cell, columns - beside)
                space = " " * (beside - head.cell_len)
                lines.append(Text.assemble(head, space, isolated(values[0])))
                lines += [Text(" " * beside) + isolated(value) for value in values[1:]]
            else:
                values = broken_lines(cell, max(1, columns - _GAP))
                lines += [head, *(Text(" " * _GAP) + isolated(value) for value in values)]
    return lines


def _of_rich(table: RichTable) -> Table:
    """Reads a table that a benchmark made, whose cells may hold Rich's markup."""
    shown = Table(
        [
            Column(str(column.header), is_figure=column.justify == "right")
            for column in table.columns
        ],
        title=str(table.title or ""),
        num_names=1,
    )
    cells = [[_text(cell) for cell in column.cells] for column in table.columns]
    for number, row in enumerate(table.rows):
        style = row.style or ""
        shown.add(*(Text(style=style).append_text(column[number]) for column in cells))
    return shown


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text.from_markup(str(cell))
