"""From files of pairs to mined groups, through a server of its own."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from twopass.client import Client
from twopass.server.local import LocalServer
from twopass.training.mined import Mined, joined
from twopass.training.mining import Advance, Group, MiningOptions, mine
from twopass.training.pairs import (
    Source,
    TrainingError,
    is_development,
    read_source,
    share_of,
)

# Half of them choose, half judge: with fewer, not even a great difference would be significant.
_FEWEST_KEPT = 10

Report = Callable[[str, int], Advance]
"""Announces a piece of work by its name and size; returns what to call as it advances."""


def mine_files(
    files: Iterable[Path],
    shares: Mapping[str, float],
    *,
    encoder: str,
    seed: int,
    options: MiningOptions,
    report: Report,
) -> Mined:
    """Mines negatives for the pairs of several files, each among its own passages.

    Args:
        files: JSON lines of pairs.
        shares: Share of the pairs to take, by pattern of the file's name.
        encoder: Of the first pass.
        seed: Of the choice of pairs.
        options: How many negatives are looked for.
        report: Told of each piece of work.

    Raises:
        TrainingError: A file can't be read.
        LocalServerError: The server did not start.
        TwopassError: It did not do what was asked.
    """
    sources = [share_of(read_source(file), shares, seed) for file in files]
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalServer(Path(folder), flags=("--encoder", encoder)) as server,
        Client(server.target) as client,
    ):
        return joined([_mined(client, source, options, report) for source in sources])


def split(groups: Sequence[Group], one_in: int, at_most: int) -> tuple[list[Group], list[Group]]:
    """Groups to train on, and those to measure on: `at_most` of them, of all sources alike.

    Raises:
        TrainingError: There are too few to train on some, choose by some and judge by others.
    """
    training = [g for g in groups if not is_development(g.query, one_in)]
    kept = [g for g in groups if is_development(g.query, one_in)]
    if not training or len(kept) < _FEWEST_KEPT:
        raise TrainingError(
            f"pairs: of {len(groups):,} questions with mined negatives one in {one_in} is kept to "
            f"measure on, which makes {len(kept)}; at least {_FEWEST_KEPT} are needed, so give "
            f"about {2 * _FEWEST_KEPT * one_in:,} pairs or more"
        )
    every = max(len(kept) // at_most, 1)
    return training, kept[::every][:at_most]


def _mined(
    client: Client, source: Source, options: MiningOptions, report: Report
) -> tuple[list[str], list[Group]]:
    passages = source.passages()
    indexing = report(f"{source.name}: indexing", len(passages))
    done = 0

    def indexed(number: int) -> None:
        nonlocal done
        indexing(number - done)
        done = number

    searching = report(f"{source.name}: searching", len(source.pairs))
    return passages, mine(client, source, passages, options, indexed, searching)
