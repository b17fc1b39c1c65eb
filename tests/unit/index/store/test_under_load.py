"""Everything that a store can do, by many threads at once, with few places for many collections."""

import random
import threading
import time
from collections import Counter

import pytest

from twopass.index.aliases import AliasChange
from twopass.index.documents import DocumentFields
from twopass.index.errors import (
    AliasExistsError,
    CollectionAliasedError,
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    CollectionsInUseError,
    InvalidAliasError,
    InvalidRenameError,
    SnapshotExistsError,
    SnapshotNotFoundError,
    SnapshotsKeptError,
)
from twopass.index.store.store import CollectionStore
from twopass.index.vectors.merging import MergePolicy

from ..conftest import LANES

NUM_THREADS, MAX_OPEN = 8, 6
COLLECTIONS = [f"c{number}" for number in range(14)]
ALIASES = ["first", "second", "third"]
# What another thread has done meanwhile, or does.
EXPECTED = (
    AliasExistsError,
    CollectionAliasedError,
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    CollectionsInUseError,
    InvalidAliasError,
    InvalidRenameError,
    SnapshotExistsError,
    SnapshotNotFoundError,
    SnapshotsKeptError,
)


class Worker(threading.Thread):
    """Does one thing after another, until its time is over or something unexpected happens."""

    def __init__(self, store, seed, seconds, schema, make_document):
        super().__init__()
        self.store, self.schema, self.make_document = store, schema, make_document
        self.random = random.Random(seed)
        self.end = time.monotonic() + seconds
        self.counts = Counter()
        self.failure = None

    def run(self):
        steps = {self.use: 72, self.create: 10, self.delete: 6, self.switch: 4, self.rename: 4}
        steps |= {self.describe: 4, self.copy: 2, self.restore: 2}
        try:
            while time.monotonic() < self.end:
                (step,) = self.random.choices(list(steps), list(steps.values()))
                try:
                    step(self.random.choice(COLLECTIONS))
                except EXPECTED as error:
                    self.counts[type(error)] += 1
                else:
                    self.counts[step.__name__] += 1
        except BaseException as failure:
            self.failure = failure
            raise

    def use(self, name):
        pin = self.store.pin(self.random.choice([name, name, name, *ALIASES]))
        try:
            collection = pin.collection or pin.opening.result()
            ids = {str(self.random.randrange(300)) for _ in range(self.random.choice([1, 5, 60]))}
            if self.random.random() < 0.4:
                written = collection.upsert([self.make_document(each) for each in ids]).result()
                collection.ensure_reached(str(written.sequence))
            vector = self.make_document("wanted").vector[None]
            found = collection.search(vector, 5).result().keys[0]
            collection.search_words("text", 3)
            collection.load(found[found >= 0])
        except CollectionClosedError:
            known = self.store._names.known.get(collection.name)
            assert known is None or known.is_gone or known.collection is not collection
            raise
        finally:
            pin.release()

    def create(self, name):
        self.store.create(name, self.schema)

    def delete(self, name):
        self.store.delete(name)

    def switch(self, name):
        target = name if self.random.random() < 0.7 else None
        self.store.update_aliases(
            [AliasChange(self.random.choice(ALIASES), target)], lambda _: None
        )

    def rename(self, name):
        new_name = self.random.choice([*COLLECTIONS, *ALIASES])
        self.store.rename(name, new_name, keep_alias=self.random.random() < 0.2)

    def describe(self, name):
        self.store.summaries(self.store.names)

    def copy(self, name):
        self.store.create_snapshot(name, f"s{self.random.randrange(1_000)}")

    def restore(self, name):
        for snapshot in self.store.snapshots.list(name)[:1]:
            self.store.restore(name, snapshot.name, self.random.choice(COLLECTIONS))


def everything(store):
    """How many documents each collection has: by its summary, its index and its rows."""
    found = {}
    for summary in store.summaries(store.names):
        collection = store.get(summary.name)
        rows = collection.list_page(1_000, fields=DocumentFields(text=False, metadata=False))
        assert summary.num_documents == len(rows.documents) == collection._vectors.num_vectors
        found[summary.name] = summary.num_documents
    return found


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(30, marks=pytest.mark.slow)], ids="{} s".format
)
def test_nothing_is_lost_kept_open_or_waited_for_for_ever(tmp_path, schema, make_document, seconds):
    policy = MergePolicy(min_changes=50)
    with CollectionStore(tmp_path, LANES, max_open=MAX_OPEN, merge_policy=policy) as store:
        workers = [
            Worker(store, seed, seconds, schema, make_document) for seed in range(NUM_THREADS)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.failure for worker in workers] == [None] * NUM_THREADS
        counts = sum((worker.counts for worker in workers), Counter())
        assert counts["use"] > 0
        assert counts["create"] > 0
        assert store.failed == {}
        assert {known.num_pins for known in store._names.known.values()} <= {0}
        assert store.opened._num_places == store.opened.num_open <= MAX_OPEN
        before = everything(store)
        assert before.keys() == set(store.names)
    with CollectionStore(tmp_path, LANES, max_open=MAX_OPEN) as store:
        assert everything(store) == before
