"""Loads the words of a collection: the base from its folder, the rest from the documents."""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import numpy as np

from twopass.index.arrays import Int64s
from twopass.index.collection_name import CollectionName
from twopass.index.errors import StorageError
from twopass.index.key_sets import are_in
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import Identity
from twopass.index.rows.keys import all_document_keys
from twopass.index.words.analysis import Analyser
from twopass.index.words.base import Base, keys_of, open_index, tantivy_errors
from twopass.index.words.base_folder import (
    BaseFolderError,
    Header,
    check_files,
    folder_of,
    numbered,
    read_header,
    remove,
    save_header,
)
from twopass.index.words.building import BaseBuilder, texts_of
from twopass.index.words.encoding import encode_words
from twopass.index.words.fresh import Run, with_run
from twopass.index.words.searching import Words

_LOG = logging.getLogger("twopass.index")

MAX_FRESH_ALONE = 1_000
"""Up to so many documents are kept in memory alone: they are analysed within 50 ms at a start."""

_BLOCK_DOCUMENTS = 512


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWords:
    """The words that an index begins with.

    Attributes:
        words: They.
        header: What the files of the base are; None where there is no base.
        number: The number of its folder, or the highest that was ever used; 0 for none.
        rebuild: The number and the header of a base to build in this one's place, whose texts were
            analysed otherwise; None where that is not needed.
        failure: Why there are no words, and the way out; empty where there are.
    """

    words: Words
    header: Header | None = None
    number: int = 0
    rebuild: tuple[int, Header] | None = None
    failure: str = ""


def load_words(
    name: CollectionName,
    connection: apsw.Connection,
    identity: Identity,
    collection: Path,
    analyser: Analyser,
    damage: Damage,
) -> LoadedWords:
    """Reads a collection's words: the base, if its folder is intact, the rest from the documents.

    A base whose texts were analysed otherwise is taken too; the index builds another beside it.

    Args:
        name: The collection's name, for the log.
        connection: Connection to its documents' file.
        identity: What that file says about the collection.
        collection: Its folder.
        analyser: Cuts its texts.
        damage: Records damaged documents, which searches can't find by words.

    Raises:
        apsw.Error: The documents can't be read.
    """
    loader = _Loader(name, connection, identity, collection, analyser, damage)
    try:
        return loader.load()
    except (StorageError, OSError) as error:
        failure = (
            f"the words of collection {name!r} can't be indexed: {error}; documents are safe on "
            "disk: mend the disk, or free some space, and restart the server"
        )
        _LOG.error(failure, extra={"collection": str(name), "path": str(collection)})
        return LoadedWords(Words(None, np.empty(0, np.int64), ()), failure=failure)


