"""The nearest documents are those of a plain reference: exactly, or nearly so in a graph."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.documents import IndexedDocument, SplitPassage
from twopass.index.errors import InvalidQueryError
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.kinds import Breadth
from twopass.index.schema import Chunking, CollectionSchema, Metric

from .asking import WHOLE, ids_of, nearest, of_ids, write
from .reference import Reference, best

# Vectors may be kept in half precision.
NEAR = 2e-3


async def made(store, schema, name="docs"):
    await store.create(name, schema)
    return (await store.acquire(name)).collection


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("k", [1, 10, 150, 1_000])
async def test_flat_collections_find_exactly_the_nearest(store, schema, make_document, metric, k):
    schema = replace(schema, metric=metric, index_kind="Flat")
    collection, reference = await made(store, schema), Reference(schema)
    documents = [make_document(str(n)) for n in range(150)]
    await write(collection, *documents)
    await write(collection, *documents[:20])
    reference.upsert(documents)
    query = make_document("a question").vector.tolist()
    found = await nearest(collection, query, k)
    expected = reference.similarities(query)
    assert list(found.values()) == pytest.approx(best(expected, k), abs=NEAR)
    assert found == pytest.approx({name: expected[name] for name in found}, abs=NEAR)
    assert list(found.values()) == sorted(found.values(), reverse=True)


async def test_a_flat_list_says_that_it_is_exact(store, schema, make_document):
    collection = await made(store, replace(schema, index_kind="Flat"))
    await write(collection, *map(make_document, "abc"))
    retrieval = collection.retrieval()
    found = await retrieval.nearest(make_document("b").vector, 2)
    assert found.exact
    assert await ids_of(retrieval, found.ranked) == list(
        await nearest(collection, make_document("b").vector, 2)
    )


@pytest.mark.slow
async def test_a_graph_finds_nearly_all_of_the_nearest(kind, store):
    """With a filter that few pass too, and once half of the documents are gone.

    Where all are compared as long as they are few, these are more.
    """
    rng = np.random.default_rng(0)
    # As embeddings do, they have many components and lie in few directions.
    directions = np.linalg.qr(rng.standard_normal((kind.many_components, 16)))[0].T
    drawn = rng.standard_normal((kind.num_many + 8, 16)) @ directions
    vectors, queries = np.split(drawn.astype(np.float32), [kind.num_many])
    schema = CollectionSchema(
        dimension=kind.many_components, client_vectors=True, index_kind=kind.graph
    )
    collection = await made(store, schema)
    none = np.empty(0, np.int32)
    for start in range(0, len(vectors), 500):
        await write(
            collection,
            *(
                IndexedDocument(
                    id=str(n), text="x", vector=vectors[n], token_ids=none, metadata={"n": n % 100}
                )
                for n in range(start, min(start + 500, len(vectors)))
            ),
        )
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def recall(wanted, there):
        found = 0
        for query in queries:
            names = await nearest(collection, query.tolist(), 20, wanted)
            assert len(names) == min(20, int(there.sum()))
            scores = np.where(there, unit @ query, -np.inf)
            exact = {str(n) for n in np.argsort(-scores)[:20] if there[n]}
            found += len(exact & names.keys()) / len(exact)
        return found / len(queries)

    everything = np.ones(len(vectors), bool)
    assert await recall(None, everything) >= 0.9
    few = Filter(must=(FieldCondition("n", InRange(lt=3)),))
    assert await recall(few, np.arange(len(vectors)) % 100 < 3) >= 0.95
    gone = Filter(must=(FieldCondition("n", InRange(lt=50)),))
    await collection.delete(gone)
    assert await recall(None, np.arange(len(vectors)) % 100 >= 50) >= 0.9


async def test_an_acknowledged_write_is_found_by_the_next_search(collection, make_document):
    for name in map(str, range(15)):
        await write(collection, make_document(name))
        assert list(await nearest(collection, make_document(name).vector, 1)) == [name]
        await collection.delete(of_ids(name))
        assert name not in await nearest(collection, make_document(name).vector, 5)


async def test_an_empty_collection_has_no_nearest(collection):
    assert await nearest(collection, [1, 1, 1, 1], 10) == {}


async def test_cosines_are_of_vectors_of_whatever_length(collection, make_document):
    await write(collection, make_document("a", vector=np.array([3e-3, 0, 0, 0], np.float32)))
    assert await nearest(collection, [500, 500, 0, 0], 1) == pytest.approx(
        {"a": 0.5**0.5}, abs=NEAR
    )


@pytest.mark.parametrize(
    ("vector", "k", "breadth", "field"),
    [
        (np.ones(4, np.float32), 0, Breadth(), "retrieve.k"),
        (np.ones(5, np.float32), 1, Breadth(), "vector"),
        (np.zeros(4, np.float32), 1, Breadth(), "vector"),
        (np.full(4, np.nan, np.float32), 1, Breadth(), "vector"),
        (np.ones(4, np.float32), 1, Breadth(ef_search=0), "retrieve.ef_search"),
        (np.ones(4, np.float32), 1, Breadth(nprobe=65_537), "retrieve.nprobe"),
    ],
)
async def test_a_query_that_breaks_a_rule_is_refused(collection, vector, k, breadth, field):
    with pytest.raises(InvalidQueryError) as refused:
        await collection.retrieval().nearest(vector, k, breadth=breadth)
    assert refused.value.field == field


async def test_documents_found_otherwise_are_ordered_by_their_similarity(collection, make_document):
    documents = [make_document(name, text=f"word {name}") for name in "abcdef"]
    await write(collection, *documents)
    reference = Reference(collection.schema)
    reference.upsert(documents)
    retrieval = collection.retrieval()
    found = await retrieval.with_words("word", 6)
    query = make_document("q").vector
    similar = await retrieval.similar(query, found.ranked.keys[:4])
    names = (await retrieval.load(found.ranked.keys[:4])).ids
    expected = {n: s for n, s in reference.similarities(query.tolist()).items() if n in names}
    ordered = await ids_of(retrieval, similar.ranked)
    assert ordered == sorted(expected, key=lambda name: -expected[name])
    assert similar.ranked.scores.tolist() == pytest.approx(best(expected, 4), abs=NEAR)


async def test_searches_beside_writes_find_whole_documents(collection, make_document):
    await write(collection, *(make_document(str(n), text="v0") for n in range(20)))
    done = asyncio.Event()

    async def search():
        while not done.is_set():
            retrieval = collection.retrieval()
            found = await retrieval.nearest(make_document("3").vector, 20)
            fetched = await retrieval.fetch(found.ranked.keys, WHOLE)
            assert all(int(stored.text[1:]) >= 0 for stored in fetched.values())
            names = [stored.id for stored in fetched.values()]
            assert len(names) == len(set(names))

    searching = [asyncio.create_task(search()) for _ in range(3)]
    for turn in range(10):
        await write(collection, *(make_document(str(n), text=f"v{turn}") for n in range(20)))
    done.set()
    await asyncio.gather(*searching)


DIMENSION = 3
WINDOWS = CollectionSchema(
    dimension=DIMENSION,
    metric=Metric.INNER_PRODUCT,
    encoder="e",
    encoder_revision="1",
    chunking=Chunking(16),
    index_kind="Flat",
)
# Small whole numbers: products are exact in half precision, and there are many equal scores.
whole_vectors = st.lists(st.integers(-3, 3), min_size=DIMENSION, max_size=DIMENSION)
passages = st.dictionaries(
    st.integers(0, 15), st.lists(whole_vectors, min_size=1, max_size=8), min_size=1, max_size=8
)


def split(number, rows):
    """A document in as many windows as there are vectors; whole if there is one."""
    windows = np.array([[10 * i, 10 * i + 16] for i in range(len(rows))], np.int32)
    vectors = np.array(rows, np.float32)
    return IndexedDocument(
        id=f"d{number}",
        text=f"document {number}",
        metadata={"number": number},
        vector=SplitPassage(windows, vectors) if len(rows) > 1 else vectors[0],
        token_ids=np.arange(10 * len(rows) + 6, dtype=np.int32),
    )


@pytest.fixture
async def in_windows(store):
    return await made(store, WINDOWS)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=passages,
    second=passages,
    deleted=st.sets(st.integers(0, 15)),
    query=whole_vectors.filter(any),
    k=st.integers(1, 20),
    below=st.integers(0, 16),
)
async def test_documents_are_found_by_their_best_windows(
    in_windows, first, second, deleted, query, k, below
):
    collection, reference = in_windows, Reference(WINDOWS)
    await collection.delete(Filter())
    for some in (first, second):
        documents = [split(n, rows) for n, rows in some.items()]
        written = await write(collection, *documents)
        assert written.num_split == sum(len(rows) > 1 for rows in some.values())
        reference.upsert(documents)
    if deleted:
        gone = of_ids(*(f"d{n}" for n in deleted))
        assert (await collection.delete(gone)).num_deleted == reference.delete(gone)
    num_split = sum(isinstance(d.vector, SplitPassage) for d in reference.documents.values())
    assert (await collection.summary()).num_split == num_split
    for wanted in (Filter(), Filter(must=(FieldCondition("number", InRange(lt=below)),))):
        retrieval = collection.retrieval()
        members = await collection.members(wanted)
        found = await retrieval.nearest(np.array(query, np.float32), k, members)
        names = await ids_of(retrieval, found.ranked)
        scores = reference.similarities(query, wanted)
        assert found.ranked.scores.tolist() == best(scores, k)
        assert [scores[name] for name in names] == found.ranked.scores.tolist()
        assert len(set(names)) == len(names)
        for key, name in zip(found.ranked.keys.tolist(), names, strict=True):
            vector = reference.documents[name].vector
            window = found.windows.get(key)
            assert (window is None) == (not isinstance(vector, SplitPassage))
            if window is not None:
                row = vector.vectors[window[0] // 10]
                assert float(row @ np.array(query)) == scores[name]
                assert window[1] == window[0] + 16
        assert await retrieval.num_split_among(found.ranked.keys) == sum(
            isinstance(reference.documents[name].vector, SplitPassage) for name in names
        )


async def test_a_split_document_is_read_back_without_a_vector(in_windows):
    await write(in_windows, split(1, [[1, 0, 0], [0, 1, 0]]))
    (document,) = await in_windows.get(["d1"], WHOLE)
    assert (document.text, document.vector) == ("document 1", None)


async def test_documents_found_by_words_get_their_nearest_windows(in_windows):
    await write(in_windows, split(1, [[1, 0, 0], [0, 1, 0]]), split(2, [[1, 1, 1]]))
    retrieval = in_windows.retrieval()
    found = await retrieval.with_words("document", 5)
    similar = await retrieval.similar(np.array([0, 2, 0], np.float32), found.ranked.keys)
    names = await ids_of(retrieval, similar.ranked)
    assert dict(zip(names, similar.ranked.scores.tolist(), strict=True)) == {"d1": 2, "d2": 2}
    key = similar.ranked.keys.tolist()[names.index("d1")]
    assert dict(similar.windows) == {key: (10, 26)}
