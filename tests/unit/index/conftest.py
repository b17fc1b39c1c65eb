"""A store on a real disk, and documents of few dimensions to put into it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.index.collection.collection import Collection
from twopass.index.documents import IndexedDocument
from twopass.index.errors import StoppedError
from twopass.index.lanes import Lanes
from twopass.index.schema import CollectionSchema
from twopass.index.stopping import Stop
from twopass.index.store.store import CollectionStore

DIMENSION = 4
LANES = Lanes.for_cpus(2)

MakeDocument = Callable[..., IndexedDocument]


class StopsAfter(Stop):
    """A stop that is set once it has been asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    @property
    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def check(self) -> None:
        if self.is_set:
            raise StoppedError


@pytest.fixture
def schema() -> CollectionSchema:
    return CollectionSchema(dimension=DIMENSION, client_vectors=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CollectionStore]:
    with CollectionStore(tmp_path, LANES) as opened:
        yield opened


@pytest.fixture
def collection(store: CollectionStore, schema: CollectionSchema) -> Collection:
    return store.create("notes", schema)


@pytest.fixture
def database(collection: Collection, tmp_path: Path) -> Path:
    """The SQLite file of `collection`."""
    return tmp_path / "collections" / collection.name / "documents.sqlite"


@pytest.fixture
def make_document() -> MakeDocument:
    """Makes a document whose vector is drawn from its id."""

    def make(name: str, **fields: Any) -> IndexedDocument:
        drawn = np.random.default_rng(list(name.encode())).standard_normal(DIMENSION)
        given = {
            "text": f"text of {name}",
            "vector": drawn.astype(np.float32),
            "token_ids": np.arange(len(name), dtype=np.int32),
        }
        return IndexedDocument(id=name, **given | fields)

    return make
