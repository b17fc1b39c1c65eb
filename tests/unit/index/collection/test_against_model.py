"""Random writes, reads and restarts against a dict and brute force."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from twopass.index.documents import DocumentFields, IndexedDocument, OnConflict
from twopass.index.errors import DocumentsExistError
from twopass.index.filters import Filter, IdCondition
from twopass.index.metadata import MergeMetadata, ReplaceMetadata, merged
from twopass.index.schema import CollectionSchema, Metric
from twopass.index.store.store import CollectionStore
from twopass.index.vectors.merging import MergePolicy
from twopass.index.words.flushing import FlushPolicy

from ..conftest import LANES

DIMENSION = 3
# Merges in almost every history, some while the next writes come.
EAGER = MergePolicy(min_changes=4)
EAGER_WORDS = FlushPolicy(min_documents=4, max_documents=4, worth_saving=2)

ids = st.sampled_from(["a", "b", "A", "ä", "a b", "%", "'", '"', "🙂", "\u2028", "[1]", "x" * 512])
# Small whole numbers: products are exact in float32, and there are many equal scores.
vectors = st.lists(st.integers(-3, 3), min_size=DIMENSION, max_size=DIMENSION).filter(any)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
metadata = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
documents = st.builds(
    lambda name, title, text, metadata, vector, token_ids: IndexedDocument(
        id=name,
        title=title,
        text=text or "not empty",
        metadata=metadata,
        vector=np.array(vector, np.float32),
        token_ids=np.array(token_ids, np.int32),
    ),
    ids,
    texts,
    texts,
    metadata,
    vectors,
    st.lists(st.integers(0, 2**31 - 1), max_size=5),
)
upserts = st.tuples(
    st.lists(documents, min_size=1, max_size=4, unique_by=lambda document: document.id),
    st.sampled_from(OnConflict),
)
deletions = st.lists(ids, min_size=1, max_size=3).map(set)
updates = st.builds(
    lambda names, change, given: (frozenset(names), change(given)),
    st.sets(ids, min_size=1),
    st.sampled_from([MergeMetadata, ReplaceMetadata]),
    metadata,
)


class CollectionMachine(RuleBasedStateMachine):
    """The collection beside `model`, which maps each id to the document last written under it."""

    @initialize()
    def create(self):
        self.folder = tempfile.TemporaryDirectory()
        self.model = {}
        self.num_writes = 0
        self.open()
        self.collection = self.store.create(
            "notes",
            CollectionSchema(dimension=DIMENSION, metric=Metric.INNER_PRODUCT, client_vectors=True),
        )

    def open(self):
        self.store = CollectionStore(
            Path(self.folder.name), LANES, merge_policy=EAGER, flush_policy=EAGER_WORDS
        )

    @rule(waiting=st.lists(upserts | deletions | updates, min_size=1, max_size=4))
    def write(self, waiting):
        """Upserts, deletions by id and updates of metadata, without waiting in between."""
        futures = [self.submit(request) for request in waiting]
        for request, future in zip(waiting, futures, strict=True):
            match request:
                case (frozenset() as names, change):
                    self.expect_update(names, change, future)
                case (given, on_conflict):
                    self.expect_upsert(given, on_conflict, future)
                case _:
                    self.expect_deletion(request, future)

    def submit(self, request):
        match request:
            case (frozenset() as names, change):
                wanted = Filter(must=(IdCondition(tuple(names)),))
                return self.collection.update_metadata(wanted, change)
            case (given, on_conflict):
                return self.collection.upsert(given, on_conflict)
            case _:
                return self.collection.delete(list(request))

    def expect_update(self, names, change, future):
        self.num_writes += 1
        result = future.result()
        assert result.sequence.position == self.num_writes
        assert result.num_updated == len(names & self.model.keys())
        for name in names & self.model.keys():
            after = (
                change.metadata
                if isinstance(change, ReplaceMetadata)
                else merged(self.model[name].metadata, change.patch)
            )
            self.model[name] = replace(self.model[name], metadata=after)

    def expect_deletion(self, names, future):
        self.num_writes += 1
        result = future.result()
        assert result.sequence.position == self.num_writes
        assert result.num_deleted == len(self.model.keys() & names)
        for name in names:
            self.model.pop(name, None)

    def expect_upsert(self, given, on_conflict, future):
        known = [document.id for document in given if document.id in self.model]
        if known and on_conflict is OnConflict.FAIL:
            with pytest.raises(DocumentsExistError) as refused:
                future.result()
            assert list(refused.value.ids) == known
            return
        self.num_writes += 1
        result = future.result()
        assert result.sequence.position == self.num_writes
        skips = on_conflict is OnConflict.SKIP
        assert (result.num_replaced, result.num_skipped, result.num_inserted) == (
            0 if skips else len(known),
            len(known) if skips else 0,
            len(given) - len(known),
        )
        self.model |= {d.id: d for d in given if not (skips and d.id in known)}

    @rule()
    def reopen(self):
        sequence = self.collection.sequence
        self.check_words()
        self.store.close()
        self.open()
        self.collection = self.store.get("notes")
        self.check_words()
        assert self.collection.sequence == sequence

    @rule(query=vectors, k=st.integers(1, 15))
    def search(self, query, k):
        found = self.collection.search(np.array([query], np.float32), k).result()
        candidates = self.collection.load(found.keys[0])
        scores = {name: float(document.vector @ query) for name, document in self.model.items()}
        assert found.scores[0].tolist() == sorted(scores.values(), reverse=True)[:k]
        assert [scores[name] for name in candidates.ids] == found.scores[0].tolist()
        assert len(set(candidates.ids)) == len(candidates.ids)
        for name, token_ids in zip(candidates.ids, candidates.token_ids, strict=True):
            np.testing.assert_array_equal(token_ids, self.model[name].token_ids)

    def check_words(self):
        """The documents with words are those that there are, no more and no fewer."""
        words = self.collection._words.words
        found = [run.keys[~run.hidden] for run in words.runs]
        if words.base is not None:
            found.append(np.setdiff1d(words.base.keys, words.hidden))
        stored = self.collection.get(list(self.model), DocumentFields(text=False, metadata=False))
        with_words = np.concatenate([np.empty(0, np.int64), *found])
        assert sorted(with_words.tolist()) == sorted(document.key for document in stored)

    @rule(page_size=st.integers(1, 5))
    def list_documents(self, page_size):
        page = self.collection.list_page(page_size)
        listed = list(page.documents)
        while page.next_page_token:
            page = self.collection.list_page(page_size, page.next_page_token)
            listed += page.documents
        assert sorted(document.id for document in listed) == sorted(self.model)

    @rule(wanted=st.lists(ids, min_size=1))
    def get_what_is_there(self, wanted):
        got = self.collection.get(wanted, allow_missing=True)
        assert [document.id for document in got] == [name for name in wanted if name in self.model]
        assert self.collection.known_ids(wanted) == self.model.keys() & set(wanted)

    @invariant()
    def every_document_reads_back_as_written(self):
        assert self.collection.num_documents == len(self.model)
        for stored in self.collection.get(list(self.model), DocumentFields(vector=True)):
            given = self.model[stored.id]
            assert (stored.title, stored.text, stored.metadata) == (
                given.title,
                given.text,
                given.metadata,
            )
            np.testing.assert_array_equal(stored.vector, given.vector)

    def teardown(self):
        self.check_words()
        self.store.close()
        self.folder.cleanup()


TestCollection = CollectionMachine.TestCase
TestCollection.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
