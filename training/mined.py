"""Mined groups on disk, so that several trainings share one mining."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from twopass.training.mining import Group
from twopass.training.pairs import TrainingError

_PASSAGES = "passages.jsonl"
_GROUPS = "groups.jsonl"


@dataclass(frozen=True, slots=True)
class Mined:
    """Groups of all sources, over one list of passages.

    Attributes:
        passages: All passages; groups refer to them by number.
        groups: Groups of all sources, source by source.
    """

    passages: Sequence[str]
    groups: Sequence[Group]


def joined(parts: Iterable[tuple[list[str], list[Group]]]) -> Mined:
    """Joins the passages and groups of several sources; numbers are shifted accordingly."""
    passages: list[str] = []
    groups: list[Group] = []
    for some, of_source in parts:
        first = len(passages)
        passages += some
        groups += [
            Group(g.query, g.source, tuple(first + p for p in g.passages), g.similarity)
            for g in of_source
        ]
    return Mined(passages, groups)


def write_mined(mined: Mined, folder: Path) -> None:
    """Writes `passages.jsonl`, then `groups.jsonl`, whose presence says that both are whole."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / _PASSAGES, mined.passages)
    _write(folder / _GROUPS, map(asdict, mined.groups))


def read_mined(folder: Path) -> Mined | None:
    """Reads what an earlier run mined; None if no run did.

    Raises:
        TrainingError: A file is damaged.
    """
    if not (folder / _GROUPS).is_file():
        return None
    try:
        passages = [json.loads(line) for line in _lines(folder / _PASSAGES)]
        rows = [json.loads(line) for line in _lines(folder / _GROUPS)]
        groups = [
            Group(row["query"], row["source"], tuple(row["passages"]), tuple(row["similarity"]))
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{folder}: damaged ({error!r}); remove it to mine anew") from error
    return Mined(passages, groups)


def _write(file: Path, rows: Iterable[object]) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    partial.rename(file)


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").split("\n")[:-1]
