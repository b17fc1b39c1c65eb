"""A crash at any moment of a flush, a rebuild or a start leaves the words of the documents.

At each file that Python opens, renames or removes, the data folder is copied as a crash would leave
it, and each copy is opened, searched, written to, and opened again.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from twopass.index.documents import IndexedDocument
from twopass.index.schema import CollectionSchema
from twopass.index.store.store import CollectionStore
from twopass.index.words.flushing import FlushPolicy

from ..conftest import DIMENSION, LANES

WHEN_TOLD = FlushPolicy(min_documents=10**6, worth_saving=10**6)
EVENTS = {"open", "os.rename", "os.remove", "os.rmdir"}


class Camera:
    """Copies a folder whenever a file in it is about to change hands; it can't be uninstalled."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.images: list[tuple[Path, dict[str, int]]] = []
        self.there: dict[str, int] = {}
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        folder = self.folder
        if (
            folder is None
            or event not in EVENTS
            or f"{folder}/collections" not in str(arguments[0])
        ):
            return
        self.folder = None  # the copying opens files too
        image = folder.with_name(f"image-{len(self.images)}")
        copy(folder, image)
        self.images.append((image, dict(self.there)))
        self.folder = folder


def copy(folder: Path, image: Path) -> None:
    """Copies what is there; what Tantivy's threads remove meanwhile may be in it, or not."""
    for file in folder.rglob("*"):
        to = image / file.relative_to(folder)
        with suppress(FileNotFoundError):
            if file.is_file() and file.name != ".lock":
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, to)


CAMERA = Camera()


@contextmanager
def filmed(folder: Path) -> Iterator[None]:
    CAMERA.folder = folder
    try:
        yield
    finally:
        CAMERA.folder = None


@contextmanager
def opened(folder: Path) -> Iterator[CollectionStore]:
    store = CollectionStore(folder, LANES, flush_policy=WHEN_TOLD)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def collection_of(store: CollectionStore) -> Iterator[object]:
    pin = store.pin("notes")
    try:
        yield pin.collection or pin.opening.result()
    finally:
        pin.release()


def word_of(name: str, version: int) -> str:
    return f"{name}x{version}".translate(str.maketrans("0123456789", "bcdfghjkmp"))


def write(collection, there, names, version):
    one, none = np.ones(DIMENSION, np.float32), np.empty(0, np.int32)
    collection.upsert(
        [
            IndexedDocument(
                id=name, text=f"about {word_of(name, version)}", vector=one, token_ids=none
            )
            for name in names
        ]
    ).result()
    there |= dict.fromkeys(names, version)


def delete(collection, there, names):
    collection.delete(names).result()
    for name in names:
        del there[name]


def found(collection, words):
    keys = collection.search_words(words, 1_000).keys
    documents = collection.fetch(keys)
    assert len(documents) == len(keys)  # else what is gone takes the places of what is there
    return sorted(document.id for document in documents.values())


def check(collection, there, last_version):
    assert found(collection, "about") == sorted(there)
    for name in [f"d{number}" for number in range(24)]:
        for version in range(1, last_version + 1):
            expected = [name] if there.get(name) == version else []
            assert found(collection, word_of(name, version)) == expected, (name, version)


def outdate(folder: Path) -> None:
    for header in folder.glob("collections/notes/words-*/header.json"):
        content = json.loads(header.read_bytes())
        header.write_text(json.dumps(content | {"analysis": "of another version"}))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Copies of a folder through flushes, a start and a rebuild, and what documents there were."""
    folder = tmp_path_factory.mktemp("lives") / "data"
    there = CAMERA.there = {}
    CAMERA.images.clear()
    names = [f"d{number}" for number in range(20)]
    with opened(folder) as store:
        collection = store.create(
            "notes", CollectionSchema(dimension=DIMENSION, client_vectors=True)
        )
        for version, (written, deleted) in enumerate(
            [(names[:12], []), (names[6:20], names[:3]), ([], names[3:8])], 1
        ):
            if written:
                write(collection, there, written, version)
            if deleted:
                delete(collection, there, deleted)
            with filmed(folder):
                collection.flush_words().result()
    outdate(folder)
    with filmed(folder), opened(folder) as store, collection_of(store) as collection:
        wait_for_rebuild(folder, collection)
    with opened(folder) as store, collection_of(store) as collection:
        write(collection, there, names, 4)
        with filmed(folder):
            collection.flush_words().result()
        delete(collection, there, names)
        with filmed(folder):
            collection.flush_words().result()
    assert len(CAMERA.images) > 20
    return list(CAMERA.images)


def wait_for_rebuild(folder: Path, collection) -> None:
    """Waits until there is one base again, and that of the analysis that is in use."""
    while True:
        headers = list(folder.glob("collections/notes/words-*/header.json"))
        if len(headers) <= 1 and not any(b"another" in header.read_bytes() for header in headers):
            return
        collection.flush_words().result()


def test_words_are_those_of_the_documents_after_a_crash_at_any_moment(images):
    for folder, there in images:
        with opened(folder) as store, collection_of(store) as collection:
            check(collection, there, last_version=4)
            write(collection, there, ["d5", "d22"], 5)
            collection.flush_words().result()
            wait_for_rebuild(folder, collection)
            check(collection, there, last_version=5)
        with opened(folder) as store, collection_of(store) as collection:
            check(collection, there, last_version=5)
