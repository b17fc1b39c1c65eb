"""Files of feedback: lines of JSON, or a table of qrels."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from twopass.client import Feedback

_FORM = '{"query_id": "q-17", "document_id": "strptime", "grade": 2}'
_FIELDS = {"search_id", "query_id", "document_id", "grade", "time", "kind", "rank", "query"}


class FeedbackFileError(Exception):
    """A file holds no feedback; the message names the line and what is wrong with it."""


def read_feedback(file: str) -> Iterator[Feedback]:
    """Yields the feedback of a file.

    Args:
        file: Its path; "-" for standard input. A name that ends in .tsv is a table of query-id,
            corpus-id and score; others hold lines of JSON, as `twopass feedback export` writes.

    Raises:
        FeedbackFileError: It can't be read, or a line is no feedback.
    """
    try:
        if file == "-":
            yield from _json_lines("standard input", sys.stdin)
            return
        with Path(file).open(encoding="utf-8", newline="") as lines:
            if file.endswith(".tsv"):
                yield from _table(file, lines)
            else:
                yield from _json_lines(file, lines)
    except (OSError, UnicodeDecodeError) as error:
        raise FeedbackFileError(f"{file}: can't be read ({error})") from error


def _table(file: str, lines: Iterable[str]) -> Iterator[Feedback]:
    for row in (reader := csv.DictReader(lines, delimiter="\t")):
        try:
            yield Feedback(
                query_id=row["query-id"], document_id=row["corpus-id"], grade=int(row["score"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FeedbackFileError(
                f"{file}:{reader.line_num}: a row is not query-id, corpus-id, score ({error!r})"
            ) from error


def _json_lines(file: str, lines: Iterable[str]) -> Iterator[Feedback]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _feedback(f"{file}:{number}", line)


def _feedback(where: str, line: str) -> Feedback:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FeedbackFileError(f"{where}: not JSON ({error}); a line is as in {_FORM}") from error
    if not isinstance(row, dict) or not isinstance(row.get("document_id"), str):
        raise FeedbackFileError(f"{where}: no document_id; a line is as in {_FORM}")
    if unknown := sorted(row.keys() - _FIELDS):
        raise FeedbackFileError(f"{where}: {unknown[0]} is not known; a line is as in {_FORM}")
    kind = row.get("kind", "click" if row.get("grade") is None else "judgement")
    try:
        time = None if row.get("time") is None else datetime.fromisoformat(row["time"])
        return Feedback(
            document_id=row["document_id"],
            search_id=str(row.get("search_id", "")),
            query_id=str(row.get("query_id", "")),
            grade=None if kind == "click" else int(row["grade"]),
            time=time,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FeedbackFileError(f"{where}: {error!r}; a line is as in {_FORM}") from error
