"""Random writes, reads and searches of a store, held against a dict and brute force."""

import asyncio
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from twopass.index.documents import DocumentFields, IndexedDocument, OnConflict
from twopass.index.errors import DocumentsExistError
from twopass.index.metadata import MergeMetadata, ReplaceMetadata
from twopass.index.schema import CollectionSchema, Metric

from .asking import listed, nearest, of_ids, with_words, write
from .opening import opened
from .reference import Reference, best

DIMENSION = 3
SCHEMA = CollectionSchema(
    dimension=DIMENSION, metric=Metric.INNER_PRODUCT, client_vectors=True, index_kind="Flat"
)

ids = st.sampled_from(["a", "b", "A", "ä", "a b", "%", "'", '"', "🙂", "\u2028", "[1]", "x" * 512])
# Small whole numbers: products are exact in half precision, and there are many equal scores.
vectors = st.lists(st.integers(-3, 3), min_size=DIMENSION, max_size=DIMENSION).filter(any)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.lists(st.sampled_from(["sky", "sea", "moon", "tide"]), max_size=4).map(" ".join)
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
    texts | words,
    metadata,
    vectors,
    st.lists(st.integers(0, 2**31 - 1), max_size=5),
)


class HistoryMachine(RuleBasedStateMachine):
    """A collection beside `model`."""

    url: str
    folder: Path
    compares_words: bool

    @initialize()
    def create(self):
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.model = Reference(SCHEMA)
        self.position = 0
        # Of its own: what is deleted at the end may still be on its way.
        self.name = f"history-{uuid.uuid4().hex[:12]}"
        self.run(self.open())
        self.run(self.store.create(self.name, SCHEMA))
        self.run(self.acquire())

    def run(self, coroutine):
        return self.runner.run(coroutine)

    async def open(self):
        self.store = await self.stack.enter_async_context(opened(self.url, self.folder))

    async def acquire(self):
        self.lease = await self.store.acquire(self.name)
        self.collection = self.lease.collection

    def later(self, sequence):
        assert sequence.position > self.position
        self.position = sequence.position

    @rule(
        given=st.lists(documents, min_size=1, max_size=4, unique_by=lambda d: d.id),
        on_conflict=st.sampled_from(OnConflict),
    )
    def upsert(self, given, on_conflict):
        expected = self.model.upsert(given, on_conflict)
        if isinstance(expected, list):
            with pytest.raises(DocumentsExistError) as refused:
                self.run(write(self.collection, *given, on_conflict=on_conflict))
            assert list(refused.value.ids) == expected
            return
        result = self.run(write(self.collection, *given, on_conflict=on_conflict))
        counts = (result.num_inserted, result.num_replaced, result.num_skipped)
        assert counts == (expected.num_inserted, expected.num_replaced, expected.num_skipped)
        self.later(result.sequence)

    @rule(names=st.sets(ids, min_size=1, max_size=3))
    def delete(self, names):
        result = self.run(self.collection.delete(of_ids(*names)))
        assert result.num_deleted == self.model.delete(of_ids(*names))

    @rule(
        names=st.sets(ids, min_size=1),
        change=st.sampled_from([MergeMetadata, ReplaceMetadata]),
        given=metadata,
    )
    def update(self, names, change, given):
        wanted = of_ids(*names)
        result = self.run(self.collection.update_metadata(wanted, change(given)))
        assert result.num_updated == self.model.update_metadata(wanted, change(given))

    @rule()
    def reopen(self):
        before = self.run(self.collection.summary())
        self.lease.release()
        self.run(self.stack.aclose())
        self.run(self.open())
        self.run(self.acquire())
        after = self.run(self.collection.summary())
        assert after.num_documents == before.num_documents
        assert after.sequence.incarnation == before.sequence.incarnation
        self.run(self.collection.ensure_reached(str(before.sequence)))

    @rule(query=vectors, k=st.integers(1, 15))
    def search(self, query, k):
        scores = self.model.similarities(query)
        found = self.run(nearest(self.collection, query, k))
        assert list(found.values()) == best(scores, k)
        assert found == {name: scores[name] for name in found}

    @rule(query=words, k=st.integers(1, 15))
    def search_words(self, query, k):
        found = self.run(with_words(self.collection, query, k))
        if self.compares_words:
            scores = self.model.words(query)
            assert len(found) == min(k, len(scores))
            assert found == pytest.approx({name: scores[name] for name in found}, rel=1e-4)

    @rule(page_size=st.integers(1, 5))
    def list_documents(self, page_size):
        found = self.run(listed(self.collection, page_size=page_size))
        assert sorted(found) == sorted(self.model.documents)

    @rule(query=vectors)
    def load(self, query):
        async def loaded():
            retrieval = self.collection.retrieval()
            found = await retrieval.nearest(np.array(query, np.float32), 20)
            return await retrieval.load(found.ranked.keys)

        found = self.run(loaded())
        for name, token_ids in zip(found.ids, found.token_ids, strict=True):
            np.testing.assert_array_equal(token_ids, self.model.documents[name].token_ids)

    @rule(wanted=st.lists(ids, min_size=1))
    def every_document_reads_back_as_written(self, wanted):
        there = self.model.documents
        got = self.run(self.collection.get(wanted, DocumentFields(vector=True), allow_missing=True))
        assert [stored.id for stored in got] == [name for name in wanted if name in there]
        for stored in got:
            given = there[stored.id]
            assert (stored.title, stored.text) == (given.title, given.text)
            assert stored.metadata == given.metadata
            np.testing.assert_array_equal(stored.vector, given.vector)
        assert self.run(self.collection.known_ids(wanted)) == there.keys() & set(wanted)
        assert self.run(self.collection.summary()).num_documents == len(there)

    def teardown(self):
        if not hasattr(self, "runner"):
            return
        self.lease.release()
        self.run(self.store.delete(self.name))
        self.run(self.stack.aclose())
        self.runner.close()


def test_a_store_does_in_any_order_what_a_dict_does(kind, store_url, tmp_path):
    class Machine(HistoryMachine):
        url = store_url
        folder = tmp_path
        compares_words = kind.has("default_words")

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=kind.num_histories,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
