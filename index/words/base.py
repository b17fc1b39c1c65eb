"""The base: documents in a Tantivy index on disk, as they were at one commit."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from tantivy import FieldType, Occur, Query

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.errors import StorageError
from twopass.index.stopping import NEVER, Stop
from twopass.index.words.scoring import MARK

TERMS = "terms"
ATOMS = "atoms"
KEY = "key"

MAX_KEY = 2**63 - 1

SLICE_DOCUMENTS = 50_000
"""Most hits that one call of Tantivy is asked for: some 40 ms, and a stop is looked at between."""

_WORDS_APART = "words_apart"


@contextmanager
def tantivy_errors(folder: Path) -> Iterator[None]:
    """Translates Tantivy's errors into `StorageError`, in words that say what to do.

    Raises:
        StorageError: The disk did not do its part, or the files are damaged.
    """
    try:
        yield
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"  # which is no Exception
        if not is_panic and not isinstance(error, ValueError | OSError | RuntimeError):
            raise
        raise StorageError(
            f"words can't be read or written: {error}; documents are safe on disk: check the disk "
            "and its free space, then restart the server, or delete the folder "
            f"{folder.parent.name}/{folder.name} to build them anew",
            str(folder),
        ) from error


@lru_cache
def tantivy_schema() -> Any:
    """The fields of every base."""
    # Lengths are kept of the terms alone: clauses are scored by how many documents hold them.
    return (
        tantivy.SchemaBuilder()
        .add_text_field(TERMS, tokenizer_name=_WORDS_APART, index_option="freq")
        .add_text_field(ATOMS, tokenizer_name=_WORDS_APART, index_option="position")
        .add_unsigned_field(KEY, indexed=True, fast=True)
        .build()
    )


def open_index(folder: Path) -> Any:
    """Opens the Tantivy index of a folder, or makes an empty one.

    Raises:
        ValueError, OSError: It can't be read or written.
    """
    index = tantivy.Index(tantivy_schema(), str(folder))
    apart = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer(_WORDS_APART, apart)
    index.config_reader("manual")
    return index


class Base:
    """The documents of one commit. Immutable; safe to search from several threads.

    Attributes:
        keys: Keys of its documents but for those deleted from it, int64 `[num_documents]`,
            ascending.
        num_documents: How many documents its statistics count: N of the formula. Those deleted
            count until Tantivy merges their segments.
        average_length: Terms of a document on average, the mark counted.
    """

    def __init__(self, folder: Path, index: Any, keys: Int64s) -> None:
        """Takes the index as it was last committed.

        Args:
            folder: Its folder.
            index: From `open_index`.
            keys: Its documents.

        Raises:
            StorageError: It can't be read.
        """
        self.folder = folder
        self.keys = keys
        self._schema = tantivy_schema()
        with tantivy_errors(folder):
            index.reload()
            self._searcher = index.searcher()
            self.num_documents, self.average_length = self._statistics()

    @property
    def last_key(self) -> int:
        """The highest key; documents in memory have higher ones. 0 where it is empty."""
        return int(self.keys[-1]) if len(self.keys) else 0

    def num_holders(self, field: str, words: Sequence[str]) -> Int64s:
        """How many documents hold each word, those deleted included while N counts them."""
        if not self.num_documents:
            return np.zeros(len(words), np.int64)
        doc_freq = self._searcher.doc_freq
        with tantivy_errors(self.folder):
            return np.array([doc_freq(field, word) for word in words], np.int64)

    def num_matches(self, query: Any) -> int:
        """How many documents match."""
        with tantivy_errors(self.folder):
            return int(self._searcher.search(query, 1, count=True).count)

    def best(self, query: Any, limit: int) -> tuple[Int64s, Float32s]:
        """Keys and scores of the documents that fit best, best first.

        Args:
            query: From `queries`.
            limit: Most documents to find, at least 1; fewer are found only where no others match.
        """
        with tantivy_errors(self.folder):
            hits = self._searcher.search(query, limit, count=False).hits
            keys = self._searcher.fast_field_values(KEY, [address for _, address in hits])
        return np.array(keys, np.int64), np.array([score for score, _ in hits], np.float32)

    def slices(self) -> Iterator[Any]:
        """Queries that each match some documents, at most `SLICE_DOCUMENTS`, in key order."""
        for start in range(0, len(self.keys), SLICE_DOCUMENTS):
            some = self.keys[start : start + SLICE_DOCUMENTS]
            yield key_range(int(some[0]), int(some[-1]))

    def all_matches(self, query: Any, stop: Stop = NEVER) -> Int64s:
        """Keys of all documents that match, int64, ascending."""
        found = [np.empty(0, np.int64)]
        for some in self.slices():
            stop.check()
            within = Query.boolean_query([(Occur.Must, some), (Occur.Must, query)])
            found.append(np.sort(self.best(within, SLICE_DOCUMENTS)[0]))
        return np.concatenate(found)

    def words_with_prefix(self, field: str, prefix: str, limit: int) -> list[str]:
        """Words that begin so, at most `limit`."""
        with tantivy_errors(self.folder):
            return [
                word for word, _ in self._searcher.terms_with_prefix(field, prefix, limit=limit)
            ]

    def _statistics(self) -> tuple[int, float]:
        """N and the average length, as Tantivy's BM25 has them: it tells them with any score."""
        query = Query.term_query(self._schema, TERMS, MARK, "freq")
        hits = self._searcher.search(query, 1, count=False).hits
        if not hits:
            if self._searcher.num_docs:
                raise ValueError("its documents have no mark")
            return 0, 1.0
        told = dict(_values(json.loads(query.explain(self._searcher, hits[0][1]).to_json())))
        return int(told["N"]), told["avgdl"]


def key_range(first: int, last: int) -> Any:
    """A query of the documents with keys from one to another; it adds nothing to scores."""
    wanted = Query.range_query(tantivy_schema(), KEY, FieldType.Unsigned, first, last)
    return Query.const_score_query(wanted, 0.0)


def keys_of(index: Any, folder: Path, stop: Stop = NEVER) -> Int64s:
    """Keys of all documents of an index, read from the index itself, int64, ascending."""
    with tantivy_errors(folder):
        index.reload()
        searcher = index.searcher()
        found = [np.empty(0, np.int64)]
        last = 0
        while True:
            stop.check()
            wanted = Query.range_query(
                tantivy_schema(), KEY, FieldType.Unsigned, last + 1, 2**63 - 1
            )
            hits = searcher.search(
                wanted, SLICE_DOCUMENTS, count=False, order_by_field=KEY, order=tantivy.Order.Asc
            ).hits
            if not hits:
                return np.concatenate(found)
            keys = np.array(searcher.fast_field_values(KEY, [a for _, a in hits]), np.int64)
            found.append(keys)
            last = int(keys[-1])


def _values(explanation: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The values of an explanation, by the first word of what each is."""
    yield explanation["description"].partition(",")[0], explanation["value"]
    for detail in explanation.get("details", ()):
        yield from _values(detail)
