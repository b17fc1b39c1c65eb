"""Tables as Markdown: what a command prints stands in the documentation as it is."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["markdown", "short"]

_NUMBER = re.compile(r"n/a|[-+]?[\d,.]+(?: ± (?:[\d,.]+|inf))?%?")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns after the first are numbers where every cell of them is one."""
    rows = list(rows)
    lines = [_line(head)]
    lines.append(
        _line(
            [
                "---",
                *(
                    "---:" if _are_numbers(rows, column) else "---"
                    for column in range(1, len(head))
                ),
            ]
        )
    )
    lines += map(_line, rows)
    return "\n".join(lines)


def _are_numbers(rows: Sequence[Sequence[str]], column: int) -> bool:
    return all(_NUMBER.fullmatch(row[column]) for row in rows)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def short(number: float) -> str:
    """A number of documents: 1 million, 10 billion."""
    for size, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= size:
            return f"{number / size:,.3g} {name}"
    return f"{number:,.0f}"
