"""Judgements that people made of the hits of a running server, as its page `/ui` saves them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from twopass.evaluation.datasets import Dataset, DatasetError, Part, open_text

_FORM = '{"collection": "docs", "query": "a question", "judgements": {"id of a document": 1}}'


@dataclass(frozen=True, slots=True)
class JudgedQueries:
    """What files of judgements say.

    Attributes:
        datasets: One for each collection, without its documents, which the server has.
        num_without_relevant: Queries that are left out since no document is judged relevant:
            every order would be as bad as any other.
    """

    datasets: tuple[Dataset, ...]
    num_without_relevant: int


@dataclass(frozen=True, slots=True)
class _Line:
    collection: str
    query: str
    grades: Mapping[str, int]


def load_judgements(
    *files: Path,
    collection: str = "",
    max_queries: int | None = None,
    part: Part = Part.ALL,
    without_relevant: bool = False,
) -> JudgedQueries:
    """Reads JSON lines, each with `collection`, `query` and `judgements`: grades by id.

    A grade of 0 is a document that was judged irrelevant. Lines of one query of a collection are
    one query, of whose grades of a document the last counts, in whichever of the files they are. A
    query's id is a digest of its text, so that it is in the same part however the files grow.

    Args:
        files: The files, at least one; decompressed where a name ends in .gz.
        collection: Stands for the collection of every line; "" for each line's own.
        max_queries: Most queries of each collection to take, the first of the part; None for all.
        part: Which part of the judged queries to take.
        without_relevant: Whether queries are taken too of which no document is judged relevant:
            no order of theirs is better than another, but a threshold is to refuse them.

    Raises:
        DatasetError: A file is missing or malformed, or no query of the part has a relevant
            document.
    """
    grades_of: dict[str, dict[str, dict[str, int]]] = {}
    for line in chain.from_iterable(_lines(file, collection) for file in files):
        grades_of.setdefault(line.collection, {}).setdefault(line.query, {}).update(line.grades)
    num_without = 0
    datasets = []
    for name, by_query in grades_of.items():
        relevant = {
            query: grades
            for query, grades in by_query.items()
            if any(grades.values()) or without_relevant
        }
        num_without += len(by_query) - len(relevant)
        wanted = [query for query in relevant if part.has(_id_of(query))][:max_queries]
        if wanted:
            queries = {_id_of(query): query for query in wanted}
            qrels = {_id_of(query): relevant[query] for query in wanted}
            datasets.append(Dataset(name, (), queries, qrels, collection=name))
    if not datasets:
        of_part = "" if part is Part.ALL else f" of the part {part}"
        raise DatasetError(
            f"{', '.join(map(str, files))}: {_nothing(grades_of, without_relevant)}{of_part}; "
            "judge some on the page /ui and save them again"
        )
    return JudgedQueries(tuple(datasets), num_without)


def _nothing(grades_of: Mapping[str, object], without_relevant: bool) -> str:
    if not grades_of:
        return "there is no line of judgements"
    if without_relevant:
        return "there is no judged query"
    return "there is no query with a document that is judged relevant"


def _lines(file: Path, collection: str) -> Iterator[_Line]:
    try:
        with open_text(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _line(f"{file}:{number}", line, collection)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise DatasetError(f"{file}: can't be read ({error})") from error


def _line(where: str, line: str, collection: str) -> _Line:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not JSON ({error}); a line is as in {_FORM}") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: not a JSON object; a line is as in {_FORM}")
    query, grades = row.get("query"), row.get("judgements")
    if not isinstance(query, str) or not query.strip():
        raise DatasetError(f"{where}: query: a text is needed, {query!r} given")
    if not isinstance(grades, dict) or not all(map(_is_grade, grades.values())):
        raise DatasetError(
            f"{where}: judgements: an object of whole numbers from 0 by the ids of documents is "
            f"needed, {json.dumps(grades, ensure_ascii=False)[:80]} given"
        )
    named = collection or row.get("collection")
    if not isinstance(named, str) or not named:
        raise DatasetError(f"{where}: collection: none is named; give one by --collection")
    return _Line(named, query, grades)


def _is_grade(grade: object) -> bool:
    return isinstance(grade, int) and not isinstance(grade, bool) and grade >= 0


def _id_of(query: str) -> str:
    return hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest()[:16]
