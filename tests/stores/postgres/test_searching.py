"""Searches: statements, walks through the graph, kinds, words."""

import random

import numpy as np
import pytest

from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.errors import (
    CollectionError,
    InvalidDocumentError,
    InvalidSchemaError,
)
from twopass.index.filters import FieldCondition, Filter, InRange, OneOf
from twopass.index.kinds import Breadth
from twopass.index.postgres import retrieval, search_sql
from twopass.index.postgres.connections import Extensions
from twopass.index.retrieved import Expected
from twopass.index.schema import Chunking, CollectionSchema, IndexedField, Metric

from .opened import DIMENSION, SCHEMA, collection_of, document, write


@pytest.mark.parametrize("kind", ["Flat", "HNSW16"])
async def test_a_hybrid_search_with_all_that_is_read_is_one_statement(
    statements, store, kind, monkeypatch
):
    monkeypatch.setattr(retrieval, "CHEAP_COMPONENTS", 0)  # so that the graph is walked
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)
    await store.create("notes", schema)
    collection = await collection_of(store)
    await write(collection, *(document(f"d{n}", f"sky number {n}", year=n) for n in range(100)))
    wanted = Filter(must=(FieldCondition("year", InRange(gte=10)),))
    collection = await collection_of(store)
    statements.clear()

    whole = DocumentFields(vector=True)
    found = collection.retrieval(Expected(token_ids=True, texts=True, fields=whole, num_hits=5))
    members = await collection.members(wanted)
    both = await found.both(document("d50").vector, "number 42", 20, members)
    keys = np.union1d(both.nearest.ranked.keys, both.words.ranked.keys)
    passages = await found.load(keys)
    documents = await found.fetch(keys, whole)
    documents, bare = await found.fetch_first(keys, DocumentFields(), 10**7)

    assert len(statements) == 1
    assert {"d50", "d42"} <= set(passages.ids)
    assert len(documents) == len(passages.ids) == len(keys)
    assert not bare
    assert set(both.beyond.ranked.keys) == set(both.words.ranked.keys) - set(
        both.nearest.ranked.keys
    )


