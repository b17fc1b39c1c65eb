"""Files of feedback: lines of JSON, or a table of qrels; read, and written."""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from twopass.client import Feedback, FeedbackKind, RecordedFeedback

# A cell that holds one of its characters is quoted.
_LINE_END = "\r\n"
_FORM = '{"query_id": "q-17", "document_id": "strptime", "grade": 2}'
_FIELDS = {"search_id", "query_id", "document_id", "grade", "time", "kind", "rank", "query"}


class FeedbackFormat(StrEnum):
    """How feedback is written."""

    QRELS = "qrels"
    TREC = "trec"
    JSONL = "jsonl"
    JUDGEMENTS = "judgements"


class FeedbackFileError(Exception):
    """A file can't hold feedback, or holds none; the message says where and what is wrong."""


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


def feedback_lines(
    chosen: FeedbackFormat, collection: str, rows: Iterable[RecordedFeedback]
) -> Iterator[str]:
    """Yields the lines of a file of feedback, without their ends.

    Args:
        chosen: What the file holds.
        collection: Its collection's name.
        rows: The feedback, ordered by query.

    Raises:
        FeedbackFileError: An id can't stand in such a file.
    """
    if chosen is FeedbackFormat.JSONL:
        for row in rows:
            plain = dataclasses.asdict(row) | {"time": row.time.isoformat()}
            yield json.dumps({k: v for k, v in plain.items() if v != ""}, ensure_ascii=False)
        return
    if chosen is FeedbackFormat.JUDGEMENTS:
        yield from _judgements(collection, rows)
        return
    if chosen is FeedbackFormat.QRELS:
        yield "query-id\tcorpus-id\tscore"
    for query_id, _, grades in _by_query(rows):
        for document_id, grade in grades.items():
            if chosen is FeedbackFormat.QRELS:
                yield _row(query_id, document_id, str(grade))
            else:
                yield f"{_unparted(query_id)} 0 {_unparted(document_id)} {grade}"


def _row(*cells: str) -> str:
    """A row of a table, in which a cell with tabs, line ends or quotes is quoted."""
    row = io.StringIO()
    csv.writer(row, delimiter="\t", lineterminator=_LINE_END).writerow(cells)
    return row.getvalue().removesuffix(_LINE_END)


def _unparted(name: str) -> str:
    """An id that is one column of TREC's qrels."""
    if len(name.split()) != 1 or name != name.strip():
        raise FeedbackFileError(
            f"id {name!r} has white space, which parts the columns of trec; --format qrels or "
            "jsonl keeps it whole"
        )
    return name


def _judgements(collection: str, rows: Iterable[RecordedFeedback]) -> Iterator[str]:
    for _, query, grades in _by_query(rows):
        if query:
            line = {"collection": collection, "query": query, "judgements": grades}
            yield json.dumps(line, ensure_ascii=False)


def _by_query(rows: Iterable[RecordedFeedback]) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Queries with their texts and grades; a judgement counts before a click on the same."""
    current, query = "", ""
    grades: dict[str, int] = {}
    judged: set[str] = set()
    for row in rows:
        if row.query_id != current:
            if grades:
                yield current, query, grades
            current, query, grades, judged = row.query_id, row.query, {}, set()
        is_judgement = row.kind is FeedbackKind.JUDGEMENT
        if is_judgement or row.document_id not in judged:
            grades[row.document_id] = row.grade
        if is_judgement:
            judged.add(row.document_id)
    if grades:
        yield current, query, grades
