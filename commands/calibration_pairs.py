"""Judged pairs of texts from a file, scored by a reranker."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.progress import MofNCompleteColumn

from twopass.client import Client, TwopassError
from twopass.commands.options import connected
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.progress import progress_bar
from twopass.evaluation.calibration.pairs import JudgedPairs, pairs_of_rows
from twopass.evaluation.datasets import open_text
from twopass.server.local import LocalServer, LocalServerError

_FORM = '{"query": "a question", "passage": "a text", "relevant": 1}'
_AT_ONCE = 500


def is_of_pairs(file: Path) -> bool:
    """Whether a file holds pairs of texts, by its first line; a folder does not."""
    if not file.is_file():
        return False
    try:
        with open_text(file) as lines:
            first = json.loads(next((line for line in lines if line.strip()), "null"))
    except (OSError, ValueError, EOFError):
        return False
    return isinstance(first, dict) and "passage" in first


def scored_pairs(file: Path, reranker: str | None, target: str) -> JudgedPairs:
    """Scores the pairs of a file; what can't be read or scored ends the command.

    Args:
        file: JSON lines of `query`, `passage` and `relevant`.
        reranker: An id of the running server, or a folder, which a server is started for; None
            for the running server's default.
        target: The running server.
    """
    by_query = _read(file)
    with ExitStack() as stack:
        try:
            if reranker is not None and Path(reranker).is_dir():
                server = stack.enter_context(LocalServer(None, flags=("--reranker", reranker)))
                client = stack.enter_context(Client(server.target))
                return _scored(client, by_query, None)
            return _scored(stack.enter_context(connected(target)), by_query, reranker)
        except (LocalServerError, TwopassError) as error:
            exit_with(error)


def _scored(
    client: Client, by_query: Mapping[str, Sequence[tuple[str, bool]]], model: str | None
) -> JudgedPairs:
    rows: list[tuple[str, float, float, bool]] = []
    with progress_bar(MofNCompleteColumn()) as progress:
        task = progress.add_task("scoring", total=sum(map(len, by_query.values())))
        for query, judged in by_query.items():
            for first in range(0, len(judged), _AT_ONCE):
                some = judged[first : first + _AT_ONCE]
                result = client.rerank(query, [text for text, _ in some], model=model, timeout=600)
                rows += [(query, x.logit, x.score, some[x.index][1]) for x in result.hits]
                progress.advance(task, len(some))
    return pairs_of_rows(rows)


def _read(file: Path) -> dict[str, list[tuple[str, bool]]]:
    by_query: dict[str, list[tuple[str, bool]]] = {}
    try:
        with open_text(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    query, passage, relevant = _pair(f"{file}:{number}", line)
                    by_query.setdefault(query, []).append((passage, relevant))
    except (OSError, UnicodeDecodeError, EOFError) as error:
        exit_with(f"{file}: can't be read ({error})")
    return by_query


def _pair(where: str, line: str) -> tuple[str, str, bool]:
    try:
        row: Any = json.loads(line)
        query, passage, relevant = row["query"], row["passage"], row["relevant"]
    except (ValueError, KeyError, TypeError) as error:
        exit_with(f"{where}: not a pair ({error!r}); a line is as in {_FORM}")
    texts_are_there = all(isinstance(text, str) and text.strip() for text in (query, passage))
    if not texts_are_there or relevant not in (0, 1):
        exit_with(
            f"{where}: query and passage must be texts and relevant 0 or 1; a line is as in {_FORM}"
        )
    return query, passage, bool(relevant)
