"""Writes a base: documents in and out by commits of Tantivy's, each with its header."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import tantivy
from tantivy import Query

from twopass.index.arrays import Int64s
from twopass.index.words.base import (
    ATOMS,
    KEY,
    MAX_KEY,
    TERMS,
    key_range,
    open_index,
    tantivy_errors,
    tantivy_schema,
)
from twopass.index.words.base_folder import Header, save_header
from twopass.index.words.encoding import WordTexts

# Tantivy writes a segment when this is full; 10,000 documents of a hundred words take a third.
_HEAP_BYTES = 50_000_000
_KEYS_OF_A_DELETION = 10_000


class BaseWriter:
    """The one writer of a base's folder. It has threads and memory for as long as it lives.

    Its threads have the priority of the thread that makes it, also those that merge segments.
    """

    def __init__(self, folder: Path, index: Any, header: Header) -> None:
        """Begins to write.

        Args:
            folder: The base's folder.
            index: From `open_index`.
            header: What the folder's files are now.

        Raises:
            StorageError: It can't be written.
        """
        self.header = header
        self._folder = folder
        self._index = index
        with tantivy_errors(folder):
            self._writer = index.writer(_HEAP_BYTES, 1)
            # A server that was killed in a commit left files, whose names this commit may need.
            self._writer.garbage_collect_files()

    @classmethod
    def begin(cls, folder: Path, header: Header) -> "BaseWriter":
        """Begins to write a new folder, or goes on with one that was begun."""
        with tantivy_errors(folder):
            folder.mkdir(exist_ok=True)
            index = open_index(folder)
            save_header(folder, header)
        return cls(folder, index, header)

    def __enter__(self) -> "BaseWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer = None  # which ends its threads, and gives up merges under way

    @property
    def index(self) -> Any:
        """Tantivy's."""
        return self._index

    def add(self, keys: Iterable[int], texts: Iterable[WordTexts]) -> None:
        """Adds documents; they can be found after a commit."""
        with tantivy_errors(self._folder):
            for key, words in zip(keys, texts, strict=True):
                document = tantivy.Document()
                document.add_text(TERMS, words.terms)
                document.add_text(ATOMS, words.atoms)
                document.add_unsigned(KEY, key)
                self._writer.add_document(document)

    def delete(self, keys: Int64s) -> None:
        """Deletes documents by key, int64 `[num_keys]`; unknown keys are ignored."""
        with tantivy_errors(self._folder):
            for start in range(0, len(keys), _KEYS_OF_A_DELETION):
                some = keys[start : start + _KEYS_OF_A_DELETION].tolist()
                query = Query.term_set_query(tantivy_schema(), KEY, some)
                self._writer.delete_documents_by_query(query)

    def delete_above(self, key: int) -> None:
        """Deletes documents with higher keys than one, which a commit without a header left."""
        with tantivy_errors(self._folder):
            self._writer.delete_documents_by_query(key_range(key + 1, MAX_KEY))

    def commit(self, header: Header) -> None:
        """Makes what was added and deleted durable, all or nothing.

        Args:
            header: What the files are then.
        """
        with tantivy_errors(self._folder):
            # What a crash leaves between the two is told right: from which position it may be, and
            # up to which key nothing is missing.
            save_header(self._folder, dataclasses.replace(self.header, position=header.position))
            self._writer.commit()
            save_header(self._folder, header)
        self.header = header

    def finish(self) -> None:
        """Waits for merges of segments that are under way, and ends."""
        with tantivy_errors(self._folder):
            self._writer.wait_merging_threads()
            self._index.reload()
