"""How far a run has come: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.progress import BarColumn

from twopass.commands.terminal.consoles import is_terminal
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.progress import plain_column, redrawn_row

_SECONDS_BETWEEN_LINES = 30.0
# Rates are told when there has been some time to measure.
_MIN_SECONDS = 1.0


class Meter:
    """Tells on stderr how many documents are done, how fast, and how long the rest will take.

    Without a terminal it prints a line every 30 seconds, so nothing for a run that is shorter.

    Attributes:
        rate: Documents a second, as last told; 0 where it is not known.
    """

    def __init__(self, doing: str, *, is_drawn: bool = True) -> None:
        """Prepares to tell.

        Args:
            doing: What is done to documents: "indexing".
            is_drawn: Whether a terminal gets a bar; otherwise it gets lines, as a pipe.
        """
        self._doing = doing
        self._is_drawn = is_drawn and is_terminal(sys.stderr)
        self._bar = redrawn_row(
            BarColumn(None), plain_column("{task.description}"), is_terminal_wide=True
        )
        self._task = self._bar.add_task(doing, total=None)
        self._began = self._told = time.monotonic()
        self.rate = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Shows the bar for as long as the block lasts."""
        with self._bar if self._is_drawn else nullcontext():
            yield

    def show(
        self,
        num_done: int,
        total: int | None,
        *,
        is_estimate: bool = False,
        num_before: int = 0,
        num_left_out: int = 0,
    ) -> None:
        """Tells how far it has come.

        Args:
            num_done: Documents that are done.
            total: How many there are; None where that is not known.
            is_estimate: Whether there may be more or fewer.
            num_before: How many of those that are done were so at the beginning.
            num_left_out: Records and files that were left out.
        """
        now = time.monotonic()
        seconds = now - self._began
        self.rate = (num_done - num_before) / seconds if seconds >= _MIN_SECONDS else 0.0
        told = progress_line(
            num_done, total, is_estimate=is_estimate, rate=self.rate, num_left_out=num_left_out
        )
        if self._is_drawn:
            # A bar without a total moves: until the first are done, nothing else does.
            known = total if num_done > num_before else None
            self._bar.update(self._task, completed=num_done, total=known, description=told)
        elif now - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = now
            self.say(f"{self._doing}: {told}")

    def say(self, line: str) -> None:
        """Prints a line, above the bar if there is one."""
        self._bar.console.print(
            printable(line), markup=False, highlight=False, emoji=False, soft_wrap=True
        )


def progress_line(
    num_done: int, total: int | None, *, is_estimate: bool, rate: float, num_left_out: int
) -> str:
    """How far it has come, in words; `rate` is in documents a second, 0 where it is not known."""
    parts = [f"{num_done:,} documents"]
    if total is not None:
        about = "about " if is_estimate else ""
        parts = [f"{num_done:,} of {about}{total:,}"]
    if rate:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
    if num_left_out:
        parts.append(f"{num_left_out:,} left out")
    if rate and total is not None and total > num_done:
        parts.append(f"{duration((total - num_done) / rate)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A duration as a person would say it: "40 s", "12 min", "3 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"
