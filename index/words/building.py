"""Builds a base from all documents, page by page; after a crash it goes on where it was."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw

from twopass.index.collection_name import CollectionName
from twopass.index.rows.damage import Damage
from twopass.index.rows.rows import Row, read_ids, read_rows
from twopass.index.words.analysis import Analyser
from twopass.index.words.base_folder import Header
from twopass.index.words.base_writer import BaseWriter
from twopass.index.words.encoding import WordTexts, encode_words

_LOG = logging.getLogger("twopass.index")

_PAGE_DOCUMENTS = 256
# A commit takes some 50 ms; what came after the last one is read again after a crash.
_DOCUMENTS_OF_A_COMMIT = 50_000
_SECONDS_BETWEEN_LINES = 10.0


class BaseBuilder:
    """Adds documents to a base in the order of their keys, up to one of them."""

    def __init__(
        self,
        name: CollectionName,
        folder: Path,
        begun: Header,
        connection: apsw.Connection,
        analyser: Analyser,
        damage: Damage,
    ) -> None:
        """Prepares to build.

        Args:
            name: The collection's name, for the log.
            folder: The base's folder; may exist, with what `begun` says.
            begun: What is there: documents are added after its `last_key`.
            connection: Reads the collection's file.
            analyser: The collection's.
            damage: Where damaged documents are noted; they have no words.
        """
        self.header = begun
        self._name = name
        self._folder = folder
        self._connection = connection
        self._analyser = analyser
        self._damage = damage

    def add_up_to(
        self, last_key: int, position: int, is_stopped: Callable[[], bool] = lambda: False
    ) -> bool:
        """Adds documents with keys up to one, and commits; returns whether all are in.

        Args:
            last_key: The highest key to add.
            position: A position of the collection that none of them came after.
            is_stopped: Asked after every page.

        Raises:
            StorageError: The base can't be written.
            apsw.Error: The documents can't be read.
        """
        told = began = time.perf_counter()
        num_added = num_uncommitted = 0
        with BaseWriter.begin(self._folder, replace(self.header, position=position)) as writer:
            after = self.header.last_key
            writer.delete_above(after)
            while page := self._page(after, last_key):
                keys, texts = self._read(page)
                writer.add(keys, texts)
                after = page[-1]
                num_added += len(page)
                num_uncommitted += len(page)
                is_over = is_stopped()
                if is_over or num_uncommitted >= _DOCUMENTS_OF_A_COMMIT:
                    writer.commit(replace(self.header, position=position, last_key=after))
                    self.header, num_uncommitted = writer.header, 0
                if is_over:
                    return False
                if (now := time.perf_counter()) - told >= _SECONDS_BETWEEN_LINES:
                    told = now
                    self._tell("words are being indexed", num_added, began)
            writer.commit(replace(self.header, position=position, last_key=max(after, last_key)))
            self.header = writer.header
            writer.finish()
        self._tell("words indexed", num_added, began)
        return True

    def _page(self, after: int, last_key: int) -> list[int]:
        rows = self._connection.execute(
            "SELECT key FROM documents WHERE key > ? AND key <= ? ORDER BY key LIMIT ?",
            (after, last_key, _PAGE_DOCUMENTS),
        )
        return [key for (key,) in rows]

    def _read(self, keys: list[int]) -> tuple[list[int], list[WordTexts]]:
        documents = texts_of(self._connection, keys, self._damage)
        texts = encode_words(self._analyser, [documents[key] for key in keys]).texts
        return keys, list(texts)

    def _tell(self, message: str, num_added: int, began: float) -> None:
        _LOG.info(
            message,
            extra={
                "collection": str(self._name),
                "num_documents": num_added,
                "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
            },
        )


def texts_of(
    connection: apsw.Connection, keys: list[int], damage: Damage
) -> dict[int, tuple[str, str]]:
    """Titles and texts by key; damaged documents, and those now gone, are empty."""
    found = dict.fromkeys(keys, ("", ""))
    damaged: list[int] = []
    for row in read_rows(connection, keys):
        if isinstance(row, Row) and row.is_sound:
            found[row.key] = row.title.decode(), row.text.decode()
        else:
            damaged.append(row.key if isinstance(row, Row) else row)
    if damaged:
        ids = read_ids(connection)
        for key in damaged:
            damage.note_document(ids.get(key, str(key)))
    return found
