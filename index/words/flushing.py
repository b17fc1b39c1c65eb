"""Moves words from memory into the base, and builds a base anew, in the folder of a collection."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twopass.index.arrays import Int64s
from twopass.index.collection_name import CollectionName
from twopass.index.key_sets import are_in
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import open_for_reading, storage_errors
from twopass.index.words.analysis import Analyser
from twopass.index.words.base import Base, keys_of, open_index, tantivy_errors
from twopass.index.words.base_folder import Header, folder_of, numbered, remove, save_header
from twopass.index.words.base_writer import BaseWriter
from twopass.index.words.building import BaseBuilder
from twopass.index.words.loading import LoadedWords
from twopass.index.words.searching import Words

_LOG = logging.getLogger("twopass.index")

# Of a base that is built anew beside flushes, and has to let them have their turn.
_SECONDS_OF_A_STEP = 5.0


MIN_DOCUMENTS = 2_000
"""Fewest documents in memory for a flush, unless a server is told to merge more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushPolicy:
    """When words move from memory to disk.

    A search looks through a document in memory some ten times as slowly as through one on disk, and
    a flush takes a tenth of a second however few there are.

    Attributes:
        min_documents: Fewest documents in memory for a flush; a collection of fewer has no base.
        max_documents: Most documents in memory that wait, however large the base is.
        base_share: Share of the base that must have come too, between the two.
        max_postings: Most terms in memory that wait, each counted once a document.
        max_characters: Most characters of words in memory that wait, terms and atoms together; they
            are most of the memory where texts repeat themselves.
        hidden_share: Share of the base that must be hidden, and `min_documents`, for a flush.
        patience: So many times as much as waits before a flush make the writer wait for it.
        worth_saving: Fewest documents in memory that are flushed when the collection is closed; so
            are fewer with a quarter of `max_characters`.
    """

    min_documents: int = MIN_DOCUMENTS
    max_documents: int = 10_000
    base_share: float = 0.05
    max_postings: int = 1_500_000
    max_characters: int = 64_000_000
    hidden_share: float = 0.05
    patience: int = 4
    worth_saving: int = 1_000

    def is_due(self, words: Words, times: int = 1) -> bool:
        """Whether a flush is worth its cost now, or would be if a part of all were there."""
        in_base = 0 if words.base is None else len(words.base.keys)
        enough = min(max(self.min_documents, self.base_share * in_base), self.max_documents)
        num_documents = sum(map(len, words.runs))
        num_postings = sum(len(run.postings.hashes) for run in words.runs)
        num_characters = sum(run.num_characters for run in words.runs)
        if (
            num_documents >= times * enough
            or num_postings >= times * self.max_postings
            or num_characters >= times * self.max_characters
        ):
            return True
        return times == 1 and len(words.hidden) >= max(
            self.min_documents, self.hidden_share * in_base
        )

    def is_too_much(self, words: Words) -> bool:
        """Whether so much is in memory that no more may come."""
        return self.is_due(words, self.patience)

    def is_worth_saving(self, words: Words) -> bool:
        """Whether reading the documents again at the next start would take long."""
        num_documents = sum(run.num_visible for run in words.runs)
        num_characters = sum(run.num_characters for run in words.runs)
        return (
            num_documents >= self.worth_saving
            or 4 * num_characters >= self.max_characters
            or len(words.hidden) >= self.min_documents
        )


