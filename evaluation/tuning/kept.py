"""What was read of a server, in a file that the next run goes on from.

A line is written whole after each query and nothing is ever changed, so that an interrupted run
loses the query that was under way and no more.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from twopass.evaluation.tuning.settings import Reader

ScoredIds: TypeAlias = tuple[list[str], list[float]]
"""Ids of documents and their scores, best first."""


class Kept:
    """Lists and logits by query; several threads may read and add."""

    def __init__(self, file: Path | None, readers: Mapping[str, str]) -> None:
        """Reads what is there.

        Args:
            file: A file of JSON lines, of one state of one collection at one k; made where it is
                missing. None keeps nothing after the run.
            readers: What rerankers are known by in the file, by model: a name may mean another
                model tomorrow.
        """
        self._file = file
        self._readers = readers
        self._lock = threading.Lock()
        self._lists: dict[str, list[ScoredIds]] = {}
        self._logits: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for row in _rows(file):
            if "lists" in row:
                self._lists[row["query"]] = [(ids, scores) for ids, scores in row["lists"]]
            else:
                self._logits[row["query"], row["reader"]].update(row["logits"])

    def lists(self, query: str) -> list[ScoredIds] | None:
        """The dense list, the lexical one, and what is beyond; None where not known."""
        return self._lists.get(query)

    def keep_lists(self, query: str, lists: Sequence[ScoredIds]) -> None:
        """Adds a query's lists."""
        self._write({"query": query, "lists": lists})

    def logits(self, query: str, reader: Reader) -> dict[str, float]:
        """Known logits of a query, by document."""
        with self._lock:
            return dict(self._logits[query, self._name(reader)])

    def keep_logits(self, query: str, reader: Reader, logits: Mapping[str, float]) -> None:
        """Adds logits of a query."""
        self._write({"query": query, "reader": self._name(reader), "logits": logits})

    def _name(self, reader: Reader) -> str:
        return f"{self._readers.get(reader.model, reader.model)} {reader.truncation}"

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        line = json.dumps(row) + "\n"
        with self._lock, self._file.open("a", encoding="utf-8") as lines:
            lines.write(line)


def _rows(file: Path | None) -> list[dict[str, Any]]:
    """The rows of a file; a last line that is not whole is cut off, so that more can follow."""
    if file is None:
        return []
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with file.open("r+b") as partial:
            partial.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]