async def test_what_does_not_fit_beside_a_list_is_read_when_it_is_asked_for(statements, store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    long = "sky " * 100_000
    await write(collection, *(document(f"d{n}", f"{long}{n}") for n in range(4)))
    statements.clear()
    found = collection.retrieval()
    words = await found.with_words("sky", 4)
    documents = await found.fetch(words.ranked.keys)
    assert sorted(one.text for one in documents.values()) == [f"{long}{n}" for n in range(4)]
    assert len(statements) == 2


async def test_a_write_of_many_documents_takes_as_many_statements_as_one_of_few(statements, store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    numbers = []
    for count in (1, 200):
        statements.clear()
        await write(collection, *(document(f"d{count}-{n}") for n in range(count)))
        numbers.append(len(statements))
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("share", [0.005, 0.05, 0.5, 1.0], ids="{:.1%}".format)
async def test_a_walk_through_the_graph_finds_the_nearest_whatever_the_filter_leaves(
    store, monkeypatch, share
):
    monkeypatch.setattr(retrieval, "CHEAP_COMPONENTS", 0)
    monkeypatch.setattr(search_sql, "FEW", 20)
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    drawn = np.random.default_rng(7)
    vectors = drawn.standard_normal((1_000, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    places = drawn.random(1_000)
    await write(
        collection,
        *(document(f"d{n}", vector=vectors[n], place=float(places[n])) for n in range(1_000)),
    )
    collection = await collection_of(store)
    members = await collection.members(Filter(must=(FieldCondition("place", InRange(lt=share)),)))
    passing = np.flatnonzero(places < share)
    num_found = num_exact = 0
    for query in vectors[:20]:
        near = await collection.retrieval().nearest(query, 10, members, Breadth(ef_search=100))
        truth = passing[np.argsort(-(vectors[passing] @ query))[:10]]
        scores = vectors[truth] @ query
        assert len(near.ranked.keys) == len(truth)
        num_found += int((near.ranked.scores >= scores[-1] - 1e-5).sum())
        num_exact += near.exact
    assert num_found >= 0.95 * 20 * min(10, len(passing))
    assert num_exact == (20 if len(passing) <= 20 else 0)


async def test_a_filter_far_from_the_query_is_answered_in_full(store, monkeypatch):
    monkeypatch.setattr(retrieval, "CHEAP_COMPONENTS", 0)
    monkeypatch.setattr(search_sql, "FEW", 2)
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    vectors = np.eye(DIMENSION, dtype=np.float32)
    await write(
        collection,
        *(
            document(f"d{n}", vector=vectors[n % 2] + n * 1e-4 * vectors[2], odd=n % 2)
            for n in range(600)
        ),
    )
    collection = await collection_of(store)
    members = await collection.members(Filter(must=(FieldCondition("odd", OneOf((1,))),)))
    near = await collection.retrieval().nearest(vectors[0], 300, members)
    assert len(near.ranked.keys) == 300


@pytest.mark.parametrize("kind", ["SQfp16", "HNSW16,SQfp16"])
async def test_vectors_of_two_bytes_a_component_are_as_near_as_these_can_tell(store, kind):
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)
    await store.create("notes", schema)
    collection = await collection_of(store)
    await write(collection, *(document(f"d{n}") for n in range(50)))
    query = document("d7").vector
    found = collection.retrieval(Expected(fields=DocumentFields(vector=True)))
    near = await found.nearest(query, 1)
    (hit,) = (await found.fetch(near.ranked.keys, DocumentFields(vector=True))).values()
    assert hit.id == "d7"
    np.testing.assert_allclose(near.ranked.scores, [1], atol=2e-3)  # 2^-11 each, of eight
    np.testing.assert_allclose(hit.vector, query / np.linalg.norm(query), atol=5e-4)


async def test_a_component_too_large_for_two_bytes_is_refused(store):
    schema = CollectionSchema(
        dimension=2, client_vectors=True, index_kind="SQfp16", metric=Metric.INNER_PRODUCT
    )
    await store.create("notes", schema)
    collection = await collection_of(store)
    with pytest.raises(InvalidDocumentError, match=r"documents\[0\].vector.*65,504"):
        await write(collection, document("large", vector=np.array([1e5, 0], np.float32)))


@pytest.mark.parametrize(
    ("kind", "dimension", "message"),
    [
        ("IVF16,Flat", 8, "HNSW<links>"),
        ("HNSW101", 8, "2 to 100 links"),
        ("HNSW16", 4_001, "at most 4,000 components"),
    ],
)
async def test_an_index_kind_that_pgvector_lacks_is_refused_by_name(
    store, kind, dimension, message
):
    with pytest.raises(InvalidSchemaError, match=message):
        await store.create(
            "notes", CollectionSchema(dimension=dimension, client_vectors=True, index_kind=kind)
        )


@pytest.mark.parametrize("is_filtered", [False, True], ids=["all", "filtered"])
async def test_frequent_words_fill_up_what_rare_ones_leave_empty(store, monkeypatch, is_filtered):
    monkeypatch.setattr(search_sql, "MAX_HOLDERS", 5)
    monkeypatch.setattr(search_sql, "FEW", 2)
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    await write(
        collection,
        *(document(f"d{n}", "common " + "rare " * (n % 30 == 0), n=n) for n in range(90)),
    )
    wanted = Filter(must=(FieldCondition("n", InRange(lt=80)),))
    members = await collection.members(wanted) if is_filtered else None
    for k, num_dropped in ((3, 0), (10, 1), (100, 1)):
        found = collection.retrieval()
        words = (await found.with_words("rare common", k, members)).ranked
        names = [one.id for one in (await found.fetch(words.keys)).values()]
        assert len(names) == min(k, 80 if is_filtered else 90)
        assert {"d0", "d30", "d60"} <= set(names)
        assert words.num_words_dropped == num_dropped
        assert sorted(words.scores.tolist(), reverse=True) == words.scores.tolist()


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
async def test_frequent_words_that_can_change_nothing_are_left_out_and_nothing_changes(
    store, monkeypatch, share
):
    """Against the same search of every word."""
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    generator = random.Random(7)
    words = [f"w{n}" for n in range(40)]
    chances = [1 / (n + 1) for n in range(40)]
    await write(
        collection,
        *(
            document(f"d{n}", " ".join(generator.choices(words, chances, k=12)), n=n)
            for n in range(400)
        ),
    )
    for _ in range(20):
        query = " ".join(generator.sample(words, 6))
        for k in (1, 10, 50, 400):
            found = []
            for part in (0.0, share):
                monkeypatch.setattr(search_sql, "FIRST_SHARE", part)
                found.append((await collection.retrieval().with_words(query, k, None)).ranked)
            every, some = found
            assert some.keys.tolist() == every.keys.tolist()
            assert some.scores.tolist() == every.scores.tolist()
            assert some.num_words_dropped == every.num_words_dropped == 0


async def test_a_word_of_a_text_too_long_for_the_index_of_words_is_found(store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    long = " ".join(f"w{n}" for n in range(100_000))
    await write(collection, document("long", f"{long} very last words"), document("short", "last"))
    from twopass.index.word_query import Phrase, WordClauses

    found = collection.retrieval()
    clauses = WordClauses(required=(Phrase("very last words"),))
    words = await found.with_words("", 5, None, clauses)
    assert [one.id for one in (await found.fetch(words.ranked.keys)).values()] == ["long"]


async def test_words_are_ranked_alike_without_the_extension_that_speeds_them_up(store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    await write(collection, *(document(f"d{n}", f"sky {n} {n % 3}") for n in range(60)))
    fast = (await collection.retrieval().with_words("sky 7 1", 60)).ranked
    known = store._connections.extensions
    assert known.element_place.endswith(".idx")
    store._connections._extensions = Extensions(known.vectors, "array_position")
    slow = (await collection.retrieval().with_words("sky 7 1", 60)).ranked
    assert slow.keys.tolist() == fast.keys.tolist()
    np.testing.assert_array_equal(slow.scores, fast.scores)


async def test_long_passages_are_found_by_their_windows(store):
    from twopass.index.documents import SplitPassage

    schema = CollectionSchema(
        dimension=DIMENSION,
        encoder="e",
        encoder_revision="1",
        chunking=Chunking(16),
        index_kind="HNSW16",
        indexed_fields=(IndexedField("a"),),
    )
    await store.create("notes", schema)
    collection = await collection_of(store)
    axes = np.eye(DIMENSION, dtype=np.float32)
    windows = np.array([[16 * n, 16 * n + 16] for n in range(6)], np.int32)

    def split(name, first):
        passage = SplitPassage(windows, axes[[(first + n) % DIMENSION for n in range(6)]])
        return IndexedDocument(
            id=name, text="sky", vector=passage, token_ids=np.zeros(96, np.int32)
        )

    result = await write(collection, *(split(f"s{n}", n) for n in range(8)), document("whole"))
    assert result.num_split == 8
    found = collection.retrieval()
    near = await found.nearest(axes[3], 9)
    assert len(near.ranked.keys) == 9
    for key in near.ranked.keys[:6].tolist():
        number = int((await found.fetch(np.array([key])))[key].id[1:])
        place = (3 - number) % DIMENSION
        assert near.windows[key] == (16 * place, 16 * place + 16)
    assert await found.num_split_among(near.ranked.keys) == 8
    with pytest.raises(CollectionError):
        await collection.get(["none"])
