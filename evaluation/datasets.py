"""Test collections in BEIR's form: a corpus, queries, and judgements of relevance."""

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from twopass.client import Document


class DatasetError(Exception):
    """A folder is not a test collection; the message names the file and its fault."""


class Part(StrEnum):
    """A part of the queries: settings are chosen on one half and reported on the other."""

    ALL = "all"
    DEVELOPMENT = "development"
    HELD_OUT = "held-out"

    def has(self, query_id: str) -> bool:
        """Whether a query is in this part; its id alone decides which half it is in."""
        if self is Part.ALL:
            return True
        is_odd = hashlib.sha256(query_id.encode()).digest()[0] % 2 == 1
        return is_odd == (self is Part.HELD_OUT)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A test collection.

    Attributes:
        name: The folder's name.
        documents: The corpus.
        queries: Text by id, of the queries that have judgements.
        qrels: For each query id, grades by document id; 0 means judged irrelevant.
        collection: The collection of a running server that holds the corpus, which `documents` has
            not then; "" where the corpus is to be indexed.
    """

    name: str
    documents: tuple[Document, ...]
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    collection: str = ""


def load_dataset(folder: Path, max_queries: int | None = None, part: Part = Part.ALL) -> Dataset:
    """Reads `corpus.jsonl`, `queries.jsonl` (each may be .gz) and `qrels.tsv` or `qrels/test.tsv`.

    Args:
        folder: Folder of the files.
        max_queries: Most queries to take, the first of the part; None for all.
        part: Which part of the judged queries to take.

    Raises:
        DatasetError: A file is missing or malformed.
    """
    _check_folder(folder)
    documents = tuple(
        Document(id=row["_id"], title=row.get("title") or "", text=row.get("text") or "")
        for row in _rows(folder, "corpus.jsonl", "_id")
    )
    queries, qrels = _judged_queries(folder, max_queries, part)
    return Dataset(folder.name, documents, queries, qrels)


def load_queries(
    folder: Path, collection: str, max_queries: int | None = None, part: Part = Part.ALL
) -> Dataset:
    """Reads the queries and judgements of a test collection whose corpus a server holds.

    Args:
        folder: Folder of the files; a corpus is not read.
        collection: The collection that holds the documents, by the ids of the judgements.
        max_queries: Most queries to take, the first of the part; None for all.
        part: Which part of the judged queries to take.

    Raises:
        DatasetError: A file is missing or malformed.
    """
    _check_folder(folder)
    queries, qrels = _judged_queries(folder, max_queries, part)
    return Dataset(folder.name, (), queries, qrels, collection=collection)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder or file")


def _judged_queries(
    folder: Path, max_queries: int | None, part: Part
) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Queries that have judgements, and these."""
    qrels = _qrels(folder)
    judged = {
        row["_id"]: row["text"]
        for row in _rows(folder, "queries.jsonl", "_id", "text")
        if row["_id"] in qrels and part.has(row["_id"])
    }
    queries = dict(list(judged.items())[:max_queries])
    if not queries:
        of_part = "" if part is Part.ALL else f" of the part {part}"
        raise DatasetError(f"{folder}: no query of queries.jsonl{of_part} has a judgement")
    return queries, {q: qrels[q] for q in queries}


def _rows(folder: Path, name: str, *texts: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, each with some fields that hold texts."""
    file = next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)
    if file is None:
        raise DatasetError(f"{folder}: neither {name} nor {name}.gz is there")
    with _readable(file), open_text(file) as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                has_texts = all(isinstance(row[field], str) for field in texts)
            except (ValueError, KeyError, TypeError) as error:
                raise DatasetError(
                    f"{file}:{number}: not a JSON object with {' and '.join(texts)} ({error!r})"
                ) from error
            if not has_texts:
                raise DatasetError(
                    f"{file}:{number}: {' and '.join(texts)} must be texts: {line:.80}"
                )
            yield row


def open_text(file: Path) -> IO[str]:
    """Opens UTF-8 text for reading; decompresses it where the name ends in .gz."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8")
    return file.open(encoding="utf-8")


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Names the file that can't be read in a block, whatever is wrong with it."""
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        raise DatasetError(f"{file}: can't be read ({error})") from error


def _qrels(folder: Path) -> dict[str, dict[str, int]]:
    candidates = (folder / "qrels.tsv", folder / "qrels" / "test.tsv")
    file = next((f for f in candidates if f.is_file()), None)
    if file is None:
        raise DatasetError(f"{folder}: neither qrels.tsv nor qrels/test.tsv is there")
    qrels: dict[str, dict[str, int]] = {}
    with _readable(file), file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            try:
                qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
            except (KeyError, ValueError, TypeError) as error:  # a short row has None
                raise DatasetError(
                    f"{file}: a row is not query-id, corpus-id, score ({error!r})"
                ) from error
    return qrels