class Flusher:
    """Writes the files of a collection's bases; one thread at a time."""

    def __init__(
        self,
        name: CollectionName,
        path: Path,
        loaded: LoadedWords,
        analyser: Analyser,
        damage: Damage,
        incarnation: str,
    ) -> None:
        """Begins with what was loaded.

        Args:
            name: The collection's name.
            path: Its SQLite file.
            loaded: What there is.
            analyser: Cuts texts that are read anew.
            damage: Records documents that are damaged.
            incarnation: Of the collection.
        """
        self._name = name
        self._path = path
        self._analyser = analyser
        self._damage = damage
        self._number = loaded.number
        self._header = loaded.header or Header(
            incarnation=incarnation,
            position=0,
            last_key=0,
            analysis=analyser.version,
            is_complete=True,
        )
        self._rebuild = loaded.rebuild

    @property
    def is_rebuilding(self) -> bool:
        """Whether a base is being built anew."""
        return self._rebuild is not None

    @contextmanager
    def writing(self, base: Base | None) -> Iterator[BaseWriter]:
        """A writer of the base's folder, which is made where there is none.

        Args:
            base: The base; None where there is none.

        Raises:
            StorageError: It can't be written.
        """
        if base is None:
            self._number += 1
            self.remove_others()
            folder = folder_of(self._path.parent, self._number)
            opened = BaseWriter.begin(folder, self._header)
        else:
            with tantivy_errors(base.folder):
                opened = BaseWriter(base.folder, open_index(base.folder), self._header)
        with opened as writer:
            # A flush that failed may have left what will be added again.
            writer.delete_above(base.last_key if base is not None else 0)
            yield writer

    def flush(self, writer: BaseWriter, words: Words, position: int) -> Base:
        """Adds what is in memory to the base, and deletes what is hidden from it.

        Args:
            writer: From `writing`.
            words: What to write.
            position: The collection's, with all of it.

        Returns:
            The new base.
        """
        began = time.perf_counter()
        writer.delete(words.hidden)
        added: list[Int64s] = []
        for run in words.runs:
            visible = np.flatnonzero(~run.hidden).tolist()
            added.append(run.keys[visible])
            writer.add(added[-1].tolist(), (run.texts[row] for row in visible))
        kept = np.empty(0, np.int64)
        if words.base is not None:
            kept = words.base.keys[~are_in(words.base.keys, words.hidden)]
        last_key = int(words.runs[-1].keys[-1]) if words.runs else self._header.last_key
        writer.commit(replace(self._header, position=position, last_key=last_key))
        self._header = writer.header
        folder = folder_of(self._path.parent, self._number)
        base = Base(folder, writer.index, np.concatenate([kept, *added]))
        _LOG.info(
            "words flushed",
            extra={
                "collection": str(self._name),
                "num_added": sum(map(len, added)),
                "num_deleted": len(words.hidden),
                "num_documents": len(base.keys),
                "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
            },
        )
        return base

    def rebuild(
        self, base: Base | None, position: int, is_stopped: Callable[[], bool]
    ) -> Base | None:
        """Adds documents to a base that is built anew, for some seconds.

        Args:
            base: The base that is searched meanwhile.
            position: The collection's.
            is_stopped: Whether to leave the rest for later.

        Returns:
            The new base, with all documents of the other; None where documents are left.

        Raises:
            StorageError: The documents can't be read, or the base can't be written.
        """
        assert self._rebuild is not None
        assert base is not None
        number, begun = self._rebuild
        folder = folder_of(self._path.parent, number)
        end = time.monotonic() + _SECONDS_OF_A_STEP
        with storage_errors(self._path, self._name):
            connection = open_for_reading(self._path)
            try:
                builder = BaseBuilder(
                    self._name, folder, begun, connection, self._analyser, self._damage
                )
                is_whole = builder.add_up_to(
                    base.last_key, position, lambda: is_stopped() or time.monotonic() > end
                )
            finally:
                connection.close()
        self._rebuild = number, builder.header
        if not is_whole:
            return None
        header = replace(builder.header, is_complete=True)
        with tantivy_errors(folder):
            save_header(folder, header)
            index = open_index(folder)
        built = Base(folder, index, keys_of(index, folder))
        self._number, self._header, self._rebuild = number, header, None
        return built

    def remove_others(self) -> None:
        """Removes the folders of all bases but the current one."""
        for number, folder in numbered(self._path.parent).items():
            if number != self._number:
                remove(folder)
