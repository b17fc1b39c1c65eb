"""Turns files of pairs into mined groups, through its own server."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from twopass.client import Client
from twopass.evaluation.runs import room_for
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

# Half of them choose, half judge: with fewer, not even a large difference would be significant.
_FEWEST_KEPT = 10

Report = Callable[[str, int], Advance]
"""Announces a piece of work by its name and size; returns the function that reports progress."""


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
        encoder: Encoder of the first pass.
        seed: Seed of the choice of pairs.
        options: How widely negatives are searched for.
        report: Called for each piece of work.

    Raises:
        TrainingError: A file can't be read.
        LocalServerError: The server did not start.
        TwopassError: A call to the server failed.
    """
    sources = [share_of(read_source(file), shares, seed) for file in files]
    questions = (pair.query for source in sources for pair in source.pairs)
    with (
        LocalServer(None, flags=("--encoder", encoder, *room_for(questions))) as server,
        Client(server.target) as client,
    ):
        return joined([_mined(client, source, options, report) for source in sources])


def split(groups: Sequence[Group], one_in: int, at_most: int) -> tuple[list[Group], list[Group]]:
    """Splits groups into those to train on and at most `at_most` to measure on, of all sources.

    Raises:
        TrainingError: There are too few groups to train, choose and judge on separate ones.
    """
    training = [g for g in groups if not is_development(g.query, one_in)]
    kept = [g for g in groups if is_development(g.query, one_in)]
    if not training or len(kept) < _FEWEST_KEPT:
        raise TrainingError(
            f"pairs: of {len(groups):,} questions with mined negatives one in {one_in} is kept to "
            f"measure on, which makes {len(kept)}; at least {_FEWEST_KEPT} are needed, so give "
            f"about {2 * _FEWEST_KEPT * one_in:,} pairs or more"
        )
    count = min(len(kept), at_most)
    return training, [kept[number * len(kept) // count] for number in range(count)]


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