class _Loader:
    """What `load_words` does, step by step."""

    def __init__(
        self,
        name: CollectionName,
        connection: apsw.Connection,
        identity: Identity,
        collection: Path,
        analyser: Analyser,
        damage: Damage,
    ) -> None:
        self._name = name
        self._connection = connection
        self._sequence = identity.sequence
        self._collection = collection
        self._analyser = analyser
        self._damage = damage

    def load(self) -> LoadedWords:
        began = time.perf_counter()
        keys = all_document_keys(self._connection)
        folders = numbered(self._collection)
        loaded, reason = self._from_folders(folders, keys)
        if loaded is None and len(keys) > MAX_FRESH_ALONE:
            loaded = self._built(folders, keys)
        if loaded is None:
            loaded = LoadedWords(
                Words(None, np.empty(0, np.int64), ()), number=max(folders, default=0)
            )
        loaded = self._with_rebuild(loaded, folders)
        base = loaded.words.base
        later = keys[np.searchsorted(keys, base.last_key if base else 0, side="right") :]
        runs: tuple[Run, ...] = ()
        for start in range(0, len(later), _BLOCK_DOCUMENTS):
            some = later[start : start + _BLOCK_DOCUMENTS]
            texts = texts_of(self._connection, some.tolist(), self._damage)
            encoded = encode_words(self._analyser, [texts[key] for key in some.tolist()])
            runs = with_run(runs, Run.of(some, encoded))
        _LOG.log(
            logging.WARNING if reason else logging.INFO,
            "words loaded",
            extra={
                "collection": str(self._name),
                **({"reason": reason} if reason else {}),
                "num_in_base": len(base.keys) if base else 0,
                "num_from_documents": len(later),
                "num_gone": len(loaded.words.hidden),
                "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
            },
        )
        return replace(loaded, words=Words(base, loaded.words.hidden, runs))

    def _from_folders(
        self, folders: dict[int, Path], keys: Int64s
    ) -> tuple[LoadedWords | None, str]:
        """The newest base that is sound; and why one is not, if so."""
        reason = ""
        for number in sorted(folders, reverse=True):
            folder = folders[number]
            try:
                header = read_header(folder)
                if not header.is_complete:
                    continue  # one that is being built
                self._check_life(header)
                return self._opened(folder, number, header, keys), reason
            except (BaseFolderError, StorageError) as error:
                reason = f"{folder}: {error}"
                _LOG.warning(
                    "words left aside: they are indexed again",
                    extra={"collection": str(self._name), "reason": reason},
                )
                remove(folder)
        return None, reason

    def _check_life(self, header: Header) -> None:
        if header.incarnation != self._sequence.incarnation:
            raise BaseFolderError("it is of another life of the collection")
        if header.position > self._sequence.position:
            raise BaseFolderError(
                f"it is of position {header.position:,}, the documents are of "
                f"{self._sequence.position:,}: they were put back from a backup"
            )

    def _opened(self, folder: Path, number: int, header: Header, keys: Int64s) -> LoadedWords:
        """A base with what has gone since hidden, if it has all that it should.

        Keys ascend and are never reused: documents in the table with keys up to `last_key` were
        there when the base was committed, and those with higher keys came later.
        """
        check_files(folder)
        with tantivy_errors(folder):
            index = open_index(folder)
        base = Base(folder, index, keys_of(index, folder))
        then = keys[: np.searchsorted(keys, header.last_key, side="right")]
        missing = then[~are_in(then, base.keys)]
        if len(missing):
            raise BaseFolderError(
                f"it lacks {len(missing):,} documents, key {missing[0]} among them"
            )
        between = keys[(keys > header.last_key) & (keys <= base.last_key)]
        if len(missing := between[~are_in(between, base.keys)]):
            raise BaseFolderError(f"it has later documents, and lacks key {missing[0]}")
        hidden = base.keys[~are_in(base.keys, keys)]
        return LoadedWords(Words(base, hidden, ()), header, number)

    def _built(self, folders: dict[int, Path], keys: Int64s) -> LoadedWords:
        """A base built from all documents, here and now."""
        number, begun = self._begun(folders)
        folder = folder_of(self._collection, number)
        _LOG.info(
            "words are indexed from the documents, which may take minutes",
            extra={"collection": str(self._name), "num_documents": len(keys)},
        )
        builder = BaseBuilder(
            self._name, folder, begun, self._connection, self._analyser, self._damage
        )
        builder.add_up_to(int(keys[-1]), self._sequence.position)
        header = replace(builder.header, is_complete=True)
        save_header(folder, header)
        return self._opened(folder, number, header, keys)

    def _with_rebuild(self, loaded: LoadedWords, folders: dict[int, Path]) -> LoadedWords:
        """Adds the base to build, if that is needed, and removes all folders but those in use."""
        kept = {loaded.number} if loaded.header is not None else set()
        if loaded.header is not None and loaded.header.analysis != self._analyser.version:
            rebuild = self._begun(folders)
            kept.add(rebuild[0])
            _LOG.info(
                "words are indexed again in the background: texts are analysed otherwise now",
                extra={
                    "collection": str(self._name),
                    "analysed": loaded.header.analysis,
                    "analysis": self._analyser.version,
                },
            )
            loaded = replace(loaded, rebuild=rebuild)
        for number, folder in folders.items():
            if number not in kept:
                remove(folder)
        return loaded

    def _begun(self, folders: dict[int, Path]) -> tuple[int, Header]:
        """The number and the header of a base to build: of one that was begun, or of a new one."""
        for number in sorted(folders, reverse=True):
            try:
                header = read_header(folders[number])
                self._check_life(header)
                if not header.is_complete and header.analysis == self._analyser.version:
                    check_files(folders[number])
                    return number, header
            except BaseFolderError:
                pass
        return max(folders, default=0) + 1, Header(
            incarnation=self._sequence.incarnation,
            position=self._sequence.position,
            last_key=0,
            analysis=self._analyser.version,
            is_complete=False,
        )
