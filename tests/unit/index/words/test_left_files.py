"""Files that a killed server left in a base's folder do not stand in the way of later flushes."""

import shutil

import numpy as np

from twopass.index.documents import IndexedDocument
from twopass.index.schema import CollectionSchema
from twopass.index.store.store import CollectionStore
from twopass.index.words.flushing import FlushPolicy

from ..conftest import DIMENSION, LANES

WHEN_TOLD = FlushPolicy(min_documents=10**6, worth_saving=10**6)
COMMITTED = ("meta.json", "header.json")


def test_a_flush_that_was_killed_before_its_commit_is_done_again(tmp_path):
    one, none = np.ones(DIMENSION, np.float32), np.empty(0, np.int32)
    store = CollectionStore(tmp_path, LANES, flush_policy=WHEN_TOLD)
    collection = store.create("notes", CollectionSchema(dimension=DIMENSION, client_vectors=True))
    documents = [
        IndexedDocument(id=f"d{number}", text="about words", vector=one, token_ids=none)
        for number in range(12)
    ]
    collection.upsert(documents).result()
    collection.flush_words().result()
    (folder,) = tmp_path.glob("collections/notes/words-*")
    for name in COMMITTED:
        shutil.copyfile(folder / name, tmp_path / name)
    collection.delete(["d1", "d2", "d3"]).result()
    collection.flush_words().result()
    store.close()
    for name in COMMITTED:  # as if the server had been killed when all else was written
        shutil.copyfile(tmp_path / name, folder / name)

    store = CollectionStore(tmp_path, LANES, flush_policy=WHEN_TOLD)
    pin = store.pin("notes")
    collection = pin.collection or pin.opening.result()
    collection.flush_words().result()
    assert len(collection.search_words("words", 100).keys) == 9
    pin.release()
    store.close()
    assert len(list(folder.glob("*.del"))) <= 1
